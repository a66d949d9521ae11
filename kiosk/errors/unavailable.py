"""Something that is needed does not work (HTTP 5xx)."""

from __future__ import annotations

from kiosk.errors.base import KioskError
from kiosk.i18n import N_


class Unavailable(KioskError):
    """Something that is needed does not work at the moment."""

    code = "unavailable"
    status = 503
    title = N_("Not possible at the moment")
    sentence = N_("A service that the kiosk needs does not answer.")
    next_step = N_("Wait a minute and try again. If it happens again, ask the helpdesk and quote the reference.")


class BrokerUnreachable(Unavailable):
    code = "broker_unreachable"
    sentence = N_("The kiosk gets no answer from the recovery service.")


class BrokerGarbled(Unavailable):
    code = "broker_garbled"
    status = 502
    sentence = N_("The recovery service gave an answer that the kiosk cannot read.")


class SealBroken(Unavailable):
    code = "seal_broken"
    status = 502
    sentence = N_("The key arrived damaged and was thrown away.")


class GraphUnavailable(Unavailable):
    code = "graph_unavailable"
    sentence = N_("Your organisation's device management does not answer.")


class GraphThrottled(Unavailable):
    code = "graph_throttled"
    sentence = N_("Your organisation's device management is very busy.")


class GraphRefused(Unavailable):
    code = "graph_refused"
    status = 502
    sentence = N_("Your organisation's device management does not let the recovery service in.")
    next_step = N_("Ask the helpdesk and quote the reference; waiting does not help.")


class GraphGarbled(Unavailable):
    code = "graph_garbled"
    status = 502
    sentence = N_("Your organisation's device management gave an answer that cannot be read.")


class TokensUnavailable(Unavailable):
    code = "tokens_unavailable"
    sentence = N_("The recovery service cannot check sign-ins at the moment.")


class RecordUnavailable(Unavailable):
    code = "record_unavailable"
    sentence = N_("The recovery service cannot write its record, and without a record no key is shown.")
    next_step = N_("Ask the helpdesk and quote the reference; waiting does not help.")


class SinkUnavailable(RecordUnavailable):
    code = "sink_unavailable"
    sentence = N_("The recovery service cannot pass its record on, and your organisation shows no key without that.")

"""Something that is needed does not work (HTTP 5xx). The first line of a leaf says how the broker or kiosk knows."""

from __future__ import annotations

from kiosk.errors.base import KIOSK, SERVICE, TIME, KioskError
from kiosk.i18n import N_


class Unavailable(KioskError):
    """The broker answered with a code that this kiosk does not know; it may be of a newer version."""

    code = "unavailable"
    status = 503
    title = N_("Not possible at the moment")
    sentence = N_("A service that the kiosk needs does not answer.")
    next_step = N_("Wait a minute and try again. If it happens again, ask the helpdesk and quote the reference.")
    who = SERVICE


class BrokerUnreachable(Unavailable):
    """The kiosk gets no connection to `[broker] url`, or no answer in time."""

    code = "broker_unreachable"
    sentence = N_("The kiosk gets no answer from the recovery service.")
    who = KIOSK


class BrokerGarbled(Unavailable):
    """What answers at `[broker] url` is not the broker, or of another version."""

    code = "broker_garbled"
    status = 502
    sentence = N_("The recovery service gave an answer that the kiosk cannot read.")
    who = KIOSK


class SealBroken(Unavailable):
    """The kiosk cannot open the sealed key; something between it and the broker changed it."""

    code = "seal_broken"
    status = 502
    sentence = N_("The key arrived damaged and was thrown away.")


class GraphUnavailable(Unavailable):
    """Graph, or Entra ID for the broker's own token: no connection, no answer in time, or 5xx."""

    code = "graph_unavailable"
    sentence = N_("Your organisation's device management does not answer.")
    who = TIME


class GraphThrottled(Unavailable):
    """Graph answers 429."""

    code = "graph_throttled"
    sentence = N_("Your organisation's device management is very busy.")
    who = TIME


class GraphRefused(Unavailable):
    """Graph answers 401 or 403 and gives no reason, such as for a token that it no longer takes."""

    code = "graph_refused"
    status = 502
    title = N_("This kiosk is out of order")
    sentence = N_("Your organisation's device management does not let the recovery service in.")
    next_step = N_("Another try will not help. Ask the helpdesk to read the key for you, and quote the reference.")
    final = True


class GraphNoPermission(GraphRefused):
    """Graph answers 403 `Forbidden`: the broker's registration lacks an application permission."""

    code = "graph_no_permission"
    sentence = N_("The recovery service has not been given the permission that it needs for this.")


class GraphNoRole(GraphRefused):
    """Intune answers 401 or 403 with `Forbidden` inside: it knows the application and does not let it do this."""

    code = "graph_no_role"
    sentence = N_("Your organisation's device management forbids the recovery service to do this.")


class CertificateRefused(GraphRefused):
    """Entra ID refuses the broker's certificate, or the file at `[graph] certificate` cannot be used."""

    code = "graph_certificate"
    sentence = N_("The recovery service cannot prove to your organisation who it is.")


class GraphGarbled(Unavailable):
    """Graph's answer has another form than its description says."""

    code = "graph_garbled"
    status = 502
    sentence = N_("Your organisation's device management gave an answer that cannot be read.")


class TokensUnavailable(Unavailable):
    """The broker cannot fetch the tenant's signing keys from `[tokens] authority`."""

    code = "tokens_unavailable"
    sentence = N_("The recovery service cannot check sign-ins at the moment.")


class RecordUnavailable(Unavailable):
    """The database at `[record] database` cannot be written, or not in time."""

    code = "record_unavailable"
    sentence = N_("The recovery service cannot write its record, and without a record no key is shown.")


class SinkUnavailable(RecordUnavailable):
    """A `[[sink]]` that is `required` does not take the record."""

    code = "sink_unavailable"
    sentence = N_("The recovery service cannot pass its record on, and your organisation shows no key without that.")

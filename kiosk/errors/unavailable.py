"""Defines failures of services that a visit needs (HTTP 5xx)."""

from __future__ import annotations

from kiosk.errors.base import KIOSK, SERVICE, TIME, KioskError
from kiosk.i18n import N_


class Unavailable(KioskError):
    code = "unavailable"
    status = 503
    title = N_("Not possible right now")
    sentence = N_("A service that the kiosk needs is not responding.")
    next_step = N_("Wait a minute and try again. If it happens again, tell the helpdesk and quote the reference.")
    who = SERVICE
    origin = "The broker answered with a code that this kiosk does not know. The broker may be newer than the kiosk."


class BrokerUnreachable(Unavailable):
    code = "broker_unreachable"
    sentence = N_("The kiosk gets no reply from the recovery service.")
    who = KIOSK
    origin = (
        "The kiosk cannot connect to `[broker] url`, or gets no answer in time; or a balancer in front of it answers "
        "502, 503 or 504 because it finds no broker."
    )


class BrokerGarbled(Unavailable):
    code = "broker_garbled"
    status = 502
    sentence = N_("The recovery service sent a reply that the kiosk cannot read.")
    who = KIOSK
    origin = "The server at `[broker] url` is not the broker, or a broker of another version."


class SealBroken(Unavailable):
    code = "seal_broken"
    status = 502
    sentence = N_("The key arrived damaged and was discarded.")
    origin = "The kiosk cannot open the sealed key. It was changed between broker and kiosk."


class GraphUnavailable(Unavailable):
    code = "graph_unavailable"
    sentence = N_("Your organisation's device management is not responding.")
    who = TIME
    origin = "Graph, or Entra ID for the broker's own token: no connection, no answer in time, or 5xx."


class GraphThrottled(Unavailable):
    code = "graph_throttled"
    sentence = N_("Your organisation's device management is very busy.")
    who = TIME
    origin = "Graph answers 429."


class GraphRefused(Unavailable):
    code = "graph_refused"
    status = 502
    title = N_("This kiosk is out of order")
    sentence = N_("Your organisation's device management denies the recovery service access.")
    next_step = N_("Trying again will not help. Ask the helpdesk to give you the key, and quote the reference.")
    final = True
    origin = "Graph answers 401 or 403 without a reason, for example because it no longer accepts the token."


class GraphNoPermission(GraphRefused):
    code = "graph_no_permission"
    sentence = N_("The recovery service does not have the permission that it needs for this.")
    origin = "Graph answers 403 `Forbidden`: the broker's registration lacks an application permission."


class GraphNoRole(GraphRefused):
    code = "graph_no_role"
    sentence = N_("Your organisation's device management does not let the recovery service do this.")
    origin = (
        "Intune answers 401 or 403 with `Forbidden` inside: it knows the application but does not permit the request."
    )


class CertificateRefused(GraphRefused):
    code = "graph_certificate"
    sentence = N_("The recovery service cannot prove its identity.")
    origin = "Entra ID refuses the broker's certificate, or the file at `[graph] certificate` cannot be used."


class GraphGarbled(Unavailable):
    code = "graph_garbled"
    status = 502
    sentence = N_("Your organisation's device management sent a reply that cannot be read.")
    origin = "Graph's answer does not have the documented form."


class TokensUnavailable(Unavailable):
    code = "tokens_unavailable"
    sentence = N_("The recovery service cannot check sign-ins.")
    origin = "The broker cannot fetch the tenant's signing keys from `[tokens] authority`."


class RecordUnavailable(Unavailable):
    code = "record_unavailable"
    sentence = N_("The recovery service cannot write to its record, and without a record no key is shown.")
    origin = "Writing to the database at `[record] database` failed or took too long."


class SinkUnavailable(RecordUnavailable):
    code = "sink_unavailable"
    sentence = N_("The recovery service cannot forward its record, and without that no key is shown.")
    origin = "A `[[sink]]` with `required` does not accept the record."

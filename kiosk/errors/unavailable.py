"""Defines failures of services that a visit needs (HTTP 5xx)."""

from __future__ import annotations

from kiosk.errors.base import ACCOUNTS, KIOSK, SERVICE, TIME, KioskError, OutOfOrder
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


class BrokerUntrusted(OutOfOrder, BrokerUnreachable):
    code = "broker_untrusted"
    sentence = N_("The kiosk does not accept the certificate of the recovery service.")
    origin = (
        "The certificate at `[broker] url` does not verify: expired, for another host, or not issued by an authority "
        "in `[broker] ca_bundle`. The kiosk's log says which."
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


class GraphRefused(OutOfOrder, Unavailable):
    code = "graph_refused"
    sentence = N_("Your organisation's device management denies the recovery service access.")
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


class GraphUntrusted(GraphRefused):
    code = "graph_untrusted"
    sentence = N_("The recovery service does not accept the certificate of your organisation's device management.")
    origin = "The certificate of Graph does not verify: `[graph] ca_bundle`, or a proxy that opens connections."


class EntraUnavailable(Unavailable):
    code = "entra_unavailable"
    sentence = N_("The recovery service gets no reply from your organisation's sign-in service.")
    who = TIME
    origin = "Entra ID, asked for the broker's own token: no connection, or no answer in time."


class EntraBusy(EntraUnavailable):
    code = "entra_busy"
    sentence = N_("Your organisation's sign-in service is too busy or down right now.")
    origin = (
        "Entra ID, asked for the broker's own token: 429 or 5xx, OAuth `temporarily_unavailable` or `server_error`, or "
        "an AADSTS number of a transient error."
    )


class EntraGarbled(Unavailable):
    code = "entra_garbled"
    status = 502
    sentence = N_("Your organisation's sign-in service sent the recovery service a reply that cannot be read.")
    origin = "Entra ID, asked for the broker's own token: neither a token nor an error, as from a proxy."


class EntraRefused(OutOfOrder, Unavailable):
    """Base of all refusals to issue the broker's own token."""

    code = "entra_refused"
    sentence = N_("Your organisation's sign-in service denies the recovery service access.")
    origin = "Entra ID refuses the broker's own token for another reason than those below; the log has its number."


class EntraUntrusted(EntraRefused):
    code = "entra_untrusted"
    sentence = N_("The recovery service does not accept the certificate of your organisation's sign-in service.")
    origin = "The certificate at `[graph] authority` does not verify: `[graph] ca_bundle`, or a proxy."


class EntraNoConsent(EntraRefused):
    code = "entra_consent"
    sentence = N_("Your organisation has not approved the recovery service yet.")
    who = ACCOUNTS
    origin = "AADSTS65001, AADSTS7000229 ...: no admin consent, so the registration has no service principal."


class EntraTenantUnknown(EntraRefused):
    code = "entra_tenant"
    sentence = N_("The sign-in service does not recognise the organisation that the recovery service is set up for.")
    origin = "AADSTS90002: the tenant in `[graph] authority` does not exist."


class EntraClientUnknown(EntraRefused):
    code = "entra_client"
    sentence = N_("Your organisation's sign-in service does not recognise the recovery service.")
    origin = "AADSTS700016: the tenant has no application with `[graph] client_id`."


class CertificateRefused(EntraRefused):
    code = "graph_certificate"
    sentence = N_("The recovery service cannot prove its identity.")
    origin = "Entra ID refuses the broker's certificate, or the file at `[graph] certificate` cannot be used."


class GraphGarbled(Unavailable):
    code = "graph_garbled"
    status = 502
    sentence = N_("Your organisation's device management sent a reply that cannot be read.")
    origin = "Graph's answer does not have the documented form."


class GraphFailed(GraphGarbled):
    code = "graph_failed"
    sentence = N_("Your organisation's device management could not complete the request.")
    origin = "Graph answers with an error that has no code of its own here: with 4xx, or inside an answer with 200."


class DevicesUnreadable(GraphGarbled):
    code = "graph_devices_unreadable"
    sentence = N_("You have a device, but your organisation's device management sent no readable details about it.")
    origin = "Graph's list has no Mac of the person, and at least one entry that is not a device, or has no id."


class TokensUnavailable(Unavailable):
    code = "tokens_unavailable"
    sentence = N_("The recovery service cannot check sign-ins.")
    origin = "The broker cannot fetch the tenant's signing keys from `[tokens] authority`."


class TokensUntrusted(OutOfOrder, TokensUnavailable):
    code = "tokens_untrusted"
    sentence = EntraUntrusted.sentence
    origin = "The certificate at `[tokens] authority` does not verify: `[tokens] ca_bundle`, or a proxy."


class RecordUnavailable(Unavailable):
    code = "record_unavailable"
    sentence = N_("The recovery service cannot write to its record, and without a record no key is shown.")
    origin = "Writing to the database at `[record] database` failed or took too long."


class SinkUnavailable(RecordUnavailable):
    code = "sink_unavailable"
    sentence = N_("The recovery service cannot forward its record, and without that no key is shown.")
    origin = "A `[[sink]]` with `required` does not accept the record."

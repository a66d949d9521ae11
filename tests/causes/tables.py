"""How the tests provoke each cause: by a fault, a token, a Mac or a limit. And the causes that no screen shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kiosk.errors import BY_AADSTS, BY_CODE
from kiosk.sandbox.entra.errors import SIGN_IN_REFUSALS


def by_person(code: str) -> int:
    """Return an AADSTS number with which the sandbox refuses a sign-in, and that has this code."""
    numbers: tuple[int, ...] = BY_CODE[code].aadsts  # type: ignore[attr-defined]
    return next(number for number in numbers if number in SIGN_IN_REFUSALS)


# Refused at the phone, once the person has signed in there.
REFUSED = sorted({kind.code for kind in BY_AADSTS.values()} - {"sign_in_flow_off"})
# The sign-in ends for another reason while the code is shown.
ENDED = ("sign_in_declined", "sign_in_expired", "sign_in_code_unknown", "sign_in_flow_off")
# Faults of the sign-in service before there is a code.
BEFORE_THE_CODE: dict[str, dict[str, Any]] = {
    "sign_in_unreachable": {"kind": "reset"},
    "sign_in_busy": {"kind": "status", "status": 503},
    "sign_in_garbled": {"kind": "html"},
    "sign_in_address": {"kind": "set", "field": "verification_uri", "value": "http://x.example/device"},
    "sign_in_failed": {"kind": "aadsts", "aadsts": 99_999_999},
}
# Claims of a token that the kiosk sends to the broker.
TOKENS: dict[str, dict[str, Any]] = {
    "token_invalid": {"ver": "1.0"},
    "token_unsigned": {"signed": "none"},
    "token_signature": {"signed": "foreign"},
    "token_expired": {"exp": 1_000_000_000},
    "token_not_yet_valid": {"nbf": 4_000_000_000},
    "token_stale": {"auth_time": 1_000_000_000},
    "token_audience": {"aud": "another"},
    "token_client": {"azp": "99999999-2222-3333-4444-555555555555"},
    "token_issuer": {"iss": "https://another.example/v2.0"},
    "token_tenant": {"tid": "99999999-2222-3333-4444-555555555555"},
    "token_scope": {"scp": "Another"},
    # A valid token that another visit has already used.
    "token_bound": {},
}


@dataclass(frozen=True)
class Mac:
    """A person's Mac. ``listed`` if the list already shows the refusal; ``change`` is made after it was listed."""

    whose: str
    name: str
    listed: bool = False
    change: tuple[str, str] | None = None


MACS: dict[str, Mac] = {
    "device_not_yours": Mac("Luc Fontaine", "NW-HANDOVER", listed=True),
    "device_shared": Mac("Luc Fontaine", "NW-POOL-07", listed=True),
    "device_wiping": Mac("Luc Fontaine", "NW-WIPED-01", listed=True),
    "device_retiring": Mac("Luc Fontaine", "NW-RETIRED-01", listed=True),
    "device_deleting": Mac("Luc Fontaine", "NW-DELETED-01", listed=True),
    "device_personal": Mac("Emil Novák", "Emil's MacBook", listed=True),
    "device_jamf": Mac("Emil Novák", "NW-ENOVAK-JAMF", listed=True),
    "device_configuration_manager": Mac("Emil Novák", "NW-ENOVAK-CM", listed=True),
    "device_owner_unknown": Mac("Emil Novák", "NW-ENOVAK-AD", listed=True),
    "device_not_mac": Mac("Ada Kessler", "NW-AKESSLER-MINI", change=("os", "iPadOS")),
    "device_system_unknown": Mac("Ada Kessler", "NW-AKESSLER-MINI", change=("os", "OS X")),
    "device_other_agent": Mac("Ada Kessler", "NW-AKESSLER-MINI", change=("agent", "googleCloudDevicePolicyController")),
    "device_not_managed": Mac("Ada Kessler", "NW-AKESSLER-MINI", change=("state", "discovered")),
    "device_not_found": Mac("Ada Kessler", "NW-AKESSLER-14"),
    "key_encryption_deferred": Mac("Priya Raman", "NW-PRAMAN-LOAN"),
    "key_never_reported": Mac("Priya Raman", "NW-PRAMAN-NEW"),
    "key_with_person": Mac("Sofia Marino", "NW-SMARINO-NULL"),
    "key_escrow_off": Mac("Sofia Marino", "NW-SMARINO-EMPTY"),
    "key_unreadable": Mac("Sofia Marino", "NW-SMARINO-ODD", change=("stored", "no key: ✗")),
    "key_not_encrypted": Mac("Sofia Marino", "NW-SMARINO-PLAIN"),
    "key_no_policy": Mac("Sofia Marino", "NW-SMARINO-NOBODY"),
    "key_not_reported": Mac("Sofia Marino", "NW-SMARINO-SILENT"),
    "key_not_escrowed": Mac("Sofia Marino", "NW-SMARINO-GONE"),
}
# The broker's limits, by code.
LIMITS = {
    "limit_person": "per_person",
    "limit_device": "per_device",
    "limit_kiosk": "per_kiosk",
    "limit_overall": "overall",
}
# Faults of Graph in the request for the key.
GRAPH: dict[str, dict[str, Any]] = {
    "graph_unavailable": {"kind": "status", "status": 503},
    "graph_throttled": {"kind": "status", "status": 429},
    "graph_no_role": {"kind": "status", "status": 401},
    "graph_no_permission": {"kind": "status", "status": 403},
    "graph_garbled": {"kind": "html"},
    "graph_failed": {"kind": "json", "value": {"error": {"code": "generalException", "message": "An error"}}},
}
# Faults of Entra ID when the broker asks for its own token.
ENTRA: dict[str, dict[str, Any]] = {
    "entra_unavailable": {"kind": "reset"},
    "entra_busy": {"kind": "status", "status": 429},
    "entra_garbled": {"kind": "json", "value": {}},
    "entra_refused": {"kind": "aadsts", "aadsts": 53003},
    "entra_consent": {"kind": "aadsts", "aadsts": 7000229},
    "entra_tenant": {"kind": "aadsts", "aadsts": 90002},
    "entra_client": {"kind": "aadsts", "aadsts": 700016},
    "graph_certificate": {"kind": "aadsts", "aadsts": 700027},
}
# Ends of a sign-in on the phone: tests/broker/sign_ins and tests/sign_in_page cause each of them.
PHONE = (
    "digits_refused",
    "digits_wrong",
    "kiosk_cancelled",
    "kiosk_not_known",
    "phone_cancelled",
    "phone_forged",
    "phone_link_unknown",
    "phone_link_used",
    "phone_no_auth_time",
    "phone_no_context",
    "phone_no_cookie",
    "phone_nonce_wrong",
    "phone_not_here",
    "phone_not_me",
    "phone_sign_in_expired",
    "phone_sign_in_failed",
    "phone_sign_in_stale",
    "phone_sign_in_unknown",
    "phone_tokens_refused",
    "phone_words_wrong",
    "sign_in_limit",
    "sign_in_method_off",
    "sign_in_page_down",
    "sign_in_page_not_known",
    "token_unconfirmed",
)
# Each of these has its own test.
BY_HAND = (
    "broker_garbled",
    "broker_unreachable",
    "broker_untrusted",
    "device_blocked",
    "entra_untrusted",
    "graph_devices_unreadable",
    "graph_refused",
    "graph_untrusted",
    "internal",
    "key_rotated",
    "limit_requests",
    "person_blocked",
    "reason_required",
    "reason_unfit",
    "record_unavailable",
    "request_invalid",
    "route_unknown",
    "seal_broken",
    "self_service_not_yours",
    "self_service_off",
    "sign_in_untrusted",
    "sink_unavailable",
    "terminal_watched",
    "token_missing",
    "tokens_unavailable",
    "tokens_untrusted",
    "unavailable",
)
# Causes that no screen can show, and why.
NEVER_SEEN = {
    "configuration": "ends the program before there is a screen; `kiosk check` and the log have it",
    "token_unproven": "answers requests that no kiosk sends; tests/broker/test_proofs.py sends them",
    "token_proof_time": "makes the kiosk ask once more with the broker's time; tests/test_api.py sets its clock wrong",
    "release_unknown": "answers the word that a reveal is over, for which no screen waits",
}

"""Every call that kiosk and broker make in one visit, in order, and every fault that can happen to a call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kiosk.errors import BY_CODE, DeviceRefused, KeyNotEscrowed
from tests.support.relay import LINE_FAULTS

MANAGED = "/beta/deviceManagement/managedDevices"
ONE = f"{MANAGED}/????????-????-????-????-????????????"
DISCOVERY = "*/.well-known/openid-configuration"
TOKEN = "*/oauth2/v2.0/token"
SIGN_IN = frozenset(f"sign_in_{why}" for why in ("unreachable", "untrusted", "busy", "garbled", "failed", "passing"))
BROKER = frozenset({"broker_unreachable", "broker_untrusted", "broker_garbled"})
TOKENS = frozenset({"tokens_unavailable", "tokens_untrusted"})
GRAPH = frozenset(code for code in BY_CODE if code.startswith("graph_")) - {"graph_certificate"}
ENTRA = frozenset(code for code in BY_CODE if code.startswith("entra_")) | {"graph_certificate"}
ABOUT_DEVICE = frozenset(kind.code for kind in BY_CODE.values() if issubclass(kind, DeviceRefused))


@dataclass(frozen=True)
class Call:
    """One call: over which relay, in which step of the visit, to which path.

    ``after`` is the step and the path of the call before it; a faulty connection starts after that call, so that it
    affects this one first. ``> path`` is a request of the kiosk that the broker has not answered yet. ``codes`` are the
    errors that may be shown if it fails; without any, the visit continues. ``shapes`` are fields of the answer with
    wrong values. ``cold`` names what the broker must not have cached for this call to happen. ``keyless`` calls need a
    Mac without a key. ``method`` tells apart calls to one path.
    """

    name: str
    line: str
    phase: str
    path: str
    after: str | None
    codes: frozenset[str]
    shapes: tuple[tuple[str, Any], ...] = ()
    dns: str = ""
    cold: str = ""
    keyless: bool = False
    method: str = "*"

    @property
    def client(self) -> str:
        """The client that makes the call, and treats its answers as those of its other calls."""
        if self.line == "broker":
            return "kiosk to broker"
        return self.cold or ("kiosk to authority" if self.phase == "sign_in" else "broker to Graph")


MISSING = object()
_WRONG_TYPES: tuple[Any, ...] = (7, [], {})
_ODD: tuple[Any, ...] = (MISSING, None, "", *_WRONG_TYPES)
_DATES = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", -1)


def _fields(prefix: str, *names: str, values: tuple[Any, ...] = _ODD) -> tuple[tuple[str, Any], ...]:
    return tuple((f"{prefix}{name}", value) for name in names for value in values)


_RULED = ("operatingSystem", "managedDeviceOwnerType", "managementState", "managementAgent")
_DEVICE = ("id", "deviceName", "userId", *_RULED)
_PERSON = ("person.tid", "person.oid", "person.name", "reason", "version")

CALLS = (
    Call(
        "kiosk asks the authority for its discovery",
        "entra",
        "sign_in",
        DISCOVERY,
        None,
        SIGN_IN,
        (*_fields("", "token_endpoint", "device_authorization_endpoint", "issuer"), ("extra", {"a": [1]})),
        dns="sign_in",
    ),
    Call(
        "kiosk asks for a device code",
        "entra",
        "sign_in",
        "*/oauth2/v2.0/devicecode",
        f"sign_in {DISCOVERY}",
        SIGN_IN | {"sign_in_address"},
        (
            *_fields("", "user_code", "device_code", "verification_uri", "expires_in", "interval"),
            *_fields("", "expires_in", "interval", values=(-1, 10**12, "soon")),
            ("extra", {"a": [1]}),
        ),
    ),
    Call(
        "kiosk polls for the token",
        "entra",
        "sign_in",
        TOKEN,
        "sign_in */oauth2/v2.0/devicecode",
        # If the answer is lost on its way, so is the token.
        SIGN_IN | {"sign_in_code_used"},
        (("error", 7), ("error", MISSING), ("error_codes", "none"), ("error_codes", [None]), ("extra", {"a": [1]})),
    ),
    Call(
        "kiosk opens the session",
        "broker",
        "session",
        "/v1/session",
        None,
        BROKER,
        (*_fields("", *_PERSON[:3]), *_fields("", "reason", values=(*_ODD, "whenever")), ("extra", {"a": [1]})),
        dns="broker",
    ),
    Call(
        "broker asks the authority for its discovery",
        "entra",
        "session",
        DISCOVERY,
        "session > /v1/session",
        TOKENS,
        (
            *_fields("", "issuer", "jwks_uri"),
            ("jwks_uri", "https://elsewhere.example/keys"),
            ("jwks_uri", "http://localhost/keys"),
            ("issuer", "https://localhost/another-tenant/v2.0"),
            ("extra", {"a": [1]}),
        ),
        dns="tokens",
        cold="keys",
    ),
    Call(
        "broker asks for the signing keys",
        "entra",
        "session",
        "*/discovery/v2.0/keys",
        f"session {DISCOVERY}",
        TOKENS | {"token_signature"},
        (*_fields("", "keys"), *_fields("keys.*.", "kid", "n", "e", "kty"), ("keys.*.extra", {"a": [1]})),
        cold="keys",
    ),
    Call(
        "kiosk asks for the devices",
        "broker",
        "devices",
        "/v1/devices",
        "session /v1/session",
        BROKER,
        (
            *_fields("", "devices"),
            *_fields("devices.0.", "id", "name", "serial"),
            *_fields("devices.0.", "last_seen", values=_DATES),
            ("devices.0.refusal", "of_a_newer_broker"),
            ("devices", "{twice}"),
            ("next", 7),
            ("next", "{self}"),
            ("extra", {"a": [1]}),
        ),
    ),
    Call(
        "broker asks its authority for discovery",
        "entra",
        "devices",
        DISCOVERY,
        "devices > /v1/devices",
        ENTRA,
        (*_fields("", "token_endpoint"), ("extra", {"a": [1]})),
        dns="graph.authority",
        cold="credential",
    ),
    Call(
        "broker asks for its own token",
        "entra",
        "devices",
        TOKEN,
        f"devices {DISCOVERY}",
        ENTRA,
        (*_fields("", "access_token"), *_fields("", "expires_in", values=(None, "soon", -1)), ("extra", {"a": [1]})),
        cold="credential",
    ),
    Call(
        "broker lists the person's devices",
        "entra",
        "devices",
        MANAGED,
        "devices > /v1/devices",
        # Entra ID issues no token for a Graph of another name.
        GRAPH | ABOUT_DEVICE | {"entra_refused"},
        (
            *_fields("", "value"),
            *_fields("value.*.", *_DEVICE),
            *_fields("value.*.", *_RULED, values=("novelty",)),
            *_fields("value.*.", "lastSyncDateTime", values=_DATES),
            ("value.*.extra", {"a": [1]}),
            ("value", "{twice}"),
            *_fields("", "@odata.nextLink", values=(7, [], "nowhere", "{self}")),
            ("@odata.nextLink", "https://elsewhere.example/beta/next"),
            ("@odata.nextLink", "http://localhost/beta/next"),
        ),
        dns="graph.url",
    ),
    Call(
        "broker asks for the next page",
        "entra",
        "devices",
        f"{MANAGED}[?]*skiptoken*",
        f"devices {MANAGED}[?]*",
        GRAPH | ABOUT_DEVICE,
        (*_fields("", "value"), ("value", "{twice}"), ("@odata.nextLink", "{self}"), ("extra", {"a": [1]})),
    ),
    Call(
        "broker asks for primary users for the list",
        "entra",
        "devices",
        f"{MANAGED}/*/users",
        f"devices {MANAGED}[?]*skiptoken*",
        frozenset(),
        (*_fields("", "value"), *_fields("value.*.", "id"), ("value", "{twice}"), ("extra", {"a": [1]})),
    ),
    Call(
        "kiosk asks for the second page of devices",
        "broker",
        "devices",
        "/v1/devices[?]*",
        "devices /v1/devices",
        BROKER,
        (*_fields("", "devices"), ("devices", "{twice}"), ("next", "2"), ("extra", {"a": [1]})),
    ),
    Call(
        "kiosk asks for a release",
        "broker",
        "release",
        "/v1/devices/*/release",
        "devices /v1/devices[?]*",
        BROKER | {"seal_broken"},
        (
            *_fields("", "release_id", "device_id", "sealed"),
            ("device_id", "00000000-0000-0000-0000-000000000000"),
            ("release_id", "00000000-0000-0000-0000-000000000000"),
            ("sealed", "AAAA"),
            *_fields("", "deadline", values=_DATES),
            ("extra", {"a": [1]}),
        ),
    ),
    Call(
        "broker reads the device again",
        "entra",
        "release",
        ONE,
        "release > /v1/devices/*/release",
        GRAPH | ABOUT_DEVICE,
        (
            *_fields("", *_DEVICE),
            *_fields("", *_RULED, values=("novelty",)),
            *_fields("", "lastSyncDateTime", values=_DATES),
            ("id", "00000000-0000-0000-0000-000000000000"),
            ("extra", {"a": [1]}),
        ),
    ),
    Call(
        "broker reads the primary users again",
        "entra",
        "release",
        f"{MANAGED}/*/users",
        f"release {ONE}[?]*",
        GRAPH | ABOUT_DEVICE,
        (
            *_fields("", "value"),
            *_fields("value.*.", "id"),
            ("value.*.id", "00000000-0000-0000-0000-000000000000"),
            ("@odata.nextLink", "{self}"),
            ("@odata.nextLink", "https://elsewhere.example/beta/next"),
            ("extra", {"a": [1]}),
        ),
    ),
    Call(
        "broker fetches the key",
        "entra",
        "release",
        "*/getFileVaultKey",
        f"release {MANAGED}/*/users[?]*",
        GRAPH | ABOUT_DEVICE,
        (*_fields("", "value"), ("value", "A" * 9000), ("value", "not a key"), ("extra", {"a": [1]})),
    ),
    Call(
        "broker asks how a Mac without a key is encrypted",
        "entra",
        "release",
        "*/managedDeviceEncryptionStates/*",
        "release */getFileVaultKey",
        frozenset(kind.code for kind in BY_CODE.values() if issubclass(kind, KeyNotEscrowed)),
        (
            *_fields("", "encryptionState", "fileVaultStates", "policyDetails", "encryptionPolicySettingState"),
            *_fields("", "encryptionState", "fileVaultStates", values=("novelty", ["novelty"])),
            ("extra", {"a": [1]}),
        ),
        keyless=True,
    ),
    Call(
        "kiosk says how the reveal ended",
        "broker",
        "closed",
        "/v1/releases/*/closed",
        "release /v1/devices/*/release",
        frozenset(),
    ),
    Call(
        "supervisor says that a reveal was lost",
        "broker",
        "lost",
        "/v1/releases/*/lost",
        "closed /v1/releases/*/closed",
        frozenset(),
    ),
)

STATUSES = (400, 401, 403, 404, 408, 410, 418, 429, 500, 502, 503, 504)
# No call has a meaning of its own for these: a client answers each of them in the same way at all of its calls.
_ALIKE = (
    *("delay", "cut", "truncated", "endless", "html", "wrong_type", "trickle", "huge", "reset once"),
    *("400", "408", "410", "418", "500", "502", "504", "429 for a minute", "503 once"),
)
EVERY_FAULT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("delay", {"kind": "delay", "seconds": 0.4}),
    *((kind, {"kind": kind}) for kind in ("hang", "reset", "cut", "truncated", "endless", "html", "wrong_type")),
    ("trickle", {"kind": "trickle", "seconds": 0.25}),
    ("huge", {"kind": "huge", "megabytes": 8}),
    ("reset once", {"kind": "reset", "times": 1}),
    *((str(status), {"kind": "status", "status": status}) for status in STATUSES),
    ("429 for a minute", {"kind": "status", "status": 429, "retry_after": 60}),
    ("503 once", {"kind": "status", "status": 503, "times": 1}),
)


def http_faults(call: Call, *, every: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the faults of an answer: another answer in its place, or damage on its way.

    Unless ``every`` one is wanted, the calls of a client share the faults that it treats alike.
    """
    shared = _share(call, _ALIKE)
    for name, fault in EVERY_FAULT:
        if every or name not in _ALIKE or name in shared:
            yield name, fault


def line_faults(call: Call, *, every: bool) -> Sequence[str]:
    """Return the faults of a connection; unless ``every`` one is wanted, the calls of a client share them."""
    return LINE_FAULTS if every else _share(call, LINE_FAULTS)


def _share(call: Call, faults: Sequence[str]) -> Sequence[str]:
    """Return the faults of this call, when all calls of its client take one in turn."""
    calls = [one.name for one in CALLS if one.client == call.client]
    place = calls.index(call.name)
    return faults[place :: len(calls)] or faults[place % len(faults) :][:1]


def shapes(call: Call, *, every: bool) -> Iterator[tuple[str, Any]]:
    """Yield fields of an answer with their wrong values.

    Unless ``every`` one is wanted, each field has one of the odd values, each value in turn; missing is one of them.
    """
    fields = list(dict.fromkeys(field for field, _ in call.shapes))
    for field, value in call.shapes:
        odd = [other for name, other in call.shapes if name == field and other in _ODD]
        if every or value not in odd or value == odd[fields.index(field) % len(odd)]:
            yield field, value


__all__ = ["CALLS", "EVERY_FAULT", "LINE_FAULTS", "MISSING", "STATUSES", "Call", "http_faults", "line_faults", "shapes"]

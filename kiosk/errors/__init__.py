"""All errors, as one tree. Each leaf has a stable code, words for the person and a cause for operators.

KioskError
├── TerminalWatched             a recorder forbids a reveal
├── KeyRotated                  a warning that comes with a key
├── ConfigError                 an invalid file of the operator; ends the program with exit code 2
├── SignInError                 Entra ID refused, or did not answer
├── Refused                     the broker refused (HTTP 4xx)
│   ├── TokenRefused            the person could not be identified
│   ├── DeviceRefused           this device's key may not be released
│   │   └── KeyNotEscrowed      no key was stored, and why
│   └── RequestRefused          this request may not be served now
└── Unavailable                 a service that the kiosk needs does not work (HTTP 5xx)
"""

from __future__ import annotations

from kiosk.errors.base import (
    PROBLEM_TYPE,
    ConfigError,
    KioskError,
    TerminalWatched,
    new_reference,
)
from kiosk.errors.devices import (
    DeviceBlocked,
    DeviceDeleting,
    DeviceLeaving,
    DeviceNotFound,
    DeviceNotMac,
    DeviceNotManaged,
    DeviceNotYours,
    DeviceOtherAgent,
    DeviceOwnerUnknown,
    DevicePersonal,
    DeviceRefused,
    DeviceRetiring,
    DeviceShared,
    DeviceSystemUnknown,
    DeviceWiping,
    DeviceWithConfigurationManager,
    DeviceWithJamf,
    EncryptionDeferred,
    EncryptionNoPolicy,
    EncryptionNotStarted,
    KeyEscrowOff,
    KeyNeverReported,
    KeyNotEscrowed,
    KeyNotReported,
    KeyRotated,
    KeyUnreadable,
    KeyWithPerson,
)
from kiosk.errors.refused import (
    DeviceLimit,
    KioskLimit,
    LimitReached,
    OverallLimit,
    PersonBlocked,
    PersonLimit,
    ReasonRequired,
    ReasonUnfit,
    Refused,
    ReleaseUnknown,
    RequestInvalid,
    RequestLimit,
    RequestRefused,
    RouteUnknown,
    SelfServiceNotYours,
    SelfServiceOff,
    TokenBadSignature,
    TokenBound,
    TokenExpired,
    TokenMissing,
    TokenNotYetValid,
    TokenProofTime,
    TokenRefused,
    TokenStale,
    TokenUnproven,
    TokenUnsigned,
    TokenWrongAudience,
    TokenWrongClient,
    TokenWrongIssuer,
    TokenWrongScope,
    TokenWrongTenant,
)
from kiosk.errors.sign_in import (
    SignInAddress,
    SignInBusy,
    SignInCodeUnknown,
    SignInDeclined,
    SignInError,
    SignInExpired,
    SignInGarbled,
    SignInUnreachable,
    SignInUntrusted,
)
from kiosk.errors.sign_in_refusals import BY_AADSTS
from kiosk.errors.unavailable import (
    BrokerGarbled,
    BrokerUnreachable,
    BrokerUntrusted,
    CertificateRefused,
    DevicesUnreadable,
    EntraBusy,
    EntraClientUnknown,
    EntraGarbled,
    EntraNoConsent,
    EntraRefused,
    EntraTenantUnknown,
    EntraUnavailable,
    EntraUntrusted,
    GraphFailed,
    GraphGarbled,
    GraphNoPermission,
    GraphNoRole,
    GraphRefused,
    GraphThrottled,
    GraphUnavailable,
    GraphUntrusted,
    RecordUnavailable,
    SealBroken,
    SinkUnavailable,
    TokensUnavailable,
    TokensUntrusted,
    Unavailable,
)

__all__ = [
    "BY_AADSTS",
    "BY_CODE",
    "PROBLEM_TYPE",
    "BrokerGarbled",
    "BrokerUnreachable",
    "BrokerUntrusted",
    "CertificateRefused",
    "ConfigError",
    "DeviceBlocked",
    "DeviceDeleting",
    "DeviceLeaving",
    "DeviceLimit",
    "DeviceNotFound",
    "DeviceNotMac",
    "DeviceNotManaged",
    "DeviceNotYours",
    "DeviceOtherAgent",
    "DeviceOwnerUnknown",
    "DevicePersonal",
    "DeviceRefused",
    "DeviceRetiring",
    "DeviceShared",
    "DeviceSystemUnknown",
    "DeviceWiping",
    "DeviceWithConfigurationManager",
    "DeviceWithJamf",
    "DevicesUnreadable",
    "EncryptionDeferred",
    "EncryptionNoPolicy",
    "EncryptionNotStarted",
    "EntraBusy",
    "EntraClientUnknown",
    "EntraGarbled",
    "EntraNoConsent",
    "EntraRefused",
    "EntraTenantUnknown",
    "EntraUnavailable",
    "EntraUntrusted",
    "GraphFailed",
    "GraphGarbled",
    "GraphNoPermission",
    "GraphNoRole",
    "GraphRefused",
    "GraphThrottled",
    "GraphUnavailable",
    "GraphUntrusted",
    "KeyEscrowOff",
    "KeyNeverReported",
    "KeyNotEscrowed",
    "KeyNotReported",
    "KeyRotated",
    "KeyUnreadable",
    "KeyWithPerson",
    "KioskError",
    "KioskLimit",
    "LimitReached",
    "OverallLimit",
    "PersonBlocked",
    "PersonLimit",
    "ReasonRequired",
    "ReasonUnfit",
    "RecordUnavailable",
    "Refused",
    "ReleaseUnknown",
    "RequestInvalid",
    "RequestLimit",
    "RequestRefused",
    "RouteUnknown",
    "SealBroken",
    "SelfServiceNotYours",
    "SelfServiceOff",
    "SignInAddress",
    "SignInBusy",
    "SignInCodeUnknown",
    "SignInDeclined",
    "SignInError",
    "SignInExpired",
    "SignInGarbled",
    "SignInUnreachable",
    "SignInUntrusted",
    "SinkUnavailable",
    "TerminalWatched",
    "TokenBadSignature",
    "TokenBound",
    "TokenExpired",
    "TokenMissing",
    "TokenNotYetValid",
    "TokenProofTime",
    "TokenRefused",
    "TokenStale",
    "TokenUnproven",
    "TokenUnsigned",
    "TokenWrongAudience",
    "TokenWrongClient",
    "TokenWrongIssuer",
    "TokenWrongScope",
    "TokenWrongTenant",
    "TokensUnavailable",
    "TokensUntrusted",
    "Unavailable",
    "from_code",
    "kind_of",
    "new_reference",
]


def _leaves(kind: type[KioskError]) -> dict[str, type[KioskError]]:
    found = {kind.code: kind}
    for child in kind.__subclasses__():
        # A code that a child inherits still maps to its parent.
        found = _leaves(child) | found
    return found


BY_CODE: dict[str, type[KioskError]] = _leaves(KioskError)


def kind_of(code: str | None) -> type[KioskError] | None:
    """Return the class of a code. Returns None without a code, and for an unknown one, as from a newer broker."""
    return BY_CODE.get(code) if code else None


def from_code(code: str, cause: str = "", *, reference: str = "", retry_after: float | None = None) -> KioskError:
    """Return the error of a code. An unknown code, as from a newer broker, becomes a plain Unavailable."""
    kind = BY_CODE.get(code, Unavailable)
    if kind is ConfigError:
        kind = Unavailable
    return kind(cause or code, reference=reference, retry_after=retry_after)

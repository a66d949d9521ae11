"""Reads the errors of an OAuth service about people who sign in."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

import httpx

from kiosk.clock import Clock
from kiosk.errors import (
    BY_AADSTS,
    SignInBusy,
    SignInCodeUnknown,
    SignInDeclined,
    SignInError,
    SignInExpired,
    SignInGarbled,
    SignInUnreachable,
    SignInUntrusted,
)
from kiosk.net.http import untrusted
from kiosk.net.msal_http import Busy, Rejected
from kiosk.text import clean

# OAuth errors from RFC 6749 and RFC 8628, or seen from Entra ID. They decide; AADSTS numbers only choose the words.
DECLINED = frozenset({"authorization_declined", "access_denied"})
PASSING = frozenset({"temporarily_unavailable", "server_error"})
_EXPIRED = frozenset({"expired_token", "code_expired"})

_BY_ERROR: dict[str, type[SignInError]] = {
    **dict.fromkeys(DECLINED, SignInDeclined),
    **dict.fromkeys(_EXPIRED, SignInExpired),
    **dict.fromkeys(PASSING, SignInBusy),
    "bad_verification_code": SignInCodeUnknown,
}
# An answer in an address has no list of numbers.
_IN_DESCRIPTION = re.compile(r"AADSTS([0-9]{1,10})\b")


@contextlib.contextmanager
def sign_in_errors_only(clock: Clock) -> Iterator[None]:
    """Turn every failure of a call of MSAL into a SignInError, whose cause quotes nothing that was sent or answered."""
    try:
        yield
    except SignInError:
        raise
    except Busy as error:
        raise SignInBusy(str(error), retry_after=error.retry_after) from None
    except Rejected as error:
        raise refusal(error.answer, clock) from None
    except httpx.DecodingError as error:
        raise SignInGarbled(str(error)) from None
    except (httpx.HTTPError, TimeoutError) as error:
        if reason := untrusted(error):
            raise SignInUntrusted(reason) from None
        raise SignInUnreachable(f"{type(error).__name__} while asking the authority") from None
    except Exception as error:
        # MSAL documents no exceptions and does not validate answers: ValueError, KeyError, TypeError ...
        raise SignInGarbled(f"{type(error).__name__} while asking the authority") from None


def refusal(answer: Mapping[str, object], clock: Clock) -> SignInError:
    """Return the error for an OAuth answer without a token. Any type may be in any place of the answer."""
    error = clean(answer.get("error"), 60)
    numbers = _numbers(answer)
    kind = _BY_ERROR.get(error) or next((BY_AADSTS[one] for one in numbers if one in BY_AADSTS), SignInError)
    support = f"AADSTS{numbers[0]}" if numbers else ""
    correlation = clean(answer.get("correlation_id"), 40)
    return kind(
        f"{error} {support} {correlation}".strip(),
        support=support,
        correlation_id=correlation,
        at=clean(answer.get("timestamp"), 24) or f"{clock.utc():%Y-%m-%d %H:%M:%SZ}",
    )


def _numbers(answer: Mapping[str, object]) -> list[int]:
    codes, description = answer.get("error_codes"), answer.get("error_description")
    if isinstance(codes, list):
        return [one for one in codes if type(one) is int]
    found = _IN_DESCRIPTION.match(description) if isinstance(description, str) else None
    return [int(found[1])] if found else []

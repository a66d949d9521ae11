"""Reads what phones send: our own forms, and the codes that people type."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from kiosk.errors import PhoneForged, RequestInvalid
from kiosk.sign_in_messages import LINK_ALPHABET, LINK_LENGTH, WordPair
from kiosk.sign_in_page.headers import is_our_own

_LARGEST = 4096
_MOST_FIELDS = 8
_NONE = "none"


async def read_form(request: Request, origin: str) -> dict[str, str]:
    """Return the fields of a form. Raises PhoneForged for one from another site, and RequestInvalid."""
    if not is_our_own(request.headers, origin):
        raise PhoneForged("a form that was not sent from a page of ours")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST:
            raise RequestInvalid("a form that is longer than ours")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise RequestInvalid("a form that cannot be read") from None


def link_of(typed: str) -> str:
    """Return the code of a link in its usual form, or "" if no code has this form."""
    code = "".join(typed[:80].upper().replace("-", "").split())
    return code if len(code) == LINK_LENGTH and set(code) <= set(LINK_ALPHABET) else ""


def words_of(value: str) -> WordPair | None:
    """Return the words of a button; None for "none of these". Raises RequestInvalid."""
    if value == _NONE:
        return None
    first, _, second = value.partition("-")
    if not all(number.isascii() and number.isdecimal() and len(number) <= 3 for number in (first, second)):
        raise RequestInvalid("words that no button has")
    return int(first), int(second)

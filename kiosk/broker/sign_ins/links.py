"""Makes and reads the links that a kiosk shows: codes of eight characters behind the address of the sign-in page."""

from __future__ import annotations

import re
import secrets

from kiosk.sign_in_messages import LINK_ALPHABET, LINK_LENGTH

_HALF = LINK_LENGTH // 2
_CODE = re.compile(f"[{LINK_ALPHABET}]{{{LINK_LENGTH}}}")
_BETWEEN = re.compile(r"[\s-]+")


def new_code() -> str:
    """Return a random code."""
    return "".join(secrets.choice(LINK_ALPHABET) for _ in range(LINK_LENGTH))


def code_of(typed: str) -> str:
    """Return the code that somebody scanned or typed, "" if it cannot be one. Case, dashes and spaces do not matter."""
    code = _BETWEEN.sub("", typed).upper()
    return code if _CODE.fullmatch(code) else ""


def scan_address(page: str, code: str) -> str:
    """Return the address for a QR code: in upper case, of which it can hold more."""
    return f"{page.rstrip('/')}/{code}".upper()


def typed_address(page: str, code: str) -> str:
    """Return the address for people who type it."""
    return f"{page.rstrip('/')}/{code[:_HALF]}-{code[_HALF:]}"

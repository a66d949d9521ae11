"""What has the form of a FileVault recovery key, and where its characters stand."""

from __future__ import annotations

import pytest

from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS, KEY_LENGTH, is_usual, position
from kiosk.secret import SecretBuffer

KEY = "HJ4W-7QXB-MNPR-K2LC-9YTG-D5FA"


def held(text: str) -> SecretBuffer:
    return SecretBuffer(bytes(bytearray(text.encode())))


def test_groups_are_found_by_their_places() -> None:
    found = [KEY[position(group, place)] for group in range(GROUPS) for place in range(GROUP_LENGTH)]
    assert "".join(found) == KEY.replace("-", "")
    assert len(KEY) == KEY_LENGTH


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        (KEY, True),
        (KEY.lower(), False),
        (KEY[:-1] + "a", False),
        (KEY[:-1] + "!", False),
        ("0000-1111-2222-3333-4444-5555", True),
        (KEY[:-5], False),
        (KEY + "-ABCD", False),
        (KEY.replace("-", ""), False),
        (KEY[:-1] + "-", False),
        ("-" * KEY_LENGTH, False),
        ("", False),
    ],
)
def test_the_form(text: str, usual: bool) -> None:
    assert is_usual(held(text)) is usual

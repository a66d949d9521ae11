"""The form of a FileVault recovery key: six groups of four characters, separated by dashes. Copies no key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kiosk.secret import SecretBuffer

GROUPS: Final = 6
GROUP_LENGTH: Final = 4
KEY_LENGTH: Final = GROUPS * GROUP_LENGTH + GROUPS - 1
_DASHES = b"-"
_CHARACTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def position(group: int, place: int) -> int:
    """Return the index of a character of a group; both arguments count from 0."""
    return group * (GROUP_LENGTH + 1) + place


def is_usual(key: SecretBuffer) -> bool:
    """Whether this has the form of a FileVault recovery key. Keys of another form are shown as well.

    Small letters are another form: large type has only capitals, and a key is drawn as it is.
    """
    between = GROUP_LENGTH + 1
    return len(key) == KEY_LENGTH and all(
        key[place] in (_DASHES if place % between == GROUP_LENGTH else _CHARACTERS) for place in range(KEY_LENGTH)
    )

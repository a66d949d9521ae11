"""Checks a copy of the key group by group, even after the key is wiped. It keeps ten bits of each group.

A group of a FileVault key has twenty bits, so any full hash, however slow, would reveal the group to an attacker who
tries all groups. Ten bits are too few for that: they leave half of each group, sixty bits of the key, unknown. The
price is that one mistake in 1024 passes as right.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS, is_usual, position
from kiosk.secret import SecretBuffer, overwrite, zero

TRIES: Final = 5
BITS: Final = 10
_SALT_BYTES = 32
_TAG_BYTES = 2
_SPARE_BITS = 8 * _TAG_BYTES - BITS
_BETWEEN_GROUPS = frozenset("- \u2010\u2011\u2012\u2013\u2014\u00a0")
_CASE_BIT = 0x20


class Verdict(Enum):
    """The result for one group. It never says which character is wrong."""

    RIGHT = auto()
    WRONG = auto()
    # Not four characters; costs no try.
    INCOMPLETE = auto()
    OUT_OF_TRIES = auto()
    # The check was wiped.
    FORGOTTEN = auto()


@dataclass(frozen=True)
class Outcome:
    """The result of a check, as it may be recorded."""

    right: int
    out_of_tries: int

    @property
    def complete(self) -> bool:
        """Whether all groups were right."""
        return self.right == GROUPS


def may_occur(character: str) -> bool:
    """Whether a key can contain this character, as a small or capital letter. Others are refused while typing."""
    return len(character) == 1 and character.isascii() and character.isalnum()


def is_between(character: str) -> bool:
    """Whether this is a dash or a blank, which are ignored."""
    return character in _BETWEEN_GROUPS


class CopyCheck:
    """Keeps what comparing needs in wipeable memory: a random salt, and ten bits of a keyed hash of each group.

    A second check of the same key would keep ten other bits: wipe the first before making another.
    """

    def __init__(self, key: SecretBuffer) -> None:
        """Read the key once. Raises ValueError for a key of unusual form, which has no groups."""
        if not is_usual(key):
            raise ValueError("no groups")
        self._tries = [TRIES] * GROUPS
        self._right = [False] * GROUPS
        self._kept = _kept(key)

    @property
    def begun(self) -> bool:
        """Whether anything was compared."""
        return any(self._right) or any(left < TRIES for left in self._tries)

    def is_right(self, number: int) -> bool:
        """Whether group 1 to 6 was copied right."""
        return self._right[number - 1]

    @property
    def outcome(self) -> Outcome:
        spent = sum(not left and not right for left, right in zip(self._tries, self._right, strict=True))
        return Outcome(sum(self._right), spent)

    def tries_left(self, number: int) -> int:
        """Return how many wrong tries group 1 to 6 has left."""
        return self._tries[number - 1]

    def check(self, number: int, typed: bytearray) -> Verdict:
        """Compare group 1 to 6 with ``typed``, which is zeroed."""
        group = number - 1
        characters = _plain(typed)
        try:
            if not len(self._kept):
                return Verdict.FORGOTTEN
            if not self._tries[group]:
                return Verdict.OUT_OF_TRIES
            if len(characters) != GROUP_LENGTH:
                return Verdict.INCOMPLETE
            if self._same(group, characters):
                self._right[group] = True
                return Verdict.RIGHT
            self._tries[group] -= 1
            return Verdict.WRONG
        except IndexError:
            # Another thread wiped the check meanwhile.
            return Verdict.FORGOTTEN
        finally:
            zero(characters)

    def _same(self, group: int, characters: bytearray) -> bool:
        salt = bytes(self._kept[place] for place in range(_SALT_BYTES))
        start = _SALT_BYTES + group * _TAG_BYTES
        kept = bytes(self._kept[start + place] for place in range(_TAG_BYTES))
        made = _tag(salt, group, characters)
        same = hmac.compare_digest(kept, made)
        for temporary in (salt, kept, made):
            overwrite(temporary)
        return same

    def wipe(self) -> None:
        """Zero everything but the outcome. Safe to call again."""
        self._kept.wipe()


def _kept(key: SecretBuffer) -> SecretBuffer:
    salt = secrets.token_bytes(_SALT_BYTES)
    kept, characters = bytearray(salt), bytearray(GROUP_LENGTH)
    for group in range(GROUPS):
        for place in range(GROUP_LENGTH):
            characters[place] = key[position(group, place)]
        tag = _tag(salt, group, _plain(characters))
        kept += tag
        overwrite(tag)
    buffer = SecretBuffer(bytes(kept))
    zero(kept)
    overwrite(salt)
    return buffer


def _tag(salt: bytes, group: int, characters: bytearray) -> bytes:
    """Return ten bits that depend on salt, group and characters. Zeroes the characters."""
    # CPython zeroes the state of BLAKE2 on release.
    found = hashlib.blake2s(characters, digest_size=_TAG_BYTES, key=salt, salt=bytes([group])).digest()
    zero(characters)
    number = int.from_bytes(found, "big") >> _SPARE_BITS
    overwrite(found)
    return number.to_bytes(_TAG_BYTES, "big")


def _plain(typed: bytearray) -> bytearray:
    """Return capitals without dashes and spaces. Zeroes ``typed``."""
    plain = bytearray(len(typed))
    length = 0
    for value in typed:
        if not is_between(chr(value)):
            plain[length] = value & ~_CASE_BIT if chr(value).isascii() and chr(value).isalpha() else value
            length += 1
    zero(typed)
    del plain[length:]
    return plain

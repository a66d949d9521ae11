"""Finds the look-alikes in a key. Assumes nothing about which characters keys contain.

The result reveals a little about the key. Show it only beside the key, and remove it with the key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from kiosk.i18n import _

if TYPE_CHECKING:
    from kiosk.secret import SecretBuffer

# The worst first.
LOOK_ALIKES: Final = (("O", "0"), ("I", "1"), ("S", "5"), ("B", "8"), ("Z", "2"), ("G", "6"))
# People who copy a key do not read more than this.
MOST_SENTENCES: Final = 2
_ROUND: Final = LOOK_ALIKES[0]


class Present(Enum):
    """Which of two look-alikes a key contains."""

    NEITHER = auto()
    LETTER = auto()
    DIGIT = auto()
    BOTH = auto()


@dataclass(frozen=True)
class LookAlikePair:
    """One pair of look-alikes."""

    letter: str
    digit: str
    present: Present

    @property
    def absent(self) -> str:
        """The character that the key lacks, if it contains the other."""
        return {Present.LETTER: self.digit, Present.DIGIT: self.letter}.get(self.present, "")

    @property
    def there(self) -> str:
        """The character that the key contains, if it lacks the other."""
        return {Present.LETTER: self.letter, Present.DIGIT: self.digit}.get(self.present, "")


def look_alikes(key: SecretBuffer) -> list[LookAlikePair]:
    """Return all pairs with what this key contains of them."""
    return [LookAlikePair(letter, digit, _present(key, letter, digit)) for letter, digit in LOOK_ALIKES]


def _present(key: SecretBuffer, letter: str, digit: str) -> Present:
    if _contains(key, letter):
        return Present.BOTH if _contains(key, digit) else Present.LETTER
    return Present.DIGIT if _contains(key, digit) else Present.NEITHER


def _contains(key: SecretBuffer, character: str) -> bool:
    wanted = {ord(character), ord(character.lower())}
    return any(key[place] in wanted for place in range(len(key)))


def sentences(found: Iterable[LookAlikePair]) -> list[str]:
    """Return the most useful findings as sentences, each short enough for one line."""
    given = list(found)
    single = [pair for pair in given if pair.absent]
    both = [f"{pair.letter}/{pair.digit}" for pair in given if pair.present is Present.BOTH]
    others = [pair for pair in single if (pair.letter, pair.digit) != _ROUND]
    said = [_about_round_ones(pair) for pair in single if pair not in others]
    if both:
        said.append(_("This key has both: {pairs}. Digits are underlined.").format(pairs=", ".join(both)))
    if others:
        said.append(
            _("Not in this key: {absent}. Read {present} instead.").format(
                absent=", ".join(pair.absent for pair in others), present=", ".join(pair.there for pair in others)
            )
        )
    return said[:MOST_SENTENCES]


def _about_round_ones(pair: LookAlikePair) -> str:
    if pair.present is Present.LETTER:
        return _("This key has no zero: every round character is the letter O.")
    return _("This key has no letter O: every round character is a zero.")

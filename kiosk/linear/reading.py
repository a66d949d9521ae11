"""Writes a key on the page, in pieces that are constants and never joined, and takes it off again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kiosk.i18n import _, language
from kiosk.linear.page import Page, Word
from kiosk.linear.speech import CHARACTER_SECONDS, WORD_SECONDS
from kiosk.recovery_key.format import GROUP_LENGTH, GROUPS, position
from kiosk.recovery_key.spelling import Alphabet, alphabet

if TYPE_CHECKING:
    from kiosk.secret import SecretBuffer
    from kiosk.visit.reveal import Reveal

# Left free below a key: for the remaining time and the question.
_SPARE_ROWS = 4


class Reading:
    """Shows and hides a key. The key is open in memory only while a part of it is on the page."""

    def __init__(self, reveal: Reveal, page: Page, *, masked: bool) -> None:
        """``masked`` allows only one group at a time."""
        self._reveal = reveal
        self._page = page
        self._alphabet = alphabet(language())
        self._masked = masked
        # A key of unusual form has no groups and is read as one line. Known without the key, which may be hidden now.
        self.usual = reveal.copy_check is not None

    def whole(self, heading: str, *, spelled: bool) -> bool:
        """Show the whole key on an empty page. Returns False if it does not fit or must not be shown at once."""
        if self._masked:
            self.hide()
            return False
        return self._put(heading, range(GROUPS) if self.usual else [0], spelled=spelled)

    def group(self, number: int, heading: str) -> bool:
        """Show one group, spelled, on an empty page. ``number`` counts from 1. Returns False if it does not fit."""
        return self._put(heading, [number - 1], spelled=True)

    def hide(self) -> None:
        """Remove the key from page and memory; the sealed key stays until its time is over."""
        self._reveal.hide()
        if self._page.holds_secret:
            self._page.wipe()

    def follow(self) -> bool:
        """Hide the key when page and memory disagree. Returns True if it had to."""
        apart = self._page.holds_secret is not self._reveal.visible
        if apart:
            self.hide()
        return apart

    def _put(self, heading: str, groups: Sequence[int], *, spelled: bool) -> bool:
        self.hide()
        self._reveal.show()
        key, page = self._reveal.key, self._page
        if key is None:
            return False
        rows = page.secret_height(self._lines(key, groups, spelled=spelled))
        if rows + _SPARE_ROWS > page.rows:
            self._reveal.hide()
            return False
        page.turn()
        if page.height(heading) + rows + _SPARE_ROWS <= page.rows:
            page.line(heading)
        page.secret(self._lines(key, groups, spelled=spelled))
        characters = GROUP_LENGTH * len(groups) if self.usual else len(key)
        page.speech.add(characters * (CHARACTER_SECONDS + (WORD_SECONDS if spelled else 0)))
        return True

    def _lines(self, key: SecretBuffer, groups: Sequence[int], *, spelled: bool) -> Iterator[Iterator[Word]]:
        for group in groups:
            first, length = (position(group, 0), GROUP_LENGTH) if self.usual else (0, len(key))
            yield self._line(key, group, range(first, first + length), spelled=spelled)

    def _line(self, key: SecretBuffer, group: int, places: range, *, spelled: bool) -> Iterator[Word]:
        if self.usual:
            for word in _("Group {number}:").format(number=group + 1).split():
                yield (word,)
        for place in places:
            character = chr(key[place])
            *before, last = spelled_out(self._alphabet, character) if spelled else [(character,)]
            yield from before
            # Without a comma after it, a synthesiser says A as an article. In a key of unusual form it could be part of
            # the key.
            end = "." if place == places[-1] else ","
            yield (*last, end) if spelled or self.usual else last


def spelled_out(words: Alphabet, character: str) -> list[Word]:
    """Return what is written for a character in spelling words: the letter and its word, or the word of a digit.

    A digit beside its word would be heard twice, and nobody could tell 8 from 88.
    """
    word = words.word(character)
    return [(character, ":"), (word,)] if character.isalpha() else [(word,)]


def in_words(code: str) -> str:
    """Return a code that is no secret, spelled in the words of the language."""
    words = alphabet(language())
    spelled = (" ".join("".join(word) for word in spelled_out(words, one)) for one in code)
    return ", ".join(spelled) + "."

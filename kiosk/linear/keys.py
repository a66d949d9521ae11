"""Turns bytes from the terminal into keys: characters and a few function keys, nothing else."""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import Final

ENTER: Final = "enter"
BACKSPACE: Final = "backspace"
ESCAPE: Final = "escape"
# The terminal has lost the focus.
BLUR: Final = "blur"

_ESC = "\x1b"
_CONTROLS: Final = {"\r": ENTER, "\n": ENTER, "\b": BACKSPACE, "\x7f": BACKSPACE}
# As sent by xterm, by VT220 and rxvt, and by the Linux console.
_FUNCTION_KEYS: Final = {
    "[O": BLUR,
    "OP": "f1", "[11~": "f1", "[[A": "f1",
    "[15~": "f5", "[[E": "f5",
    "OR": "f3", "[13~": "f3", "[[C": "f3",
    "[20~": "f9", "[21~": "f10", "[24~": "f12",
}  # fmt: skip
# OSC, DCS, SOS, PM, APC: these last until their terminator.
_STRINGS: Final = frozenset("]PX^_")
_LONGEST_SEQUENCE = 256


class Keys:
    """Reads keys: each is a printable character, or a name of several characters."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")(errors="replace").decode
        self._begun = ""

    @property
    def unfinished(self) -> bool:
        """Whether only a pause can tell Esc from the first byte of a sequence."""
        return bool(self._begun)

    def feed(self, data: bytes) -> list[str]:
        """Return the keys in a piece of input."""
        found: list[str] = []
        for character in self._decode(data):
            if self._begun:
                self._go_on(character, found)
            elif character == _ESC:
                self._begun = _ESC
            elif key := self._plain(character):
                found.append(key)
        return found

    def pause(self) -> list[str]:
        """Return what a pause means: a lone Esc is a key; anything else that is unfinished is dropped."""
        begun, self._begun = self._begun, ""
        return [ESCAPE] if begun == _ESC else []

    @staticmethod
    def _plain(character: str) -> str:
        if character in _CONTROLS:
            return _CONTROLS[character]
        return character if character.isprintable() and character != "\N{REPLACEMENT CHARACTER}" else ""

    def _go_on(self, character: str, found: list[str]) -> None:
        if self._begun == _ESC and character in _CONTROLS:
            # Two keys, however close together.
            self._begun = ""
            found += [ESCAPE, _CONTROLS[character]]
        elif self._begun == _ESC and character == _ESC:
            found.append(ESCAPE)
        elif character == _ESC:
            # The end of a string, or a new sequence after an unfinished one.
            self._begun = _ESC
        else:
            self._begun += character
            if self._is_whole():
                key = _FUNCTION_KEYS.get(self._begun[1:])
                self._begun = ""
                if key:
                    found.append(key)

    def _is_whole(self) -> bool:
        kind, last = self._begun[1], self._begun[-1]
        if len(self._begun) > _LONGEST_SEQUENCE:
            return True
        if kind in _STRINGS:
            return last == "\a"
        if kind in "[O":
            # The Linux console has a second bracket in the sequences of its first five function keys.
            return len(self._begun) > 2 and "@" <= last <= "~" and not (last == "[" and len(self._begun) == 3)
        return True

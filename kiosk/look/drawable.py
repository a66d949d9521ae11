"""What a terminal says that it can draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AUTO = "auto"
# Full blocks and lines, of which the plainer large type is made.
_LINES = "█─│┌┐└┘├┤┬┴┼"
_HALF_BLOCKS = "▀▄"
# What some fonts draw in place of half blocks.
_LOOK_ALIKES = "█■"


@dataclass(frozen=True)
class Drawable:
    """None where the terminal does not say."""

    utf8: bool | None = None
    # The number of each character's glyph in the font of a console.
    font: Mapping[str, int] | None = None

    @property
    def font_has_lines(self) -> bool:
        """Whether the font has the full block and single lines. False without a font."""
        return self.font is not None and self.font.keys() >= set(_LINES)

    @property
    def font_has_half_blocks(self) -> bool:
        """Whether the font has half blocks, each with a glyph of its own. False without a font."""
        if self.font is None or not self.font.keys() >= set(_HALF_BLOCKS):
            return False
        glyphs = [self.font[one] for one in _HALF_BLOCKS + _LOOK_ALIKES if one in self.font]
        return self.font_has_lines and len(set(glyphs)) == len(glyphs)

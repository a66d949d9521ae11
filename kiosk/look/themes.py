"""The themes: dark, light, high contrast, and the sixteen colours of a console.

Text has a contrast of at least 4.5:1 on every background, in the high-contrast theme at least 7:1 (WCAG 2.2).
"""

from __future__ import annotations

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

AUTO = "auto"
DARK = Theme(
    name="dark",
    dark=True,
    primary="#7cc4ff",
    secondary="#9db1c5",
    accent="#ffd479",
    warning="#ffb454",
    error="#ff8f80",
    success="#8fe0a5",
    foreground="#e8eef4",
    background="#0e141b",
    surface="#161e28",
    panel="#2b3847",
)
LIGHT = Theme(
    name="light",
    dark=False,
    primary="#0b4f8a",
    secondary="#4a5866",
    accent="#7a4100",
    warning="#8a2f00",
    error="#a01414",
    success="#1d6b34",
    foreground="#16202a",
    background="#fbfcfd",
    surface="#e9eef3",
    panel="#c3ccd6",
)
CONTRAST = Theme(
    name="contrast",
    dark=True,
    primary="#ffffff",
    secondary="#e6e6e6",
    accent="#ffff00",
    warning="#ffff00",
    error="#ffb3b3",
    success="#00ff66",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#595959",
)
# The terminal's own palette. Only its bright half is distinct from black on every console.
ANSI = Theme(
    name="ansi",
    ansi=True,
    primary="ansi_bright_cyan",
    secondary="ansi_white",
    accent="ansi_bright_yellow",
    warning="ansi_bright_yellow",
    error="ansi_bright_red",
    success="ansi_bright_green",
    foreground="ansi_bright_white",
    background="ansi_black",
    surface="ansi_black",
    panel="ansi_white",
    boost="ansi_black",
    # Textual's own rules for such themes need more variables than a theme has colours.
    variables=BUILTIN_THEMES["ansi-dark"].variables,
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT, CONTRAST, ANSI)}
_OF_FEW_COLOURS = (ANSI.name, CONTRAST.name)


def first(wanted: str, *, few_colours: bool) -> str:
    """Return the first theme: the configured one, or the one that suits the terminal."""
    if wanted != AUTO:
        return wanted
    return ANSI.name if few_colours else DARK.name


def following(theme: str, *, few_colours: bool) -> str:
    """Return the theme after this one; on a terminal of sixteen colours only those that suit it."""
    names = _OF_FEW_COLOURS if few_colours else tuple(THEMES)
    return names[(names.index(theme) + 1) % len(names)] if theme in names else names[0]


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2.2, from 1 to 21."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def legible_on(background: str) -> str:
    """Return black or white, whichever has more contrast on this colour: at least 4.5:1."""
    return max(("#000000", "#ffffff"), key=lambda text: contrast(text, background))


def _luminance(colour: str) -> float:
    parts = [part / 255 for part in Color.parse(colour).rgb]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue

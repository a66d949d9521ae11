"""The themes: dark, light and high contrast, and two of the terminal's own sixteen colours.

Text has a contrast of at least 4.5:1 on every background, in the high-contrast themes at least 7:1 (WCAG 2.2).
"""

from __future__ import annotations

from dataclasses import replace

from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

AUTO = "auto"


def _filled(*, call: str, chosen: str, key: str, alert: str, on_alert: str, style: str) -> dict[str, str]:
    """Return the backgrounds of what is filled; ``style`` is that of the words on it."""
    return {
        "call": call,
        "chosen": chosen,
        "key": key,
        "alert": alert,
        "on-alert": on_alert,
        "filled-style": style,
    }


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
    variables=_filled(
        call="#ffd479",
        chosen="#7cc4ff",
        key="#9db1c5",
        alert="#ffb454",
        on_alert="#0e141b",
        style="bold",
    ),
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
    variables=_filled(
        call="#7a4100",
        chosen="#0b4f8a",
        key="#4a5866",
        alert="#8a2f00",
        on_alert="#fbfcfd",
        style="bold",
    ),
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
    variables=_filled(
        call="#ffff00",
        chosen="#ffffff",
        key="#e6e6e6",
        alert="#ffff00",
        on_alert="#000000",
        style="bold",
    ),
)
# The terminal's own palette. Only its bright half is distinct from black on every console. Words on a background are
# plain, and the background is of the dim half: the Linux console draws bold black as dark grey, as others do, and has
# no bright backgrounds. The pairs are those that are legible in its palette and in that of xterm.
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
    variables=BUILTIN_THEMES["ansi-dark"].variables
    | _filled(
        call="ansi_cyan",
        chosen="ansi_cyan",
        key="ansi_white",
        alert="ansi_red",
        on_alert="ansi_bright_white",
        style="none",
    ),
)
# The high contrast of terminals that have no other colours.
ANSI_CONTRAST = replace(
    ANSI,
    name="ansi-contrast",
    primary="ansi_bright_white",
    error="ansi_bright_yellow",
    variables=ANSI.variables
    | _filled(
        call="ansi_white",
        chosen="ansi_white",
        key="ansi_white",
        alert="ansi_white",
        on_alert="ansi_black",
        style="none",
    ),
)
THEMES = {theme.name: theme for theme in (DARK, LIGHT, CONTRAST, ANSI, ANSI_CONTRAST)}
# Those that a person meets, in the order of F8. On few colours the others would be drawn in colours that nobody chose.
OF_MANY_COLOURS = (DARK.name, LIGHT.name, CONTRAST.name, ANSI.name)
OF_FEW_COLOURS = (ANSI.name, ANSI_CONTRAST.name)
# The organisation's colour may not have their contrast, or is not one of their sixteen.
WITHOUT_ACCENT = frozenset({CONTRAST.name, ANSI.name, ANSI_CONTRAST.name})


def first(wanted: str, *, few_colours: bool) -> str:
    """Return the first theme: the configured one, or the one that suits the terminal."""
    if few_colours:
        return ANSI_CONTRAST.name if wanted == CONTRAST.name else ANSI.name
    return DARK.name if wanted == AUTO else wanted


def following(theme: str, *, few_colours: bool) -> str:
    """Return the theme after this one."""
    names = OF_FEW_COLOURS if few_colours else OF_MANY_COLOURS
    return names[(names.index(theme) + 1) % len(names)]


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

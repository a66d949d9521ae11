"""Checks of the terminal that the check runs on, and of recorders around it."""

from __future__ import annotations

import os
import sys

from kiosk.checks.result import Finding, NotChecked, failed, passed, together, warning
from kiosk.checks.side import Side
from kiosk.clock import SystemClock
from kiosk.config.kiosk import KioskConfig, Policy
from kiosk.terminal.asking import ask
from kiosk.terminal.recorders import find_recorders

_COLUMNS, _LINES = 80, 24
_FEWEST_COLOURS = 8
_ANSWER_SECONDS = 1.0


def terminal(side: Side[KioskConfig]) -> Finding:
    """Check size, colours, UTF-8, and whether the terminal answers."""
    name = _name()
    if name is None:
        raise NotChecked("this does not run on a terminal", "run it once on the kiosk's own terminal")
    kind = os.environ.get("TERM", "")
    columns, lines = os.get_terminal_size(1)
    findings: list[Finding] = []
    if columns < _COLUMNS or lines < _LINES:
        findings.append(
            failed(
                f"{columns}x{lines} characters; a key needs at least {_COLUMNS}x{_LINES}",
                "enlarge the window, or choose a smaller console font (/etc/default/console-setup)",
            )
        )
    colours = _colours(kind)
    if colours is None:
        findings.append(warning(f'the terminal type "{kind}" is unknown here', "set TERM to the right type"))
    elif colours < _FEWEST_COLOURS:
        findings.append(warning(f"no colours (TERM={kind})", "set TERM to a terminal with colours, if it has them"))
    sys.stdout.flush()
    drawable, _ = ask(SystemClock(), _ANSWER_SECONDS)
    if drawable.utf8 is None:
        findings.append(
            failed(
                "the terminal does not report its cursor position", "use a terminal that understands VT100 sequences"
            )
        )
    elif not drawable.utf8:
        findings.append(
            failed("the terminal does not read UTF-8", "switch it to UTF-8 (the Linux console: unicode_start)")
        )
    if drawable.font is not None and not drawable.font_has_half_blocks:
        findings.append(
            warning(
                "the console's font has no half blocks, so no QR code is shown",
                "set the font of deploy/console/console-setup (/etc/default/console-setup)",
            )
        )
    known = f"{colours} colours" if os.environ.get("COLORTERM") != "truecolor" else "all colours"
    return together(findings, f"{name}: {columns}x{lines}, {known}, UTF-8")


def recorders(side: Side[KioskConfig]) -> Finding:
    """Check for programs that may record the screen, and what the kiosk would do about them."""
    policies = side.config.recorders
    name = _name() or os.environ.get("SSH_TTY", "").removeprefix("/dev/")
    watch = find_recorders(policies, name)
    fix = "end that program, or run the kiosk outside of it; [recorders] in kiosk.toml has the policies"
    match watch.policy:
        case Policy.REFUSE:
            return failed(f"seen from here: {watch}; no key would be shown", fix)
        case Policy.MASK | Policy.WARN:
            return warning(f"seen from here: {watch}; the policy is {watch.policy}", fix)
    return passed(f"seen from here: {watch}, which is allowed" if watch.kinds else "nothing that records the screen")


def _name() -> str | None:
    try:
        names = {os.ttyname(fd) for fd in (0, 1)}
    except OSError:
        return None
    return names.pop().removeprefix("/dev/") if len(names) == 1 else None


def _colours(kind: str) -> int | None:
    try:
        import curses
    except ImportError:  # some builds of Python come without it
        return None
    try:
        curses.setupterm(kind or "dumb", 1)
    except curses.error:
        return None
    return max(curses.tigetnum("colors"), 0)

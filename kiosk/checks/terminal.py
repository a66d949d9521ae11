"""Checks of the terminal that the check runs on, and of recorders around it."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import termios
import time
import tty

from kiosk.checks.result import Finding, NotChecked, failed, passed, together, warning
from kiosk.checks.side import Side
from kiosk.config.kiosk import KioskConfig, Policy
from kiosk.terminal.recorders import find_recorders

_COLUMNS, _LINES = 80, 24
_FEWEST_COLOURS = 8
_ANSWER_SECONDS = 1.0
# Three bytes, one cell: without UTF-8 a terminal draws three cells. QR codes are drawn with it.
_HALF_BLOCK = "\N{UPPER HALF BLOCK}"
_POSITION = re.compile(rb"\x1b\[(\d+);(\d+)R")


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
                f"{columns}x{lines} characters; a key is shown from {_COLUMNS}x{_LINES} on",
                "enlarge the window, or choose a smaller console font (/etc/default/console-setup)",
            )
        )
    colours = _colours(kind)
    if colours is None:
        findings.append(warning(f'the kind of terminal "{kind}" is not known here', "set TERM to the real kind"))
    elif colours < _FEWEST_COLOURS:
        findings.append(warning(f"no colours (TERM={kind})", "set TERM to a terminal with colours, if it has them"))
    column = _column_after(_HALF_BLOCK)
    if column is None:
        findings.append(
            failed("the terminal does not say where its cursor is", "use a terminal that understands VT100 sequences")
        )
    elif column != len(_HALF_BLOCK) + 1:
        findings.append(
            failed("the terminal does not read UTF-8", "switch it to UTF-8 (the Linux console: unicode_start)")
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


def _column_after(words: str) -> int | None:
    """Return the column of the cursor after ``words`` at the start of a line, and clear the line again."""
    before = termios.tcgetattr(0)
    sys.stdout.flush()
    try:
        tty.setcbreak(0, termios.TCSAFLUSH)
        os.write(1, f"\r{words}\x1b[6n".encode())
        return _answer()
    except (OSError, termios.error):
        return None
    finally:
        with contextlib.suppress(OSError, termios.error):
            os.write(1, b"\r\x1b[K")
            termios.tcsetattr(0, termios.TCSAFLUSH, before)


def _answer() -> int | None:
    answer = b""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([0], [], [], left)[0]:
            break
        answer += os.read(0, 64)
        if found := _POSITION.search(answer):
            return int(found[2])
    return None

"""The terminal is asked what it can draw; one that does not answer costs a moment, and no key is lost."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from kiosk.look.drawable import Drawable
from kiosk.terminal import asking
from tests.support.console import console
from tests.support.terminal import ESCAPE, F1, Terminal, dead_end, terminal

WELCOME = "Locked out of your Mac?"
POSITION = b"\x1b[6n"
# What half blocks and lines are drawn with in the kernel's own font.
BLOCKS = {"█": 219, "▀": 223, "▄": 220, "■": 254}
LINES = {one: place for place, one in enumerate("█─│┌┐└┘├┤┬┴┼", 1)}

ASK = """
import sys
from kiosk.clock import SystemClock
from kiosk.terminal import asking
drawable, typed = asking.ask(SystemClock(), float(sys.argv[1]))
sys.stdout.write(f"\\r\\n<{drawable.utf8} {sorted(drawable.font or '')} {typed}>\\r\\n")
"""


def asked(seconds: float = 20, **options: object) -> Terminal:
    return Terminal([sys.executable, "-c", ASK, str(seconds)], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("utf8", [True, False], ids=["UTF-8", "Latin-1"])
def test_the_terminal_says_whether_it_reads_utf_8_and_the_question_is_gone(utf8: bool) -> None:
    program = asked(utf8=utf8)
    program.wait_for(f"<{utf8} [] b''>")
    assert program.text.strip() == f"<{utf8} [] b''>"
    assert program._attributes() == program.settings


def test_what_is_typed_meanwhile_is_no_answer_and_is_kept() -> None:
    program = asked(answers=False)
    while POSITION not in program.raw:
        program.read()
    program.press("ab\x1b[B")
    program.press("\x1b[12;3R")
    program.wait_for("<False [] b'ab\\x1b[B'>")


def test_one_that_does_not_answer_is_not_waited_for() -> None:
    program = asked(0.01, answers=False)
    program.wait_for("<None [] b''>")
    assert asking.PATIENCE_SECONDS <= 0.3


def test_a_terminal_that_is_not_utf_8_gets_the_plain_form_and_no_byte_of_another(tmp_path: Path) -> None:
    """The key that is pressed before the answer opens the help."""
    with terminal("run", "--config", str(dead_end(tmp_path)), utf8=False, answers=False) as kiosk:
        while POSITION not in kiosk.raw:
            kiosk.read()
        kiosk.press(F1)
        kiosk.press("\x1b[1;3R")
        kiosk.wait_for("Never type your password here")
        kiosk.press(ESCAPE)
        kiosk.wait_for(WELCOME)
        question, _, drawn = kiosk.raw.partition(POSITION)
        assert not question.isascii()
        assert drawn.isascii()


@pytest.mark.parametrize(
    ("font", "half_blocks", "lines"),
    [
        pytest.param({**LINES, **BLOCKS}, True, True, id="the kernel's own"),
        pytest.param({**LINES, **BLOCKS, "▀": BLOCKS["■"], "▄": BLOCKS["■"]}, False, True, id="a box for a half"),
        pytest.param(LINES, False, True, id="lines"),
        pytest.param({"A": 65}, False, False, id="letters"),
    ],
)
def test_a_console_tells_its_font(font: dict[str, int], half_blocks: bool, lines: bool) -> None:
    with console() as kernel:
        kernel.set_font(font)
        assert asking.font(kernel.descriptor) == font
    found = Drawable(font=font)
    assert (found.font_has_half_blocks, found.font_has_lines) == (half_blocks, lines)


def test_no_other_terminal_has_a_font() -> None:
    controller, other = pty.openpty()
    assert asking.font(other) is None
    for descriptor in (controller, other):
        os.close(descriptor)


@pytest.mark.parametrize("utf8", [True, False])
def test_the_kernels_console_says_whether_it_reads_utf_8(utf8: bool) -> None:
    with console() as kernel:
        kernel.write("\x1b[H\x1b[J", utf8=utf8)
        tty = kernel.descriptor
        done = subprocess.run([sys.executable, "-c", ASK, "20"], check=True, stdin=tty, stdout=tty, timeout=60)
        _, cells = kernel.cells()
        assert done.returncode == 0
        words = "".join(chr(glyph) for glyph, _ in cells).split("<")
        assert words[0].strip("\0 ") == ""
        assert words[1].startswith(str(utf8))

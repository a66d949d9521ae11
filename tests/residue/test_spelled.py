"""Spelling words in the order of the key give the key away: none stay in memory once the key is hidden."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kiosk.__main__ import environment
from kiosk.recovery_key.spelling import alphabet
from tests.support.memory import scan, scan_words
from tests.support.terminal import Terminal

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root may read the memory of our processes"
)
# Backwards through alphabet and digits, because the alphabet itself must be in memory and is not a find.
KEY = "97ZT-8XQH-63WP-VNMB-52YR-4UKC"

PROGRAM = """
import sys
from pathlib import Path
from kiosk.process.hardening import overwrite_freed
from kiosk.secret import SecretBuffer
from kiosk.recovery_key.spelling import alphabet
from kiosk.widgets.key_view import KeyForm, KeyView
from textual.app import App

class Holder(App):
    BINDINGS = [("s", "form('SPELLED')"), ("g", "form('STEP')"), ("n", "turn"), ("h", "hide")]

    def compose(self):
        yield KeyView(spelling=alphabet("en"))

    def on_mount(self):
        self.view = self.query_one(KeyView)
        self.view.show(SecretBuffer(Path(sys.argv[1]).read_bytes()))

    def action_form(self, name):
        self.view.show_as(KeyForm[name])

    def action_turn(self):
        self.view.turn(1)

    def action_hide(self):
        self.view.hide()

overwrite_freed()
Holder().run()
"""


def runs() -> list[list[str]]:
    """Return the words of each group, and of each line of the table."""
    words, groups = alphabet("en"), KEY.split("-")
    found = [[words.word(character) for character in group] for group in groups]
    lines = [[groups[block + column][place] for column in range(3)] for block in (0, 3) for place in range(4)]
    return found + [[words.word(character) for character in line] for line in lines]


def test_no_run_of_words_stays(tmp_path: Path) -> None:
    place = tmp_path / "key"
    place.write_text(KEY)
    kiosk = Terminal(
        [sys.executable, "-P", "-s", "-c", PROGRAM, str(place)], env=environment({"TERM": "xterm-256color"})
    )
    try:
        kiosk.wait_for(KEY)
        kiosk.press("s")
        kiosk.wait_for("Zulu")
        # Without these, the zeros below would prove nothing.
        assert scan_words(kiosk.pid, runs())
        kiosk.press("g")
        kiosk.wait_for("[1]")
        for number in range(2, 7):
            assert scan_words(kiosk.pid, runs()[number - 2 : number - 1])
            kiosk.press("n")
            kiosk.wait_for(f"[{number}]")
        kiosk.press("h")
        kiosk.wait_for("Charlie", gone=True)
        kiosk.settle()
        assert (scan_words(kiosk.pid, runs()), scan(kiosk.pid, KEY)) == ([], [])
    finally:
        kiosk.close()

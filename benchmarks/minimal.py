"""The smallest Textual app, with one line and one key, as the reference for the kiosk."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Static

READY = "Press space, which has been pressed 0 times"


class Minimal(App[None]):
    """Counts how often its key was pressed."""

    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [("space", "count", "Count")]  # noqa: RUF012 - as Textual's own examples declare it

    presses = 0

    def compose(self) -> ComposeResult:
        yield Static(READY)

    def action_count(self) -> None:
        self.presses += 1
        self.query_one(Static).update(f"Press space, which has been pressed {self.presses} times")


if __name__ == "__main__":
    Minimal().run(mouse=False)

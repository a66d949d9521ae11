"""Explains the screen behind it in a few sentences."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.screen import Screen

from kiosk.i18n import _
from kiosk.screens.base import KioskScreen
from kiosk.widgets.facts import Facts
from kiosk.widgets.key_hints import KeyHints
from kiosk.widgets.prose import Prose


class HelpScreen(Screen[None], inherit_bindings=False):
    """Lies on top of a screen, whose deadlines continue."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,f1", "close", show=False),
    ]
    AUTO_FOCUS = ""

    def __init__(self, text: str, helpdesk: str, *, title: str = "") -> None:
        super().__init__()
        self._heading = title or _("Help")
        self._text = text
        self._helpdesk = helpdesk

    def compose(self) -> ComposeResult:
        with Vertical(id="help"):
            yield Prose(self._heading, classes="headline")
            yield Prose(self._text, id="help-text")
            yield Facts({_("Helpdesk"): self._helpdesk})
        yield KeyHints([(_("Enter"), _("Close")), ("F10", _("Lock"))])

    def on_resize(self, event: Resize) -> None:
        self.update_classes(KioskScreen.classes_for(event.size))

    def action_close(self) -> None:
        self.dismiss()

"""Explains what to do at the locked Mac, and afterwards: two pages to read or copy, without the key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widget import Widget

from kiosk.i18n import N_, _
from kiosk.models import Device
from kiosk.screens.base import KioskScreen
from kiosk.visit.answers import AfterCard
from kiosk.widgets.facts import Facts
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.wording import AND_THEN, AT_THE_MAC, WHAT_NOW_HELP, numbered, which_mac

_PAGES = 2
_NUMBER_CELLS = 4
_FIRST: Sequence[KeyHint] = (("Enter", N_("Continue")), ("← →", N_("Page")), ("Esc", N_("Back to the key")))
_LAST: Sequence[KeyHint] = (("Enter", N_("Finish and lock")), ("← →", N_("Page")), ("Esc", N_("Back")))


class WhatNowScreen(KioskScreen[AfterCard]):
    """Enter turns the page; on the last page it finishes the visit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,up,pageup", "turn(-1)", show=False),
        Binding("right,down,pagedown", "turn(1)", show=False),
    ]
    step = 4
    key_hints: Sequence[KeyHint] = _FIRST
    help_text = WHAT_NOW_HELP

    def __init__(self, device: Device, helpdesk: str) -> None:
        super().__init__()
        self._device = device
        self._helpdesk = helpdesk
        self._page = 1

    def content(self) -> Iterable[Widget]:
        with Vertical(id="page-1"):
            yield Prose(_("What next: at your Mac"), classes="headline")
            yield Facts(which_mac(self._device))
            yield Facts(numbered(AT_THE_MAC), least=_NUMBER_CELLS)
            yield Prose(_("Page {page} of {pages}").format(page=1, pages=_PAGES), classes="label")
        with Vertical(id="page-2"):
            yield Prose(_("What next: if it does not work, and afterwards"), classes="headline")
            yield Facts(numbered(AND_THEN), least=_NUMBER_CELLS)
            yield Facts({_("Helpdesk"): self._helpdesk})
            yield Prose(_("Page {page} of {pages}").format(page=2, pages=_PAGES), classes="label")

    def on_mount(self) -> None:
        self._show()

    def action_turn(self, by: int) -> None:
        """Show the other page."""
        self._page = min(max(self._page + by, 1), _PAGES)
        self._show()

    def action_enter(self) -> None:
        if self._page < _PAGES:
            self.action_turn(1)
        else:
            self.answer(AfterCard.FINISH)

    def action_escape(self) -> None:
        if self._page > 1:
            self.action_turn(-1)
        else:
            self.answer(AfterCard.BACK)

    def _show(self) -> None:
        for page in range(1, _PAGES + 1):
            self.query_one(f"#page-{page}").display = page == self._page
        self.hint(_LAST if self._page == _PAGES else _FIRST)

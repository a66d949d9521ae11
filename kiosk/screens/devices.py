"""Which Mac? The person's own, with a word on whether a key can be had, and the reason if not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widget import Widget

from kiosk.errors import from_code
from kiosk.models import Device
from kiosk.screens.base import KioskScreen
from kiosk.text import LONGEST
from kiosk.widgets.device_list import DeviceList, Row
from kiosk.widgets.key_hints import Hint
from kiosk.widgets.prose import Prose

_SERIAL_END = 4


class DevicesScreen(KioskScreen[Device | None]):
    """Answers with the chosen Mac, or None to finish."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-100000)", show=False),
        Binding("end", "move(100000)", show=False),
        Binding("backspace", "erase", show=False),
    ]
    step = 3
    hints: Sequence[Hint] = (("Enter", "Show key"), ("↑ ↓", "Move"), ("Esc", "Finish"))
    help_text = (
        "Choose the Mac that is locked with the arrow keys, then press Enter.\n\n"
        "Type a part of its name, model or serial number to shorten the list. Backspace takes a letter back.\n\n"
        "A locked Mac shows its serial number when you click the question mark in the password field. Compare its last"
        " characters with the list.\n\n"
        "Is a Mac missing, or is there no key for it? The helpdesk can see why."
    )

    def __init__(self, devices: Sequence[Device], helpdesk: str, now: datetime, *, chosen: str = "") -> None:
        """``chosen`` is the id of the Mac on which the list opens."""
        super().__init__()
        self._devices = tuple(devices)
        self._shown = self._devices
        self._helpdesk = helpdesk
        self._now = now
        self._filter = ""
        self._open_at = chosen
        if not self._devices:
            self.hints = (("Esc", "Finish"),)

    def content(self) -> Iterable[Widget]:
        if not self._devices:
            yield Prose("There is no Mac registered to you.", classes="headline")
            yield Prose(
                "Your organisation's device management knows no Mac of which you are the primary user.\n\n"
                f"Ask the helpdesk: {self._helpdesk}",
                classes="value",
            )
            yield Prose("Press Esc to finish", classes="call")
            return
        yield Prose("Which Mac is locked?", classes="headline")
        yield Prose(id="filter", classes="label")
        yield DeviceList(self._rows())
        yield Prose(id="detail")

    def on_mount(self) -> None:
        if not self._devices:
            return
        self._describe()
        places = [place for place, device in enumerate(self._shown) if device.id == self._open_at]
        if places:
            self.query_one(DeviceList).move(places[0])

    def on_device_list_moved(self) -> None:
        self._describe()

    def on_key(self, event: Key) -> None:
        """Every printable key narrows the list."""
        if self._devices and event.is_printable and event.character and len(self._filter) < LONGEST:
            event.stop()
            self._narrow(self._filter + event.character)

    def action_move(self, by: int) -> None:
        if self._devices:
            self.query_one(DeviceList).move(by)

    def action_page(self, by: int) -> None:
        if self._devices:
            device_list = self.query_one(DeviceList)
            device_list.move(by * device_list.page)

    def action_erase(self) -> None:
        if self._filter:
            self._narrow(self._filter[:-1])

    def action_enter(self) -> None:
        if self._shown:
            self.answer(self._shown[self.query_one(DeviceList).chosen])

    def action_escape(self) -> None:
        if self._filter:
            self._narrow("")
        else:
            self.answer(None)

    def _narrow(self, wanted: str) -> None:
        self._filter = wanted
        words = wanted.casefold().split()
        self._shown = tuple(
            device
            for device in self._devices
            if all(word in f"{device.name} {device.model} {device.serial}".casefold() for word in words)
        )
        self.query_one(DeviceList).show(self._rows())
        self._describe()

    def _rows(self) -> list[Row]:
        return [
            Row(
                name=device.name or "(no name)",
                model=device.model or "(unknown)",
                serial=f"…{device.serial[-_SERIAL_END:]}" if device.serial else "(none)",
                seen=seen_words(device.last_seen, self._now),
                key="not here" if device.refusal else "on request",
                available=not device.refusal,
            )
            for device in self._shown
        ]

    def _describe(self) -> None:
        if self._filter:
            count = f"{len(self._shown)} of {len(self._devices)} Macs     Filter: {self._filter}▏"
        else:
            count = _macs(len(self._devices))
        self.query_one("#filter", Prose).say(count)
        detail = self.query_one("#detail", Prose)
        if not self._shown:
            detail.say("No Mac fits this filter. Press Esc to see all of them.")
            return
        device = self._shown[self.query_one(DeviceList).chosen]
        if device.refusal:
            refusal = from_code(device.refusal)
            detail.say(f"No key here: {refusal.sentence} {refusal.next_step}\nHelpdesk: {self._helpdesk}")
        else:
            about = ", ".join(part for part in (device.model, f"macOS {device.os_version}".strip()) if part)
            serial = device.serial or "unknown"
            detail.say(f"{device.name}\n{about}, serial number {serial}\nPress Enter to show its recovery key.")


def _macs(count: int) -> str:
    if count == 1:
        return "One Mac is registered to you."
    return f"{count} Macs are registered to you. Type to shorten the list."


def seen_words(seen: datetime | None, now: datetime) -> str:
    """When a device last reported, as a person says it."""
    if seen is None:
        return "never"
    days = (now.date() - seen.date()).days
    if days <= 0:
        return "today"
    if days == 1:
        return "yesterday"
    if days < 100:
        return f"{days} days ago"
    return seen.date().isoformat()

"""Lists the person's Macs, and says for each whether a key is available, and if not, why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.widget import Widget

from kiosk.errors import DeviceRefused, kind_of
from kiosk.i18n import N_, _
from kiosk.models import Device
from kiosk.screens.base import KioskScreen
from kiosk.text import LONGEST
from kiosk.widgets.device_list import DeviceList, Row
from kiosk.widgets.key_hints import KeyHint
from kiosk.widgets.prose import Prose
from kiosk.wording import DEVICES_HELP, about, how_many, name, narrowed, seen

_SERIAL_END = 4
# The second one needs two Macs.
_CHOOSE: Sequence[KeyHint] = (("Enter", N_("Show key")), ("↑ ↓", N_("Move")))


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
    help_text = DEVICES_HELP

    def __init__(self, devices: Sequence[Device], helpdesk: str, now: datetime, *, chosen: str = "") -> None:
        """``chosen`` is the id of the Mac on which the list opens."""
        super().__init__()
        self._devices = tuple(devices)
        self._shown = self._devices
        self._helpdesk = helpdesk
        self._filter = ""
        # Made once, so that the list is redrawn before the next key press.
        self._row_of = {device.id: _row(device, now) for device in self._devices}
        self._open_at = chosen
        self._list = DeviceList(self._count(), self._rows())
        self._detail = Prose(id="detail")
        self.key_hints = self._choices()

    def content(self) -> Iterable[Widget]:
        if not self._devices:
            yield Prose(_("No Mac is registered to you."), classes="headline")
            yield Prose(
                _(
                    "Your organisation's device management has no Mac with you as the primary user.\n\n"
                    "Contact the helpdesk: {helpdesk}"
                ).format(helpdesk=self._helpdesk),
                classes="value",
            )
            yield Prose(_("Press Esc to finish"), classes="call")
            return
        yield Prose(_("Which Mac is locked?"), classes="headline")
        yield self._list
        yield self._detail

    def on_mount(self) -> None:
        if not self._devices:
            return
        self._describe()
        places = [place for place, device in enumerate(self._shown) if device.id == self._open_at]
        if places:
            self._list.move(places[0])

    def on_device_list_moved(self) -> None:
        self._describe()

    def on_key(self, event: Key) -> None:
        """Narrow the list with every printable key."""
        if self.fits and self._devices and event.is_printable and event.character and len(self._filter) < LONGEST:
            event.stop()
            self._narrow(self._filter + event.character)

    def action_move(self, by: int) -> None:
        if self._devices:
            self._list.move(by)

    def action_page(self, by: int) -> None:
        if self._devices:
            self._list.move(by * self._list.page)

    def action_erase(self) -> None:
        if self._filter:
            self._narrow(self._filter[:-1])

    def action_enter(self) -> None:
        if self._shown:
            self.answer(self._shown[self._list.chosen])

    def action_escape(self) -> None:
        if self._filter:
            self._narrow("")
        else:
            self.answer(None)

    def _narrow(self, wanted: str) -> None:
        before = self.key_hints
        self._filter = wanted
        self._shown = narrowed(self._devices, wanted)
        self._list.show(self._count(), self._rows())
        if (hints := self._choices()) != before:
            self.hint(hints)

    def _choices(self) -> Sequence[KeyHint]:
        escape = N_("Show all") if self._filter else N_("Finish")
        return (*_CHOOSE[: min(len(self._shown), len(_CHOOSE))], ("Esc", escape))

    def _rows(self) -> list[Row]:
        return [self._row_of[device.id] for device in self._shown]

    def _count(self) -> str:
        if not self._filter:
            return how_many(len(self._devices))
        shown = _("{shown} of {all} Macs     Filter: {filter}")
        return shown.format(shown=len(self._shown), all=len(self._devices), filter=f"{self._filter}▏")

    def _describe(self) -> None:
        detail = self._detail
        if not self._shown:
            detail.say(_("No Mac matches this. Press Esc to show all."))
            return
        device = self._shown[self._list.chosen]
        if device.refusal:
            refusal = kind_of(device.refusal) or DeviceRefused
            why = _("No key here: {why} {next_step}\nHelpdesk: {helpdesk}")
            detail.say(why.format(why=_(refusal.sentence), next_step=_(refusal.next_step), helpdesk=self._helpdesk))
        else:
            warning = kind_of(device.warning)
            advice = _(warning.sentence) if warning else _("Press Enter to show its recovery key.")
            detail.say(f"{name(device)}\n{about(device)}\n{advice}")


def _row(device: Device, now: datetime) -> Row:
    return Row(
        name=name(device),
        model=device.model or _("(unknown)"),
        serial=f"…{device.serial[-_SERIAL_END:]}" if device.serial else _("(none)"),
        seen=seen(device, now),
        key=_key(device),
        available=not device.refusal,
    )


def _key(device: Device) -> str:
    if device.refusal:
        return _("not here")
    return _("may be old") if device.warning else _("press Enter")

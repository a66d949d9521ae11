"""Draws every screen for ``docs/screens.md`` in a visit of the real kiosk with simulated people, and writes that page.

Only the link, the words and the digits of the sign-in, and the reference of the refusal differ between runs.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from textual.pilot import Pilot
from textual.strip import Strip

from benchmarks.services import Services, running_services
from docs.drawing import draw
from docs.palettes import console_strips
from kiosk.clock import Deadline, SystemClock
from kiosk.config.kiosk import KioskConfig, Look
from kiosk.config.loading import load
from kiosk.fullscreen.app import KioskApp
from kiosk.look.themes import ANSI, DARK, OF_MANY_COLOURS
from kiosk.models import Ending, Person
from kiosk.sandbox.phone import Phone
from kiosk.screens.base import KioskScreen
from kiosk.screens.confirm import ConfirmScreen
from kiosk.screens.device_code import DeviceCodeScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.working import WorkingScreen
from kiosk.visit.context import VisitContext

SIZE = (80, 24)
PAGE = Path(__file__).with_name("screens.md")
# A fixed port, so that the address in the pictures is always the same.
PORT, PAGE_PORT = 9443, 9444
PERSON = "priya.raman@nordwind.example"
KEY = re.compile(r"\b[A-Z0-9]{4}(?:-[A-Z0-9]{4}){5}\b")
_PATIENCE_SECONDS = 20

# Name of the picture, heading and description, in the order of the page.
SCREENS = {
    "welcome": ("Welcome", "What this kiosk does, and how to start. The arrow keys choose a language."),
    "help": ("Help", "F1 explains the current screen and names the helpdesk."),
    "phone-sign-in": (
        "Sign in on the phone",
        "The link as a QR code and to be typed, and two words. The person signs in on a phone, never here.",
    ),
    "phone-opened": (
        "A phone has opened the page",
        "The link is used up. The words stay until they were chosen on the phone, among three pairs.",
    ),
    "digits": (
        "The six digits",
        "Who signed in on the phone, and boxes for the digits that it shows. Three tries in 90 seconds.",
    ),
    "device-code": (
        "Sign in with a device code",
        "Only if the organisation has configured it: an address, its QR code, and a code in large type.",
    ),
    "working": ("One moment", "Static text, shown while a request takes longer than a moment. Esc cancels."),
    "confirm": (
        "Is this you?",
        "Only after a device code: who signed in. No answer in 20 seconds counts as no.",
    ),
    "devices": (
        "Which Mac is locked?",
        "The person's Macs, with details of the selected one below. Typing filters the list.",
    ),
    "reason": ("Before the key is shown", "Only if the organisation requires a reason."),
    "reveal": (
        "The key",
        "In large type with underlined digits, and in a plain line; the time left; the look-alikes in this key.",
    ),
    "reveal-step": (
        "One group at a time",
        "F2 shows one group, larger, with a word for each character: for dictation, and against shoulder surfing.",
    ),
    "reveal-spelled": ("Spelled", "F2 again: every character with its word, in the visit's language."),
    "reveal-hidden": (
        "Hidden",
        "Space wipes the key from screen and memory. Until its time is up, it can be unsealed again.",
    ),
    "copy-check": (
        "Check your copy",
        "The person types what they wrote down. Each group is right or wrong; what is typed is never shown.",
    ),
    "copy-check-right": ("The copy is right", "All six groups are right."),
    "what-now": ("What next, first page", "Which Mac it is, where to type the key, and the most common problems."),
    "what-now-2": ("What next, second page", "Other ways, what comes after, and when to contact the helpdesk."),
    "trouble": ("Trouble", "What happened, what to do next, whom to contact, and a reference to quote."),
    "goodbye": ("Goodbye", "Signed out; nothing of the visit is left on the terminal."),
}
# These are also drawn as the Linux console draws them.
ON_CONSOLE = ("welcome", "reveal", "trouble")


class _StillClock(SystemClock):
    """A clock that only ``advance`` moves, so that every picture shows the same time left."""

    def __init__(self) -> None:
        self._now = super().now()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class _Kiosk(KioskApp):
    """The kiosk, with access to its lines."""

    def strips(self) -> list[Strip]:
        """Return the lines of the screen, as Textual draws them for its own screenshots."""
        return self.screen._compositor.render_strips()


class _ScreenApp(_Kiosk):
    """Shows single screens, without running a visit."""

    def _follow_flow(self) -> None:  # type: ignore[override]
        return


class _Photographer:
    """Uses the kiosk and draws its screens."""

    def __init__(self, app: _Kiosk, pilot: Pilot[None], clock: _StillClock, folder: Path) -> None:
        self._app = app
        self._clock = clock
        self._folder = folder
        self._pilot = pilot
        self.press = pilot.press

    async def see(self, words: str) -> None:
        """Wait until these words are on the screen. Raises RuntimeError if they never are."""
        until = time.monotonic() + _PATIENCE_SECONDS
        while words not in (seen := "\n".join(strip.text.rstrip() for strip in self._app.strips())):
            if time.monotonic() > until:
                raise RuntimeError(f"never seen: {words}\n{seen}")
            await asyncio.sleep(0.05)

    async def draw(self, name: str, words: str, description: str = "", *, after: float = 0) -> str:
        """Wait for words, let ``after`` seconds pass on the kiosk's clock, and draw. Returns the text of the screen."""
        await self.see(words)
        self._clock.advance(after)
        self._app.tick()
        await self._pilot.pause()
        self._picture(name, description or SCREENS[name][1])
        return "\n".join(strip.text for strip in self._app.strips())

    def _picture(self, name: str, description: str) -> None:
        (self._folder / f"{name}.svg").write_text(draw(self._app.strips(), description))


class _ConsolePhotographer(_Photographer):
    """Draws a few screens in the colours that the Linux console makes of what is written to it."""

    def _picture(self, name: str, description: str) -> None:
        if name in ON_CONSOLE:
            (self._folder / f"console-{name}.svg").write_text(draw(console_strips(self._app.strips()), description))


async def _visit(me: _Photographer, app: _Kiosk, phone: Phone) -> None:
    """Go through a whole visit: a Mac with a key, then one without."""
    await me.draw("welcome", "Press Enter to begin")
    await me.press("f1")
    await me.draw("help", "Close")
    await me.press("escape", "enter")
    await me.draw("phone-sign-in", "Time left", after=5)
    assert app.visit
    assert app.visit.phone
    opened = await phone.open(app.visit.phone.view.scan)
    await me.draw("phone-opened", "A phone has opened the page", after=3)
    page = await phone.say_who(await phone.choose(opened, app.visit.phone.words), PERSON)
    await me.see("Type the six digits")
    await me.press(*page.digits[:3])
    await me.draw("digits", "Type all six digits", after=4)
    await me.press(*page.digits[3:], "enter")
    await me.draw("devices", "Which Mac is locked?")
    await me.press("enter")
    await _look_at_key(me, await me.draw("reveal", "Time left", after=48))
    await me.press("escape")
    await me.see("Which Mac is locked?")
    await me.press("down", "enter")
    await me.draw("trouble", "Reference")
    await me.press("enter")
    await me.see("Which Mac is locked?")
    await me.press("escape")
    await me.draw("goodbye", "You are signed out")


async def _look_at_key(me: _Photographer, seen: str) -> None:
    """Draw a key in every theme and view, the check of its copy, and the next steps."""
    for look in OF_MANY_COLOURS:
        await me.draw(f"look-{look}", "Time left", f"The key in the look {look}.")
        await me.press("f8")
    await me.press("f2", "right")
    await me.draw("reveal-step", "Group 2 of 6")
    await me.press("f2")
    await me.draw("reveal-spelled", "Time left")
    await me.press("f2", "space")
    await me.draw("reveal-hidden", "The key is hidden")
    found = KEY.search(seen)
    assert found, seen
    groups = found[0].split("-")
    await me.press("f6", *groups[0], *"0000")
    await me.see("Group 2 is wrong")
    await me.press("right", *groups[2][:2])
    await me.draw("copy-check", "Group 3: type", after=2)
    await me.press("left", *"".join(groups[1:]))
    await me.draw("copy-check-right", "Your copy is right")
    await me.press("enter")
    await me.draw("what-now", "Page 1 of 2")
    await me.press("enter")
    await me.draw("what-now-2", "Page 2 of 2")
    await me.press("escape", "escape")
    await me.see("The key is hidden")


async def draw_visit(services: Services, folder: Path, size: tuple[int, int] = SIZE) -> None:
    """Run one visit and draw each of its screens; run one more as on a console."""
    config = load(services.kiosk_toml, KioskConfig)
    await _draw_visit(services, _Photographer, config, folder, size)
    on_console = msgspec.structs.replace(config, look=Look(theme="ansi", type="console"))
    await _draw_visit(services, _ConsolePhotographer, on_console, folder, size)


async def _draw_visit(
    services: Services, photographer: type[_Photographer], config: KioskConfig, folder: Path, size: tuple[int, int]
) -> None:
    clock = _StillClock()
    app = _Kiosk(VisitContext(config=config, clock=clock, terminal="tty1"))
    try:
        async with app.run_test(size=size) as pilot, Phone(f"https://localhost:{PORT}", services.ca) as phone:
            assert app.theme in {DARK.name, ANSI.name}
            await _visit(photographer(app, pilot, clock, folder), app, phone)
    finally:
        if app.visit:
            await app.visit.end(Ending.FINISHED)


async def draw_seldom(services: Services, folder: Path, size: tuple[int, int] = SIZE) -> None:
    """Draw the screens that this visit did not show."""
    clock = _StillClock()
    app = _ScreenApp(VisitContext(config=load(services.kiosk_toml, KioskConfig), clock=clock))
    async with app.run_test(size=size) as pilot:
        me = _Photographer(app, pilot, clock, folder)
        seldom: dict[str, KioskScreen[Any]] = {
            "device-code": DeviceCodeScreen(
                "FJC3RTFRG", "https://microsoft.com/devicelogin", Deadline.after(clock, 286)
            ),
            "confirm": ConfirmScreen(Person(tid="t", oid="o", name="Priya Raman", address=PERSON), clock),
            "working": WorkingScreen("Getting the recovery key", step=4),
            "reason": ReasonScreen(None, required=True, typed="INC0042"),
        }
        seen = {
            "device-code": "Code valid for",
            "confirm": "Is this you?",
            "working": "One moment",
            "reason": "INC0042",
        }
        for name, screen in seldom.items():
            shown = asyncio.ensure_future(app.show(screen))
            await me.draw(name, seen[name])
            shown.cancel()


def page() -> str:
    """Return the text of ``screens.md``: every screen with a description and a picture."""
    parts = [
        "# The screens",
        "Every screen at 80x24, drawn from the running program by `make pictures`. People, Macs and keys are invented.",
    ]
    for name, (heading, words) in SCREENS.items():
        parts.append(f"## {heading}\n\n{words}\n\n![{heading}](pictures/{name}.svg)")
    parts.append(
        "## Colours\n\nF8 changes the colours; `[look] theme` in [kiosk.toml](configuration.md#look) sets the first."
    )
    rows = [f"![{look}](pictures/look-{look}.svg)<br>{look}" for look in OF_MANY_COLOURS]
    parts.append(f"| | |\n| --- | --- |\n| {rows[0]} | {rows[1]} |\n| {rows[2]} | {rows[3]} |")
    parts.append(
        "## On the Linux console\n\nThe look `ansi` in the console's own sixteen colours, with the font of `deploy/`."
    )
    parts += [f"![{SCREENS[name][0]}](pictures/console-{name}.svg)" for name in ON_CONSOLE]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write the pictures to ``docs/pictures``, and the page."""
    folder = Path(__file__).with_suffix("")
    folder.mkdir(exist_ok=True)
    # Hide the warning about the refusal, which is expected here.
    logging.disable(logging.WARNING)
    # Otherwise Textual would use the colours of the terminal in which this program runs.
    os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
    os.environ.pop("NO_COLOR", None)
    with (
        tempfile.TemporaryDirectory(prefix="kiosk-pictures-") as directory,
        running_services(Path(directory), port=PORT, page_port=PAGE_PORT) as services,
    ):
        asyncio.run(draw_visit(services, folder))
        asyncio.run(draw_seldom(services, folder))
    PAGE.write_text(page())


if __name__ == "__main__":
    main()

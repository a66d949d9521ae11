"""Every screen as text, at the relevant sizes. Update with --update-goldens, and read in review."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.color import ColorSystem
from textual.pilot import Pilot

from docs.palettes import on_console, on_xterm, written
from kiosk.config.kiosk import Look
from kiosk.errors import DevicePersonal, KeyNotEscrowed, PersonLimit, SignInUnreachable
from kiosk.look.themes import ANSI, ANSI_CONTRAST, CONTRAST, THEMES
from kiosk.models import Ending
from kiosk.screens.base import KioskScreen
from kiosk.screens.confirm import ConfirmScreen
from kiosk.screens.copy_check import CopyCheckScreen
from kiosk.screens.device_code import DeviceCodeScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.digits import DigitsScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.phone_sign_in import PhoneSignInScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.screens.what_now import WhatNowScreen
from kiosk.screens.working import WorkingScreen
from kiosk.sign_in_messages import Stage
from kiosk.visit.answers import DigitsNotice, Renewal
from kiosk.visit.reveal import Reveal
from kiosk.widgets.prose import Prose
from kiosk.widgets.qr_code import QrCode
from tests.support.phone_progress import progress
from tests.support.screen_app import CONFIG, KEY, PERSON, ScreenApp, checkable, device, rows, welcome

GOLDENS = Path(__file__).parent / "goldens"
HELPDESK, PORTAL = CONFIG.organisation.helpdesk, CONFIG.organisation.portal

DEVICES = [
    device(),
    device(
        "Lab iMac",
        id="d2",
        model="iMac",
        serial="C02ZZ9PLQ05N",
        last_seen=None,
        never_seen=True,
        refusal="key_not_escrowed",
    ),
    device("عمر MacBook Air", id="d3", model="MacBook Air", refusal="device_personal"),
    device("倉庫 Mac mini 東京オフィス 第二会議室用", id="d4", model="Mac mini", serial=""),
    device("Mac with an old key", id="d6", warning="key_rotated"),
    device("[@click=app.quit]x[/]", id="d5", model="", last_seen=datetime(2025, 1, 2, tzinfo=UTC)),
]

WARNING = "Another program may see or save this screen: tmux, sudo."
# What Debian's Uni2-VGA28x16 has of what we draw; letters of names are what they are.
FONT = set("█▀▄─│┌┐└┘■●·√×▌▶←→↑↓“”’")


def hidden(reveal: Reveal) -> Reveal:
    reveal.hide()
    return reveal


def over(reveal: Reveal) -> Reveal:
    reveal.finish(Ending.HIDDEN)
    return reveal


def copy_check(app: ScreenApp) -> CopyCheckScreen:
    reveal = hidden(checkable(app, "AAAA"))
    assert reveal.copy_check
    return CopyCheckScreen(reveal, reveal.copy_check, app.clock)


SCREENS: dict[str, Callable[[ScreenApp], KioskScreen[Any]]] = {
    "welcome": welcome,
    "phone-sign-in": lambda app: PhoneSignInScreen(progress(app.hand)),
    "phone-opened": lambda app: PhoneSignInScreen(progress(app.hand, Stage.OPENED)),
    "phone-signing-in": lambda app: PhoneSignInScreen(progress(app.hand, Stage.SIGNING_IN)),
    "digits": lambda app: DigitsScreen(progress(app.hand, Stage.CONFIRMING), tries=3),
    "digits-wrong": lambda app: DigitsScreen(progress(app.hand, Stage.CONFIRMING), tries=2, notice=DigitsNotice.WRONG),
    "digits-typed": lambda app: DigitsScreen(progress(app.hand, Stage.CONFIRMING), tries=3),
    "device-code": lambda app: DeviceCodeScreen("FJC3RTFRG", "https://microsoft.com/devicelogin", app.deadline(290)),
    "confirm": lambda app: ConfirmScreen(PERSON, app.clock),
    "devices": lambda app: DevicesScreen(DEVICES, HELPDESK, app.clock.utc()),
    "devices-none": lambda app: DevicesScreen([], HELPDESK, app.clock.utc()),
    "reveal": lambda app: RevealScreen(app.reveal()),
    "reveal-unusual": lambda app: RevealScreen(app.reveal(b"35AJ-AC98-TI1H")),
    "reveal-masked": lambda app: RevealScreen(app.reveal(), warning=WARNING, masked=True),
    "reveal-step": lambda app: RevealScreen(app.reveal()),
    "reveal-spelled": lambda app: RevealScreen(app.reveal()),
    "reveal-hidden": lambda app: RevealScreen(hidden(app.reveal())),
    "reveal-over": lambda app: RevealScreen(over(app.reveal())),
    "copy-check": lambda app: copy_check(app),
    "copy-check-right": lambda app: copy_check(app),
    "what-now": lambda _: WhatNowScreen(device(), HELPDESK),
    "what-now-2": lambda _: WhatNowScreen(device(), HELPDESK),
    "reason": lambda _: ReasonScreen(None, required=False, typed="INC0042"),
    "trouble": lambda _: TroubleScreen(
        SignInUnreachable(reference="1A2B3C4D"), CONFIG.organisation, leave="Finish", step=1
    ),
    "trouble-device": lambda _: TroubleScreen(
        KeyNotEscrowed(reference="1A2B3C4D"),
        CONFIG.organisation,
        leave="Back to the list",
        step=4,
        device=device(),
        ticket="Problem: key_not_escrowed",
    ),
    "trouble-personal": lambda _: TroubleScreen(
        DevicePersonal(reference="1A2B3C4D"),
        CONFIG.organisation,
        leave="Back to the list",
        step=4,
        device=device(),
        ticket="Problem: device_personal",
    ),
    "trouble-limit": lambda app: TroubleScreen(
        PersonLimit(reference="1A2B3C4D"),
        CONFIG.organisation,
        leave="Back to the list",
        step=4,
        wait=app.deadline(1250),
    ),
    "working": lambda _: WorkingScreen("Getting the recovery key", step=4),
    "goodbye": lambda app: GoodbyeScreen(Ending.IDLE, app.deadline(4)),
}
# What carries no words: the part of a bar that is used up, and lines.
NO_WORDS = frozenset("─━▏")
# What is pressed on a screen before it is looked at.
KEYS = {
    "digits-typed": [*"471 093"],
    "reveal-step": ["f2", "right"],
    "reveal-spelled": ["f2", "f2"],
    "copy-check": [*"hj4w", *"aaaa", "right", *"mn"],
    "copy-check-right": [*KEY.decode().replace("-", "").lower()],
    "what-now-2": ["right"],
}
# More to look at, on top of a screen.
BESIDES: dict[str, Callable[[ScreenApp], object]] = {
    "devices, warned": lambda app: app._shown_screen().warn("Are you still there?"),  # type: ignore[union-attr]
    "devices, help": lambda app: app.action_explain(),
}
SIZES = [(80, 24), (120, 40), (60, 20)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_screen(size: tuple[int, int], request: pytest.FixtureRequest) -> None:
    """One app for all of them, as starting one takes longer than drawing."""
    app, drawn = ScreenApp(), {}
    async with app.run_test(size=size) as pilot:
        for name in SCREENS:
            async with seen(app, name, pilot):
                drawn[GOLDENS / f"{name}-{size[0]}x{size[1]}.txt"] = "\n".join(rows(app)) + "\n"
    for golden, text in drawn.items():
        compare(text, golden, request)


async def test_looks(request: pytest.FixtureRequest) -> None:
    """The styles of each look, and that all can be read on real palettes; the words are the same in all of them."""
    app = stage(theme="dark")
    size = SIZES[0]
    found: dict[str, list[str]] = {look: [] for look in THEMES}
    async with app.run_test(size=size) as pilot:
        for name in (*SCREENS, *BESIDES):
            golden = GOLDENS / f"{name}-{size[0]}x{size[1]}.txt"
            async with seen(app, name, pilot):
                words = golden.read_text() if name in SCREENS else "\n".join(rows(app)) + "\n"
                for look, lines in found.items():
                    app.theme = look
                    await pilot.pause()
                    assert "\n".join(rows(app)) + "\n" == words, (name, look)
                    assert not list(illegible(app)), (name, look)
                    lines += [name, *styles(app), ""]
    for look, lines in found.items():
        compare("\n".join(lines), GOLDENS / "looks" / f"{look}-{size[0]}x{size[1]}.txt", request)


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_linux_console(size: tuple[int, int], request: pytest.FixtureRequest) -> None:
    """With what its font has: the one that ``deploy/`` sets up."""
    app = stage(theme="ansi", type="console")
    found = []
    async with app.run_test(size=size) as pilot:
        for name in SCREENS:
            async with seen(app, name, pilot):
                text = "\n".join(rows(app))
                assert {one for one in text if not one.isascii() and not one.isalpha()} <= FONT, name
                found += [f"---- {name}", text]
    compare("\n".join(found) + "\n", GOLDENS / f"console-{size[0]}x{size[1]}.txt", request)


_IN_ASCII = (
    "welcome", "phone-sign-in", "digits", "device-code", "devices", "reveal-step", "reveal-spelled",
    "copy-check", "what-now",
)  # fmt: skip


async def test_plain_ascii() -> None:
    app = stage(theme="ansi", type="ascii")
    async with app.run_test(size=(80, 24)) as pilot:
        for name in (
            "welcome",
            "phone-sign-in",
            "digits",
            "device-code",
            "devices",
            "reveal-step",
            "reveal-spelled",
            "copy-check",
            "what-now",
        ):
            async with seen(app, name, pilot):
                assert "\n".join(rows(app)).isascii(), name


def stage(**look: Any) -> ScreenApp:
    return ScreenApp(msgspec.structs.replace(CONFIG, look=Look(**look)))


@asynccontextmanager
async def seen(app: ScreenApp, name: str, pilot: Pilot[None]) -> AsyncIterator[None]:
    """A screen of the table, as long as the block lasts."""
    shown = await app.put(SCREENS[name.partition(",")[0]](app), pilot)
    await pilot.press(*KEYS.get(name, []))
    app.tick()
    BESIDES.get(name, id)(app)
    await pilot.pause()
    yield
    shown.cancel()


def illegible(app: ScreenApp) -> Iterator[tuple[str, float]]:
    """What has too little contrast where this look is drawn, by the sequences that are written to such a terminal."""
    of_sixteen = app.theme in {ANSI.name, ANSI_CONTRAST.name}
    terminals = (on_console, on_xterm) if of_sixteen else (on_xterm,)
    least = 7.0 if app.theme in {CONTRAST.name, ANSI_CONTRAST.name} else 4.5
    colours = ColorSystem.STANDARD if of_sixteen else ColorSystem.TRUECOLOR
    for text, style, _ in itertools.chain.from_iterable(app.screen._compositor.render_strips()):
        if set(text.strip()) - NO_WORDS:
            sgr = written(style, colours)
            yield from ((text, found) for terminal in terminals if (found := terminal(sgr)) < least)


def styles(app: ScreenApp) -> Iterator[str]:
    """Each style on the screen, where it begins, how many cells have it, and the words that it is first seen on."""
    cells: dict[str, int] = {}
    first: dict[str, str] = {}
    for line, strip in enumerate(app.screen._compositor.render_strips(), 1):
        for segment in strip:
            style = str(segment.style)
            cells[style] = cells.get(style, 0) + segment.cell_length
            if segment.text.strip():
                first.setdefault(style, f"line {line}: {segment.text.strip()[:30]}")
    return (f"  {style:<48}{cells[style]:>6}  {first.get(style, '')}".rstrip() for style in cells)


def compare(drawn: str, golden: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-goldens"):
        golden.parent.mkdir(parents=True, exist_ok=True)
        golden.write_text(drawn)
    assert drawn == golden.read_text()


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_one_family(size: tuple[int, int]) -> None:
    """Every screen has its heading on the same line, from the same column on."""
    app = ScreenApp()
    places = {}
    async with app.run_test(size=size) as pilot:
        for name in SCREENS:
            async with seen(app, name, pilot):
                (heading,) = (one for one in app.screen.query(".headline") if one.region)
                places[name] = heading.region.offset
    assert len(set(places.values())) == 1, places


@pytest.mark.parametrize("charset", ["blocks", "ascii"])
@pytest.mark.parametrize("length", [30, 67, 106, 200])
@pytest.mark.parametrize("host", ["login.example", "倉庫.example"])
async def test_a_long_address_gives_way_to_the_code(host: str, length: int, charset: str) -> None:
    """Code, warning and countdown stay on the screen; the QR code is whole or not there, and then the address is."""
    address = f"https://{host}/{'a' * length}"[:length]
    app = stage(type=charset)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = DeviceCodeScreen("FJC3RTFRG", address, app.deadline(290), renewal=Renewal.EXPIRED)
        shown = await app.put(screen, pilot)
        await pilot.pause()
        text = "\n".join(rows(app))
        for words in ("F J C 3 R T F R G", "Enter it only", "Code valid for", "This is a new code"):
            assert words in text
        assert app.screen.region.contains_region(app.screen.query_one(".caution").region)
        for code in app.screen.query(QrCode):
            assert not code.display or (code.region.height == code.lines and code.region.width == code.cells)
            assert app.screen.region.contains_region(code.region)
        scanned = any(code.display for code in app.screen.query(QrCode))
        drawn = "".join(row.strip() for row in str(app.screen.query_one("#address", Prose).content).split("\n"))
        assert drawn == address.removeprefix("https://") or (scanned and drawn.endswith("…"))
        assert scanned is (charset == "blocks" and length < 100)
        shown.cancel()


@pytest.mark.parametrize("name", ["phone-sign-in", "device-code", "reveal"])
async def test_a_window_that_is_too_small_shows_nothing_cut_in_half(name: str) -> None:
    """Neither a part of the code nor a part of the key; it comes back whole when there is room."""
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(SCREENS[name](app), pilot)
        whole = rows(app)
        for small in [(79, 24), (80, 23), (30, 10)]:
            await pilot.resize_terminal(*small)
            await pilot.pause()
            text = "\n".join(rows(app))
            assert "too small" in text
            assert "HJ4W" not in text
            assert "F J C" not in text
            assert "LANTERN" not in text
            assert "█" not in text
        await pilot.resize_terminal(80, 24)
        await pilot.pause()
        assert rows(app) == whole
        shown.cancel()

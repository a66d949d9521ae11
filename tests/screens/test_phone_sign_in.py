"""The sign-in on the phone on the full screen: a QR code that phones read, each stage, and the digits."""

from __future__ import annotations

import zxingcpp
from textual.pilot import Pilot

from kiosk.screens.digits import DigitsScreen
from kiosk.screens.phone_sign_in import PhoneSignInScreen
from kiosk.sign_in_messages import Stage
from kiosk.visit.answers import DigitsNotice
from kiosk.widgets.prose import Prose
from kiosk.widgets.qr_code import QrCode
from tests.screens.test_goldens import stage
from tests.support.phone_progress import SCAN, TYPED, progress
from tests.support.screen_app import ScreenApp, rows

# Pixels of a module, and modules of the dark screen around the code.
_SCALE, _AROUND = 4, 3
_INK = {" ": (1, 1), "▀": (0, 1), "▄": (1, 0), "█": (0, 0)}


def read_off(app: ScreenApp) -> str:
    """Return what a phone reads off the screen, from the cells of the code as they are drawn. Empty if it is hidden."""
    (code,) = app.screen.query(QrCode)
    if not code.display:
        return ""
    region = code.region
    cells = [row.ljust(app.size.width)[region.x : region.right] for row in rows(app)[region.y : region.bottom]]
    modules = [[_INK[cell][half] for cell in row] for row in cells for half in (0, 1)]
    width, height = (len(modules[0]) + 2 * _AROUND) * _SCALE, (len(modules) + 2 * _AROUND) * _SCALE
    picture = bytearray(width * height)
    for y in range(len(modules) * _SCALE):
        for x in range(len(modules[0]) * _SCALE):
            at = (y + _AROUND * _SCALE) * width + x + _AROUND * _SCALE
            picture[at] = 255 * modules[y // _SCALE][x // _SCALE]
    found = zxingcpp.read_barcodes(memoryview(bytes(picture)).cast("B", (height, width)))
    return str(found[0].text) if found else ""


async def test_a_phone_reads_the_link_off_the_screen_and_each_new_one() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        sign_in = progress(app.hand)
        shown = await app.put(PhoneSignInScreen(sign_in), pilot)
        assert read_off(app) == SCAN
        assert app.screen.query_one(QrCode).lines == 15
        text = "\n".join(rows(app))
        assert TYPED.removeprefix("https://") in text
        assert "LANTERN · ZEBRA" in text
        sign_in.turn(Stage.WAITING, scan=SCAN[:-1] + "Z")
        app.tick()
        await pilot.pause()
        assert read_off(app) == SCAN[:-1] + "Z"
        shown.cancel()


async def test_the_screen_follows_the_phone() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        sign_in = progress(app.hand)
        shown = await app.put(PhoneSignInScreen(sign_in, phone=True), pilot)

        async def after(at: Stage) -> str:
            sign_in.turn(at)
            app.tick()
            await pilot.pause()
            return "\n".join(rows(app))

        opened = await after(Stage.OPENED)
        assert not read_off(app)
        assert "A phone has opened the page" in opened
        assert "LANTERN · ZEBRA" in opened
        assert "Time left 1:50" in opened
        assert "go.nordwind" not in opened
        assert "F9" not in opened
        signing_in = await after(Stage.SIGNING_IN)
        assert "LANTERN" not in signing_in
        assert "Time left 4:50" in signing_in
        sign_in.answering = False
        app.tick()
        await pilot.pause()
        assert "The recovery service does not answer." in "\n".join(rows(app))
        await pilot.press("enter")
        assert not shown.done()
        await pilot.press("escape")
        assert await shown is None


async def test_without_half_blocks_the_address_stands_alone() -> None:
    app = stage(type="ascii")
    async with app.run_test(size=(80, 24)) as pilot:
        sign_in = progress(app.hand)
        shown = await app.put(PhoneSignInScreen(sign_in), pilot)
        assert not app.screen.query(QrCode)
        text = "\n".join(rows(app))
        assert "go.nordwind.example/K7Q2-M9XD" in text
        assert "QR code" not in text
        shown.cancel()


async def test_a_longer_address_makes_a_larger_code_or_goes_without() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for length, lines in ((30, 15), (40, 17), (65, 19), (170, 0)):
            longer = "A" * length
            sign_in = progress(app.hand, scan=f"HTTPS://{longer}/K7Q2M9XD", typed=f"https://{longer}/K7Q2-M9XD")
            shown = await app.put(PhoneSignInScreen(sign_in), pilot)
            code = app.screen.query_one(QrCode)
            assert (code.lines if code.display else 0) == lines
            assert read_off(app) == (sign_in.view.scan if lines else "")
            drawn = str(app.screen.query_one("#address", Prose).content).replace("\n", "")
            assert drawn == f"{longer}/K7Q2-M9XD"
            assert "LANTERN" in "\n".join(rows(app))
            shown.cancel()


async def typed(app: ScreenApp, pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    await pilot.pause()
    return "\n".join(rows(app))


async def test_digits_are_typed_corrected_and_wiped() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = DigitsScreen(progress(app.hand, Stage.CONFIRMING), tries=3)
        shown = await app.put(screen, pilot)
        assert "Astrid Lindqvist" in await typed(app, pilot, *"471-09")
        assert "Type all six digits" in await typed(app, pilot, "enter")
        assert "only digits" in await typed(app, pilot, "x")
        await typed(app, pilot, "backspace", *"93")
        assert "Press Enter to sign in" in await typed(app, pilot, "8")
        await typed(app, pilot, "enter")
        assert await shown == b"471093"
        assert screen._typed == bytes(6)
        assert "4" not in "".join(row for row in rows(app) if "│" in row)


async def test_esc_and_the_end_of_a_visit_wipe_the_digits() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        for leave in ("escape", ""):
            screen = DigitsScreen(progress(app.hand, Stage.CONFIRMING), tries=3)
            shown = await app.put(screen, pilot)
            await pilot.press(*"471093", *([leave] if leave else []))
            if not leave:
                screen.forget()
            assert screen._typed == bytes(6)
            assert not leave or await shown is None
            shown.cancel()


async def test_the_digits_screen_says_what_happened_and_what_the_demo_phone_shows() -> None:
    app, said = ScreenApp(), ""
    async with app.run_test(size=(80, 24)) as pilot:
        sign_in = progress(app.hand, Stage.CONFIRMING)
        screen = DigitsScreen(sign_in, tries=1, notice=DigitsNotice.WRONG, said=lambda: said)
        shown = await app.put(screen, pilot)
        assert "Those are not the digits. One try left." in "\n".join(rows(app))
        said, sign_in.answering = "471 093", False
        app.tick()
        await pilot.pause()
        text = "\n".join(rows(app))
        assert "Simulated phone: 471 093" in text
        assert "does not answer" in text
        sign_in.answering = True
        app.tick()
        await pilot.pause()
        assert "answers again" in "\n".join(rows(app))
        shown.cancel()

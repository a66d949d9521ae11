"""What each screen does with keys and with time."""

from __future__ import annotations

import msgspec
import pytest

from kiosk import i18n
from kiosk.errors import BrokerUnreachable, GraphThrottled, KeyNotEscrowed, from_code
from kiosk.models import Device, Ending
from kiosk.process.exit_codes import EXIT_CRASH
from kiosk.screens.confirm import ConfirmScreen
from kiosk.screens.device_code import DeviceCodeScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.help import HelpScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.visit.answers import CONFIRM_SECONDS, LANGUAGE_SECONDS, AfterReveal, Choice, Identity, SignInOutcome
from kiosk.wording import waiting
from tests.support.screen_app import CONFIG, KEY, PERSON, ScreenApp, device, rows, welcome

HELPDESK = CONFIG.organisation.helpdesk
GROUPS = KEY.decode().split("-")
MACS = [device("Alpha", id="a"), device("Beta", id="b", serial="XYZ987"), device("Gamma", id="c", model="iMac")]


async def test_welcome_begins_with_enter_and_with_nothing_else() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(welcome(app), pilot)
        await pilot.press("space", "escape", "a", "tab", "f10")
        assert not shown.done()
        await pilot.press("enter")
        await shown


async def test_sign_in_can_be_cancelled_and_expires() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(DeviceCodeScreen("ABCDEFGHJ", "https://x.example", app.deadline(60)), pilot)
        await pilot.press("enter", "f9")
        assert not shown.done()
        app.hand.advance(61)
        app.tick()
        assert await shown is SignInOutcome.EXPIRED
        shown = await app.put(DeviceCodeScreen("ABCDEFGHJ", "https://x.example", app.deadline(60)), pilot)
        await pilot.press("escape")
        assert await shown is SignInOutcome.CANCELLED


@pytest.mark.parametrize(("press", "answer"), [("enter", Identity.MINE), ("escape", Identity.NOT_MINE)])
async def test_confirm_takes_a_clear_answer(press: str, answer: Identity) -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(ConfirmScreen(PERSON, app.clock), pilot)
        await pilot.press(press)
        assert await shown is answer


async def test_no_answer_is_a_no() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(ConfirmScreen(PERSON, app.clock), pilot)
        app.hand.advance(CONFIRM_SECONDS - 1)
        app.tick()
        assert not shown.done()
        app.hand.advance(1)
        app.tick()
        assert await shown is Identity.UNANSWERED


async def choose(app: ScreenApp, *keys: str) -> Device | None:
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(DevicesScreen(MACS, HELPDESK, app.clock.utc()), pilot)
        await pilot.press(*keys)
        answer: Device | None = await shown
        return answer


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (["enter"], "a"),
        (["down", "enter"], "b"),
        (["down", "down", "down", "down", "up", "enter"], "b"),
        (["end", "enter"], "c"),
        (["end", "home", "enter"], "a"),
        (["pagedown", "pageup", "enter"], "a"),
        ([*"xyz", "enter"], "b"),
        ([*"IMAC", "enter"], "c"),
        ([*"zz", "enter", "backspace", "backspace", *"gam", "enter"], "c"),
        ([*"beta", "escape", "enter"], "a"),
        ([*"beta", "escape", "escape"], None),
        (["escape"], None),
    ],
)
async def test_macs_are_found_by_moving_and_typing(keys: list[str], chosen: str | None) -> None:
    answer = await choose(ScreenApp(), *keys)
    assert (answer.id if answer else None) == chosen


async def test_the_keys_at_the_bottom_are_those_that_act_on_a_list_with_a_filter() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.put(DevicesScreen(MACS, HELPDESK, app.clock.utc()), pilot)
        bottoms = []
        for key in ("b", "z", "escape"):
            await pilot.press(key)
            await pilot.pause()
            bottoms.append(" ".join(rows(app)[-1].split()))
    assert bottoms == [
        "Enter Show key ↑ ↓ Move Esc Show all F1 Help F10 Lock",
        "Esc Show all F1 Help F10 Lock",
        "Enter Show key ↑ ↓ Move Esc Finish F1 Help F10 Lock",
    ]


async def test_the_reason_for_a_missing_key_is_said_before_it_is_asked_for() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        refused = device(refusal=KeyNotEscrowed.code)
        shown = await app.put(DevicesScreen([refused], HELPDESK, app.clock.utc()), pilot)
        text = " ".join(" ".join(rows(app)).split())
        assert KeyNotEscrowed.sentence in text
        assert HELPDESK in text
        shown.cancel()


def groups_on(app: ScreenApp) -> list[str]:
    text = "\n".join(rows(app))
    return [group for group in GROUPS if group in text]


async def test_the_countdown_wipes_the_key_and_enter_asks_for_it_again() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = app.reveal(seconds=30)
        secret = reveal.key
        assert secret is not None
        shown = await app.put(RevealScreen(reveal), pilot)
        assert KEY.decode() in "\n".join(rows(app))
        app.hand.advance(29)
        reveal.tick()
        assert len(secret) == len(KEY)
        app.hand.advance(1)
        reveal.tick()
        assert len(secret) == 0
        assert app.endings == [Ending.COUNTDOWN]
        app.tick()
        await pilot.pause()
        assert not groups_on(app)
        assert "█" not in "\n".join(rows(app))
        assert "Press Enter to get it again" in "\n".join(rows(app))
        await pilot.press("enter")
        assert await shown is AfterReveal.FETCH


async def test_a_hidden_key_can_be_shown_again_within_its_time() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = app.reveal(seconds=30)
        secret = reveal.key
        assert secret is not None
        shown = await app.put(RevealScreen(reveal), pilot)
        for again in ("enter", "space"):
            await pilot.press("space")
            assert len(secret) == 0
            await pilot.pause()
            assert not groups_on(app)
            assert not app.endings
            await pilot.press(again)
            await pilot.pause()
            assert groups_on(app) == GROUPS
            secret = reveal.key
            assert secret is not None
        shown.cancel()


async def test_a_hidden_key_is_not_shown_after_its_time() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = app.reveal(seconds=30)
        shown = await app.put(RevealScreen(reveal), pilot)
        await pilot.press("space")
        app.hand.advance(30)
        await pilot.press("space")
        await pilot.pause()
        assert not groups_on(app)
        assert app.endings == [Ending.HIDDEN]
        await pilot.press("enter")
        assert await shown is AfterReveal.FETCH


async def test_escape_wipes_and_goes_back() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = app.reveal(seconds=30)
        secret = reveal.key
        assert secret is not None
        shown = await app.put(RevealScreen(reveal), pilot)
        await pilot.press("escape")
        assert len(secret) == 0
        assert app.endings == [Ending.HIDDEN]
        await pilot.pause()
        assert not groups_on(app)
        assert await shown is AfterReveal.BACK


async def test_the_countdown_goes_on_behind_the_help() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        reveal = app.reveal(seconds=30)
        shown = await app.put(RevealScreen(reveal), pilot)
        await pilot.press("f1")
        assert isinstance(app.screen, HelpScreen)
        assert not groups_on(app)
        app.hand.advance(30)
        reveal.tick()
        app.tick()
        assert reveal.over
        await pilot.press("escape")
        assert "Press Enter to get it again" in "\n".join(rows(app))
        shown.cancel()


async def test_a_key_never_hides_in_a_string_that_a_widget_keeps() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(RevealScreen(app.reveal()), pilot)
        strips = app.screen._compositor.render_strips()
        assert not [segment for strip in strips for segment in strip if any(group in segment.text for group in GROUPS)]
        shown.cancel()


async def test_trouble_offers_another_try_or_the_way_back() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(
            TroubleScreen(BrokerUnreachable("secret cause"), CONFIG.organisation, leave="Finish"), pilot
        )
        assert "secret cause" not in "\n".join(rows(app))
        await pilot.press("enter")
        assert await shown is Choice.AGAIN
        shown = await app.put(TroubleScreen(KeyNotEscrowed(), CONFIG.organisation, leave="Back to the list"), pilot)
        await pilot.press("enter")
        assert await shown is Choice.LEAVE


async def test_trouble_offers_no_retry_before_it_can_help() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        error = GraphThrottled(retry_after=600)
        trouble = TroubleScreen(error, CONFIG.organisation, leave="Back to the list", wait=app.deadline(600))
        shown = await app.put(trouble, pilot)
        text = "\n".join(rows(app))
        assert "You can try again in 10 minutes." in text
        assert "Wait a minute" not in text
        assert "Try again" not in text
        await pilot.press("enter")
        assert not shown.done()
        app.hand.advance(600)
        app.tick()
        await pilot.pause()
        text = "\n".join(rows(app))
        assert "You can try again now." in text
        assert "Enter  Try again" in text
        await pilot.press("enter")
        assert await shown is Choice.AGAIN


@pytest.mark.parametrize(
    ("code", "hints"),
    [
        ("token_expired", ["Enter  Sign in again", "Esc  Back to the list"]),
        ("graph_unavailable", ["Enter  Try again", "Esc  Back to the list"]),
        ("self_service_off", ["Enter  Back to the list"]),
    ],
)
async def test_trouble_says_what_its_keys_lead_to(code: str, hints: list[str]) -> None:
    """And how to lock, although there is not room for everything."""
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        trouble = TroubleScreen(
            from_code(code), CONFIG.organisation, leave="Back to the list", ticket=f"Problem: {code}"
        )
        shown = await app.put(trouble, pilot)
        # On two lines where one is too short.
        line = "\n".join(rows(app)[-2:])
        assert [hint for hint in hints if hint not in line] == []
        assert ("Try again" in line) is ("Enter  Try again" in hints)
        assert line.endswith("F10  Lock")
        shown.cancel()


async def test_a_personal_mac_leaves_room_for_a_long_helpdesk() -> None:
    helpdesk = "The helpdesk: telephone 555 0100, helpdesk@nordwind.example, or room 1.07"
    organisation = msgspec.structs.replace(CONFIG.organisation, helpdesk=helpdesk)
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        trouble = TroubleScreen(from_code("device_personal"), organisation, leave="Back to the list", device=device())
        shown = await app.put(trouble, pilot)
        text = "\n".join(rows(app))
        for whole in ("portal.manage.microsoft.com", "helpdesk@nordwind.example", "room 1.07", "(device_personal)"):
            assert whole in text
        shown.cancel()


async def test_a_tick_on_the_way_out_finds_no_widgets_and_ends_nothing() -> None:
    class Leaving(ScreenApp):
        async def _close_all(self) -> None:
            await self.screen.query("*").remove()
            self.tick()
            await super()._close_all()

    app = Leaving()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.put(TroubleScreen(from_code("internal"), CONFIG.organisation, leave="Finish"), pilot)
    assert app.return_code != EXIT_CRASH


async def test_what_a_ticket_needs_is_laid_over_the_trouble() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        trouble = TroubleScreen(
            KeyNotEscrowed(), CONFIG.organisation, leave="Back to the list", ticket="Problem: key_not_escrowed"
        )
        shown = await app.put(trouble, pilot)
        await pilot.press("f5")
        assert "Problem: key_not_escrowed" in "\n".join(rows(app))
        await pilot.press("escape")
        assert app.screen is trouble
        shown.cancel()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 minute"),
        (60, "1 minute"),
        (61, "2 minutes"),
        (3600, "60 minutes"),
        (5400, "2 hours"),
        (8e4, "23 hours"),
    ],
)
def test_waiting_times_are_rounded_up(seconds: float, words: str) -> None:
    assert waiting(seconds) == words


async def test_the_arrows_choose_a_language_for_this_visit() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(offering(app, "en", "sv", "de"), pilot)
        for press, chosen in [("right", "sv"), ("down", "de"), ("right", "en"), ("left", "de"), ("up", "sv")]:
            await pilot.press(press)
            await pilot.pause()
            assert i18n.language() == chosen
            assert f"[{i18n.LANGUAGES[chosen]}]" in "\n".join(rows(app))
        await pilot.press("enter")
        await shown
        assert i18n.language() == "sv"


async def test_a_language_that_somebody_left_behind_goes_back() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = offering(app, "en", "sv")
        shown = await app.put(screen, pilot)
        await pilot.press("right")
        assert i18n.language() == "sv"
        app.hand.advance(LANGUAGE_SECONDS - 1)
        await screen._look_at_clock()
        assert i18n.language() == "sv"
        app.hand.advance(1)
        await screen._look_at_clock()
        assert i18n.language() == "en"
        assert screen._ticking is None
        shown.cancel()


async def test_one_language_is_no_choice() -> None:
    app = ScreenApp()
    async with app.run_test(size=(80, 24)) as pilot:
        shown = await app.put(offering(app, "en"), pilot)
        await pilot.press("right")
        assert i18n.language() == "en"
        assert "Language" not in "\n".join(rows(app))
        shown.cancel()


def offering(app: ScreenApp, *codes: str) -> WelcomeScreen:
    languages = {code: i18n.LANGUAGES[code] for code in codes}
    return WelcomeScreen(app.clock, HELPDESK, "https://portal.example", languages=languages)

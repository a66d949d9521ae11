"""Every state of every screen that a person can see, one scene each, for tests that look at all of them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from kiosk import i18n, wording
from kiosk.clock import Deadline
from kiosk.config.kiosk import Policy
from kiosk.errors import BY_CODE, ConfigError, DeviceRefused, KioskError, SignInError, TerminalWatched, from_code
from kiosk.i18n import _
from kiosk.models import Ending
from kiosk.screens.base import KioskScreen
from kiosk.screens.copy_check import CopyCheckScreen
from kiosk.screens.device_code import DeviceCodeScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.digits import DigitsScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.help import HelpScreen
from kiosk.screens.phone_sign_in import PhoneSignInScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.simulated_phone import SimulatedPhoneScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.screens.what_now import WhatNowScreen
from kiosk.screens.working import WorkingScreen
from kiosk.sign_in_messages import Stage, WordPair
from kiosk.sign_in_words import WORDS
from kiosk.terminal.recorders import Recorders
from kiosk.visit.answers import DigitsNotice, Network, Renewal
from kiosk.visit.demo_phone import DemoPerson
from kiosk.visit.reveal import Reveal
from kiosk.visit.ticket import ticket
from tests.screens.test_goldens import HELPDESK, KEYS, PORTAL, SCREENS
from tests.support.phone_progress import SCAN, TYPED, Progress, progress
from tests.support.screen_app import CONFIG, ScreenApp, checkable, device

Scene = Callable[[ScreenApp], Screen[Any]]

_WIDTH = 76
_WRONG = "AAAA"
# Not the time of the app's clock, which depends on the scenes before.
_TICKET_AT = datetime(2026, 11, 22, 9, 11, 35, tzinfo=UTC)
# Keys with the longest explanations: only letters that look like digits, with zeros, and both of each pair.
ONLY_LETTERS, ZEROS, PAIRS = (
    b"OISB-ZGHJ-KMNP-QRTU-VWXY-ACDE",
    b"0I1S-5B8Z-2G6H-JKMN-PQRT-UVWX",
    b"O0I1-S5B8-Z2G6-HJKM-NPQR-TUVW",
)
ERRORS = [code for code in BY_CODE if code != ConfigError.code]


def error(code: str) -> KioskError:
    """Return the error of a code, with everything that an error can show."""
    made = from_code(code, reference="1A2B3C4D", retry_after=1250)
    if isinstance(made, SignInError):
        made.support = "AADSTS500011"
    return made


def longest(kind: type[KioskError]) -> KioskError:
    """Return the error of this kind that needs the most room in the current language."""

    def room(made: KioskError) -> tuple[int, int]:
        said = [_(text) for text in (made.title, made.sentence, made.next_step)]
        return sum(len(wrap(text, _WIDTH)) for text in said), sum(map(len, said))

    return max((made for made in map(error, ERRORS) if isinstance(made, kind)), key=room)


def _welcome_failed(app: ScreenApp) -> KioskScreen[Any]:
    screen = WelcomeScreen(app.clock, HELPDESK, PORTAL, languages=i18n.LANGUAGES, failed="1A2B3C4D")
    screen.say_network(Network.AWAY)
    return screen


def _hidden(reveal: Reveal) -> Reveal:
    reveal.hide()
    return reveal


def _over(reveal: Reveal) -> Reveal:
    reveal.finish(Ending.HIDDEN)
    return reveal


def _copy_check(app: ScreenApp, *, wrong: int = 0) -> CopyCheckScreen:
    """Return a copy check in which the first group was wrong ``wrong`` times."""
    reveal = _hidden(checkable(app, _WRONG))
    assert reveal.copy_check
    for _try in range(wrong):
        reveal.copy_check.check(1, bytearray(_WRONG.encode()))
    return CopyCheckScreen(reveal, reveal.copy_check, app.clock)


def _copy_check_late(app: ScreenApp, *, wiped: bool = False) -> CopyCheckScreen:
    """Return a copy check whose key has vanished; if ``wiped``, the key can no longer be checked."""
    reveal = app.reveal()
    check = reveal.copy_check
    assert check
    screen = CopyCheckScreen(_over(reveal), check, app.clock)
    if wiped:
        check.wipe()
    return screen


def _refused_device(app: ScreenApp) -> KioskScreen[Any]:
    refused = device("A Mac with a rather long name, 3rd floor", refusal=longest(DeviceRefused).code)
    return DevicesScreen([refused], HELPDESK, app.clock.utc())


def _devices_seen(app: ScreenApp) -> KioskScreen[Any]:
    now = app.clock.utc()
    ages = [None, *(now.replace(year=now.year - 1), now)]
    macs = [device(id=f"d{place}", last_seen=age) for place, age in enumerate(ages)]
    macs.append(device(id="d9", last_seen=None, never_seen=True))
    return DevicesScreen(macs, HELPDESK, now)


def _trouble(made: KioskError, *, step: int, leave: str = "Finish", wait: Deadline | None = None) -> KioskScreen[Any]:
    told = ticket(made, at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC), kiosk="lobby", device=device())
    return TroubleScreen(made, CONFIG.organisation, leave=leave, step=step, device=device(), ticket=told, wait=wait)


def _ticket(_app: ScreenApp) -> Screen[Any]:
    made = error("sign_in_unreachable")
    told = ticket(made, at=_TICKET_AT, kiosk="lobby", device=device(), sign_in="0d8e2f6c")
    return HelpScreen(told, HELPDESK, title=_("Ticket details"))


def _silent(made: Progress) -> Progress:
    return replace(made, answering=False)


def longest_words() -> WordPair:
    """Return the words that need the most room in the current language."""
    longest = sorted(range(len(WORDS)), key=lambda number: len(_(WORDS[number])))[-2:]
    return (longest[0], longest[1])


def _phone(_app: ScreenApp) -> Screen[Any]:
    return SimulatedPhoneScreen([DemoPerson(f"o{n}", "Ada Kessler", "ada@nordwind.example", "") for n in range(20)])


# Keys to press on a scene before a test looks at it.
_PRESSED = {
    **KEYS,
    "reveal-more-time": ["f4"],
    "reveal-international": ["f2", "f2", "f3"],
    "reveal-step-pairs": ["f2"],
    "copy-check-last-try": [*"aaaa"],
    "copy-check-spent": ["left"],
    "copy-check-never": ["!"],
    "copy-check-forgotten": [*"hj4w"],
}
# Seconds to let pass before a test looks at it.
_LATER = {"trouble-waited": 60, "reveal-more-time": 100, "reveal-minute": 250, "reveal-seconds": 285}
HELPS = {name.removesuffix("_HELP").lower(): text for name, text in vars(wording).items() if name.endswith("_HELP")}


def _help(text: str, _app: ScreenApp) -> HelpScreen:
    return HelpScreen(_(text), HELPDESK)


SCENES: dict[str, Scene] = {
    **SCREENS,
    "welcome-demo": lambda app: WelcomeScreen(app.clock, HELPDESK, PORTAL, languages=i18n.LANGUAGES, demo=True),
    "welcome-failed": _welcome_failed,
    "phone-renewed": lambda app: PhoneSignInScreen(progress(app.hand), renewal=Renewal.EXPIRED, phone=True),
    "phone-silent": lambda app: PhoneSignInScreen(_silent(progress(app.hand)), phone=True),
    "phone-opened-silent": lambda app: PhoneSignInScreen(_silent(progress(app.hand, Stage.OPENED)), phone=True),
    "phone-long": lambda app: PhoneSignInScreen(
        progress(app.hand, scan=f"HTTPS://{'A' * 30}.{SCAN[8:]}", typed=f"https://{'a' * 30}.{TYPED[8:]}"), phone=True
    ),
    "phone-longest": lambda app: PhoneSignInScreen(
        progress(app.hand, scan=f"HTTPS://{'A' * 160}.{SCAN[8:]}", typed=f"https://{'a' * 160}.{TYPED[8:]}"), phone=True
    ),
    "phone-words": lambda app: PhoneSignInScreen(replace(progress(app.hand), words=longest_words()), phone=True),
    "digits-last": lambda app: DigitsScreen(
        progress(app.hand, Stage.CONFIRMING), tries=1, notice=DigitsNotice.WRONG, said=lambda: "471 093"
    ),
    "digits-unanswered": lambda app: DigitsScreen(
        progress(app.hand, Stage.CONFIRMING), tries=3, notice=DigitsNotice.UNANSWERED
    ),
    "digits-silent": lambda app: DigitsScreen(_silent(progress(app.hand, Stage.CONFIRMING)), tries=3),
    "digits-longest": lambda app: DigitsScreen(
        progress(app.hand, Stage.CONFIRMING, name="Maximiliane " * 5, address=f"{'m' * 47}@nordwind.example"), tries=3
    ),
    "device-code-renewed": lambda app: DeviceCodeScreen(
        "FJC3RTFRG", "https://login.microsoft.com/device", app.deadline(890), renewal=Renewal.EXPIRED, phone=True
    ),
    "device-code-unanswered": lambda app: DeviceCodeScreen(
        "FJC3RTFRG", "https://login.microsoft.com/device", app.deadline(890), renewal=Renewal.UNANSWERED, phone=True
    ),
    "device-code-silent": lambda app: DeviceCodeScreen(
        "FJC3RTFRG", "https://login.microsoft.com/device", app.deadline(890), answers=lambda: False, phone=True
    ),
    "device-code-long": lambda app: DeviceCodeScreen(
        "FJC3RTFRG", f"https://{'login.nordwind.example/':7<59}", app.deadline(890), renewal=Renewal.EXPIRED
    ),
    "device-code-longest": lambda app: DeviceCodeScreen(
        "FJC3RTFRG", f"https://{'倉庫.example/':7<190}", app.deadline(890), renewal=Renewal.EXPIRED, phone=True
    ),
    "devices-refused": _refused_device,
    "devices-seen": _devices_seen,
    "reason-required": lambda _app: ReasonScreen(None, required=True),
    "reveal-watched": lambda app: RevealScreen(
        app.reveal(), warning=_warned(None, "debugger", "other_tty", "tmux"), masked=True
    ),
    "reveal-masked": lambda app: RevealScreen(app.reveal(), warning=_warned(None, "tmux"), masked=True),
    "reveal-more-time": lambda app: RevealScreen(app.reveal()),
    "reveal-minute": lambda app: RevealScreen(app.reveal()),
    "reveal-seconds": lambda app: RevealScreen(app.reveal()),
    "reveal-international": lambda app: RevealScreen(app.reveal()),
    "reveal-letters": lambda app: RevealScreen(app.reveal(ONLY_LETTERS)),
    "reveal-zeros": lambda app: RevealScreen(app.reveal(ZEROS)),
    "reveal-pairs": lambda app: RevealScreen(app.reveal(PAIRS)),
    "reveal-step-pairs": lambda app: RevealScreen(app.reveal(PAIRS)),
    "reveal-old": lambda app: RevealScreen(app.reveal(), warning=_warned("key_rotated")),
    "reveal-all": lambda app: RevealScreen(app.reveal(), warning=_warned("key_rotated", "tmux"), masked=True),
    "reveal-hidden": lambda app: RevealScreen(_hidden(app.reveal())),
    "reveal-over": lambda app: RevealScreen(_over(app.reveal())),
    "copy-check-last-try": lambda app: _copy_check(app, wrong=3),
    "copy-check-spent": lambda app: _copy_check(app, wrong=5),
    "copy-check-never": _copy_check,
    "copy-check-over": _copy_check_late,
    "copy-check-forgotten": lambda app: _copy_check_late(app, wiped=True),
    "what-now-unnamed": lambda _app: WhatNowScreen(device("", model="", serial=""), HELPDESK),
    "trouble-longest": lambda _app: _trouble(longest(KioskError), step=2),
    "trouble-sign-in": lambda _app: _trouble(longest(SignInError), step=1),
    "trouble-watched": lambda _app: _trouble(TerminalWatched(reference="1A2B3C4D"), step=4, leave="Back to the list"),
    "trouble-wait": lambda app: _trouble(error("graph_throttled"), step=3, wait=app.deadline(600)),
    "trouble-waited": lambda app: _trouble(error("graph_throttled"), step=3, wait=app.deadline(60)),
    "working-sign-in": lambda _app: WorkingScreen("Starting the sign-in", step=1),
    "working-digits": lambda _app: WorkingScreen("Checking the digits", step=2),
    "working-code": lambda _app: WorkingScreen("Getting a sign-in code", step=1),
    "working-session": lambda _app: WorkingScreen("Checking your sign-in", step=2),
    "working-devices": lambda _app: WorkingScreen("Looking up your Macs", step=3),
    "goodbye-visit": lambda app: GoodbyeScreen(Ending.VISIT_OVER, app.deadline(4)),
    "goodbye-locked": lambda app: GoodbyeScreen(Ending.LOCKED, app.deadline(4)),
    "goodbye-finished": lambda app: GoodbyeScreen(Ending.FINISHED, app.deadline(4)),
    "phone": _phone,
    "ticket": _ticket,
    **{f"help-{name}": functools.partial(_help, text) for name, text in HELPS.items()},
}


def _warned(code: str | None, *kinds: str) -> str:
    """Return the warning beside a key that may not work or may be recorded."""
    return wording.key_warning(code, Recorders(kinds, Policy.MASK if kinds else Policy.ALLOW))


def still_there() -> str:
    """Return the warning before an unattended visit locks."""
    return _("Are you still there? This terminal locks in {seconds} s. Press any key to stay.").format(seconds=15)


@asynccontextmanager
async def played(app: ScreenApp, name: str, pilot: Pilot[None]) -> AsyncIterator[None]:
    """Show a scene while the block runs."""
    screen = SCENES[name](app)
    if isinstance(screen, KioskScreen):
        shown = await app.put(screen, pilot)
        app.hand.advance(_LATER.get(name, 0))
        await pilot.press(*_PRESSED.get(name, []))
        app.tick()
        await pilot.pause()
        yield
        shown.cancel()
    else:
        app.push_screen(screen)
        await pilot.pause()
        yield
        await app.pop_screen()

"""Everything that a person can get to see, one scene for each state of a screen, for tests that look at all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from textual.pilot import Pilot
from textual.screen import Screen

from kiosk import i18n, words
from kiosk.config import Policy
from kiosk.errors import BY_CODE, ConfigError, DeviceRefused, KioskError, SignInError, TerminalWatched, from_code
from kiosk.i18n import _
from kiosk.models import Ending
from kiosk.screens.base import KioskScreen
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.help import HelpScreen
from kiosk.screens.phone import DemoPerson, PhoneScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.sign_in import SignInScreen
from kiosk.screens.trouble import TroubleScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.screens.working import WorkingScreen
from kiosk.showing import Showing
from kiosk.surroundings import Watch
from kiosk.ticket import ticket
from tests.screens.test_goldens import HELPDESK, PORTAL, SCREENS
from tests.support.stage import CONFIG, Stage, device

Scene = Callable[[Stage], Screen[Any]]

_WIDTH = 76
ERRORS = [code for code in BY_CODE if code != ConfigError.code]


def error(code: str) -> KioskError:
    """The error of a code, with everything that an error can show."""
    made = from_code(code, reference="1A2B3C4D", retry_after=1250)
    if isinstance(made, SignInError):
        made.support = "AADSTS500011"
    return made


def longest(kind: type[KioskError]) -> KioskError:
    """The error of this kind that takes the most room in the language in use."""

    def room(made: KioskError) -> tuple[int, int]:
        said = [_(text) for text in (made.title, made.sentence, made.next_step)]
        return sum(len(wrap(text, _WIDTH)) for text in said), sum(map(len, said))

    return max((made for made in map(error, ERRORS) if isinstance(made, kind)), key=room)


def _hidden(showing: Showing) -> Showing:
    showing.hide()
    return showing


def _over(showing: Showing) -> Showing:
    showing.finish(Ending.HIDDEN)
    return showing


def _refused_device(app: Stage) -> KioskScreen[Any]:
    refused = device("A Mac with a rather long name, 3rd floor", refusal=longest(DeviceRefused).code)
    return DevicesScreen([refused], HELPDESK, app.clock.utc())


def _devices_seen(app: Stage) -> KioskScreen[Any]:
    now = app.clock.utc()
    ages = [None, *(now.replace(year=now.year - 1), now)]
    macs = [device(id=f"d{place}", last_seen=age) for place, age in enumerate(ages)]
    return DevicesScreen(macs, HELPDESK, now)


def _trouble(made: KioskError, *, step: int, leave: str = "Finish") -> KioskScreen[Any]:
    told = ticket(made, at=datetime(2026, 11, 22, 9, 30, tzinfo=UTC), kiosk="lobby", device=device())
    return TroubleScreen(made, CONFIG.organisation, leave=leave, step=step, device=device(), ticket=told)


def _ticket(app: Stage) -> Screen[Any]:
    made = error("sign_in_unreachable")
    told = ticket(made, at=app.clock.utc(), kiosk="lobby", device=device(), sign_in="0d8e2f6c")
    return HelpScreen(told, HELPDESK, title=_("For a ticket"))


def _phone(_app: Stage) -> Screen[Any]:
    return PhoneScreen([DemoPerson(f"o{n}", "Ada Kessler", "ada@nordwind.example", "") for n in range(20)])


HELPS = {name.removesuffix("_HELP").lower(): text for name, text in vars(words).items() if name.endswith("_HELP")}

SCENES: dict[str, Scene] = {
    **SCREENS,
    "welcome-demo": lambda app: WelcomeScreen(app.clock, HELPDESK, PORTAL, languages=i18n.LANGUAGES, demo=True),
    "sign-in-renewed": lambda app: SignInScreen(
        "FJC3RTFRG", "https://login.microsoft.com/device", app.deadline(890), renewed=True, phone=True
    ),
    "devices-refused": _refused_device,
    "devices-seen": _devices_seen,
    "reason-required": lambda _app: ReasonScreen(None, required=True),
    "reveal-watched": lambda app: RevealScreen(
        app.showing(), warning=_warned(None, "debugger", "other_tty", "tmux"), masked=True
    ),
    "reveal-old": lambda app: RevealScreen(app.showing(), warning=_warned("key_rotated")),
    "reveal-all": lambda app: RevealScreen(app.showing(), warning=_warned("key_rotated", "tmux"), masked=True),
    "reveal-hidden": lambda app: RevealScreen(_hidden(app.showing())),
    "reveal-over": lambda app: RevealScreen(_over(app.showing())),
    "trouble-longest": lambda _app: _trouble(longest(KioskError), step=2),
    "trouble-sign-in": lambda _app: _trouble(longest(SignInError), step=1),
    "trouble-watched": lambda _app: _trouble(TerminalWatched(reference="1A2B3C4D"), step=4, leave="Back to the list"),
    "working-sign-in": lambda _app: WorkingScreen("Asking for a sign-in code", step=1),
    "working-session": lambda _app: WorkingScreen("Checking your sign-in", step=2),
    "working-devices": lambda _app: WorkingScreen("Looking for your Macs", step=3),
    "goodbye-visit": lambda app: GoodbyeScreen(Ending.VISIT_OVER, app.deadline(4)),
    "goodbye-locked": lambda app: GoodbyeScreen(Ending.LOCKED, app.deadline(4)),
    "goodbye-finished": lambda app: GoodbyeScreen(Ending.FINISHED, app.deadline(4)),
    "phone": _phone,
    "ticket": _ticket,
    **{f"help-{name}": lambda _app, text=text: HelpScreen(_(text), HELPDESK) for name, text in HELPS.items()},
}


def _warned(code: str | None, *kinds: str) -> str:
    """What is said against a key that is shown all the same."""
    return " ".join(words.warnings(code, Watch(kinds, Policy.MASK if kinds else Policy.ALLOW)))


def still_there() -> str:
    """The warning before an unattended visit locks."""
    return _("Are you still there? This terminal locks in {seconds} s. Any key stays.").format(seconds=15)


@asynccontextmanager
async def played(app: Stage, scene: Scene, pilot: Pilot[None]) -> AsyncIterator[None]:
    """Show a scene for as long as the block lasts."""
    screen = scene(app)
    if isinstance(screen, KioskScreen):
        shown = await app.put(screen, pilot)
        app.tick()
        await pilot.pause()
        yield
        shown.cancel()
    else:
        app.push_screen(screen)
        await pilot.pause()
        yield
        await app.pop_screen()

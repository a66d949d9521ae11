"""The kiosk on one terminal: key bindings, the idle lock, the end of a visit, and last words when something breaks."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from rich.console import RenderableType
from textual import events, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer

from kiosk import preload
from kiosk.clock import Clock
from kiosk.config import KioskConfig
from kiosk.driver import KioskDriver
from kiosk.flow import Flow, VisitOver
from kiosk.held_key import HeldKey
from kiosk.models import Ending
from kiosk.screens import goodbye
from kiosk.screens.base import KioskScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.help import HelpScreen
from kiosk.screens.phone import DemoPerson, PhoneScreen
from kiosk.screens.reveal import RevealScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.supervisor import EXIT_ENOUGH
from kiosk.surroundings import Watch
from kiosk.watchdog import Watchdog
from kiosk.widgets.key_view import forget_drawings
from kiosk.witness import Witness

log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from kiosk.visit import Visit

Answer = TypeVar("Answer")

EXIT_DONE = 0
EXIT_CRASH = 70
EXIT_TERMINAL_LOST = 129
TICK_SECONDS = 0.25
WARNING_SECONDS = 15
_FAREWELL_SECONDS = 3.0
_HARD_EXIT_SECONDS = 2.0

THEME = Theme(
    name="kiosk-dark",
    dark=True,
    primary="#7cc4ff",
    secondary="#8ea3b8",
    accent="#ffd479",
    warning="#ffb454",
    error="#ff8f80",
    success="#8fe0a5",
    foreground="#e8eef4",
    background="#0e141b",
    surface="#161e28",
    panel="#1e2835",
)


class DemoPhone(Protocol):
    """The simulated phone; exists only in the demo."""

    async def people(self) -> Sequence[DemoPerson]:
        """Who can sign in."""

    async def approve(self, user_code: str, oid: str) -> None:
        """Sign that person in with the code."""


def stylesheet() -> Path:
    """``kiosk.tcss``: inside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).with_name("kiosk.tcss")
    return packaged if packaged.exists() else Path(__file__).parent.with_name("kiosk.tcss")


class Blank(Screen[None], inherit_bindings=False):
    """Under everything; never seen. Textual's own default screen would bring a binding for copying."""


class KioskApp(App[None], inherit_bindings=False):
    """One visit, from the welcome screen to the lock."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    COMMANDS = set()  # noqa: RUF012 - Textual's own declaration
    CSS_PATH = stylesheet()
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "explain", show=False),
        Binding("f10", "lock", show=False, priority=True),
        Binding("f12", "end_demo", show=False),
    ]

    def __init__(
        self,
        config: KioskConfig,
        clock: Clock,
        *,
        terminal: str = "",
        look: Callable[[], Watch] = Watch,
        phone: DemoPhone | None = None,
        reference: str = "",
        notice: str = "",
        witness: Witness | None = None,
        note: str = "",
    ) -> None:
        """``terminal`` names this place in the broker's record, ``reference`` this visit in the log.

        ``look`` tells what may be recording; ``notice`` is said on the welcome screen, ``note`` on all of them.
        """
        super().__init__(driver_class=KioskDriver)
        self.config = config
        self.clock = clock
        self.phone = phone
        self.visit: Visit | None = None
        self.look = look
        self.notice = notice
        self.note = note
        self._changing = asyncio.Lock()
        self._reference = reference
        self._witness = witness
        self._terminal_name = terminal
        self._last_input = clock.now()
        self._held = HeldKey(clock)
        self._ticking: Timer | None = None
        self._watchdog: Watchdog | None = None
        self._ending: Ending | None = None
        self._ended_at = 0.0
        self._user_code = ""

    def get_default_screen(self) -> Screen[Any]:
        return Blank()

    def on_mount(self) -> None:
        self.register_theme(THEME)
        # The Linux console and its like have 16 colours; there the terminal's own palette is the most legible one.
        self.theme = "ansi-dark" if self.console.color_system == "standard" else THEME.name
        self._follow_flow()
        if not self.is_headless:
            self.call_after_refresh(threading.Thread(target=preload.load, name="kiosk-preload", daemon=True).start)

    @work(exclusive=True, group="flow", exit_on_error=False)
    async def _follow_flow(self) -> None:
        try:
            await Flow(self).run()
        except VisitOver as over:
            self.end_visit(over.how)
        except Exception as error:
            self._handle_exception(error)

    async def show(self, screen: KioskScreen[Answer]) -> Answer:
        """Put a screen in place of the one that is shown, and wait for its answer."""
        screen.organisation = self.config.organisation.name
        screen.note = self.note
        # Whoever asks may be cancelled at any moment; a change of screens that is cut in half ends the whole app, as
        # Textual raises the cancellation inside its own message pump.
        await asyncio.shield(asyncio.ensure_future(self._put(screen)))
        return await screen.answered

    async def _put(self, screen: KioskScreen[Any]) -> None:
        async with self._changing:
            while isinstance(self.screen, HelpScreen | PhoneScreen):
                await self.pop_screen()
            if isinstance(self.screen, Blank):
                await self.push_screen(screen)
            else:
                await self.switch_screen(screen)
                self.call_after_refresh(forget_drawings)

    def begin_visit(self) -> Visit:
        """Start the clocks of a visit. Raises ConfigError."""
        # Loaded by now, see kiosk/preload.py; imported at the top it would delay the first screen.
        from kiosk.visit import Visit as new_visit  # noqa: N813 - the type has this name above

        watch = self.look()
        place = f"{self._terminal_name}, under {watch}" if watch.kinds else self._terminal_name
        visit = self.visit = new_visit(self.config, self.clock, place, self._witness)
        self._last_input = self.clock.now()
        # Nothing ticks on the welcome screen: it may stand there for days.
        self._ticking = self.set_interval(TICK_SECONDS, self.tick)
        self._watchdog = Watchdog(self.clock, self._moments, visit.wipe)
        if not self.is_headless:
            self._watchdog.start()
        return visit

    def _moments(self) -> list[float]:
        visit = self.visit
        if visit is None:
            return []
        over = self._ended_at if self._ending else visit.deadline.at
        return [over + _FAREWELL_SECONDS + goodbye.SECONDS, *visit.reveal_deadlines]

    def tick(self) -> None:
        """Hold everything that has a deadline against the clock."""
        if self._watchdog:
            self._watchdog.beat()
        for screen in list(self.screen_stack):
            # A screen that is being put up has no widgets yet; its next tick is near.
            if isinstance(screen, KioskScreen) and screen.is_mounted:
                screen.tick()
        if self._ending or not self.visit:
            return
        if self.visit.deadline.passed():
            self.end_visit(Ending.VISIT_OVER)
            return
        shown = self._shown_screen()
        if shown is None or not shown.idle_counts:
            self._last_input = self.clock.now()
            return
        left = self.config.visit.idle_seconds - (self.clock.now() - self._last_input)
        if left <= 0:
            self.end_visit(Ending.IDLE)
        elif shown.is_mounted:
            soon = left <= min(WARNING_SECONDS, self.config.visit.idle_seconds / 2)
            if soon and isinstance(self.screen, HelpScreen):
                self.screen.dismiss()
            shown.warn(f"Are you still there? This terminal locks in {int(left) + 1} s. Any key stays." if soon else "")

    def _shown_screen(self) -> KioskScreen[Any] | None:
        for screen in reversed(self.screen_stack):
            if isinstance(screen, KioskScreen):
                return screen
        return None

    async def on_event(self, event: events.Event) -> None:
        """Every key passes here first: one that comes after a limit only locks."""
        if isinstance(event, events.Key) and not event.is_forwarded and self.visit and not self._ending:
            self.tick()
            if self._ending:
                return
            if not self._held.down(event.key):
                self._last_input = self.clock.now()
        await super().on_event(event)

    def action_explain(self) -> None:
        """Lay the help of this screen over it."""
        shown = self.screen
        if isinstance(shown, KioskScreen) and shown.help_text:
            self.push_screen(HelpScreen(shown.help_text, self.config.organisation.helpdesk))

    def action_lock(self) -> None:
        """Lock at once, from anywhere."""
        if self.visit:
            self.end_visit(Ending.LOCKED)

    def end_visit(self, how: Ending) -> None:
        """Wipe now; then say goodbye and end the process."""
        if self._ending:
            return
        self._ending = how
        self._ended_at = self.clock.now()
        if self.visit:
            self.visit.wipe()
        for screen in self.screen_stack:
            if isinstance(screen, KioskScreen) and screen.is_mounted:
                screen.forget(how)
        self.workers.cancel_group(self, "flow")
        self._say_goodbye(how)

    @work(group="end", exit_on_error=False)
    async def _say_goodbye(self, how: Ending) -> None:
        showing = asyncio.ensure_future(self.show(GoodbyeScreen(how, self.clock)))
        if self.visit:
            await _within(_FAREWELL_SECONDS, self.visit.end(how))
        await showing
        self._leave(EXIT_DONE)

    def never_shown(self, release_id: str) -> None:
        """A key arrived for somebody who had given up waiting."""
        self._close_reveal(release_id, Ending.NOT_SHOWN)

    def action_end_demo(self) -> None:
        """Demo only: there has to be a way out for those who try the program."""
        if self.note and isinstance(self.screen, WelcomeScreen):
            self._leave(EXIT_ENOUGH)

    @work(group="reveal", exit_on_error=False)
    async def _close_reveal(self, release_id: str, how: Ending) -> None:
        if self.visit:
            await self.visit.close_reveal(release_id, how)

    def on_reveal_screen_hidden(self, message: RevealScreen.Hidden) -> None:
        """The key is gone from the screen; the broker is told how."""
        self._close_reveal(message.release_id, message.how)

    @work(group="phone", exit_on_error=False)
    async def on_sign_in_screen_phone_wanted(self) -> None:
        """Demo only: play the other device."""
        if self.phone is None or isinstance(self.screen, PhoneScreen):
            return
        person = await self.push_screen_wait(PhoneScreen(await self.phone.people()))
        if person and self._user_code:
            await self.phone.approve(self._user_code, person.oid)

    def remember_code(self, user_code: str) -> None:
        """For the simulated phone: the code that it has to approve; empty when there is none."""
        self._user_code = user_code

    def leave_now(self, code: int) -> None:
        """End without a word, as on a signal."""
        if self.visit:
            self.visit.wipe()
        self._leave(code)

    def _leave(self, code: int) -> None:
        if self._watchdog:
            self._watchdog.stop()
        self.exit(return_code=code)
        if not self.is_headless:
            # The orderly way writes to a terminal that may be gone or stuck; it is not waited for.
            backstop = threading.Timer(_HARD_EXIT_SECONDS, os._exit, [code])
            backstop.daemon = True
            backstop.start()

    def terminal_lost(self) -> None:
        """Called from the input thread when the terminal has gone away."""
        if self.visit:
            self.visit.wipe()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.leave_now, EXIT_TERMINAL_LOST)

    def _fatal_error(self) -> None:
        # The original prints a traceback with local variables, the key among them, on the main screen.
        if self.visit:
            self.visit.wipe()
        error = self._exception
        log.error("%s crash: %s at %s", self._reference, type(error).__name__, _place(error))
        self._return_code = EXIT_CRASH
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """End without printing what Textual wants to show."""
        self._fatal_error()

    def copy_to_clipboard(self, text: str) -> None:
        """Nothing leaves through the terminal's clipboard."""


async def _within(seconds: float, asking: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(seconds):
            await asking
    except TimeoutError:
        log.warning("the broker did not take the end of the visit in %s s", seconds)


def _place(error: BaseException | None) -> str:
    """Where it happened, without a word of what was in it."""
    trace = error.__traceback__ if error else None
    while trace and trace.tb_next:
        trace = trace.tb_next
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "an unknown place"

"""The full-screen app: key bindings, changes of screens, the end of a visit, and what happens after a crash."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.console import RenderableType
from textual import events, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.screen import Screen
from textual.timer import Timer

from kiosk import i18n
from kiosk.clock import Deadline
from kiosk.fullscreen.driver import FROM_THE_LINE, KioskDriver
from kiosk.fullscreen.ui import FullScreenUI
from kiosk.i18n import _
from kiosk.look import charset, themes
from kiosk.models import Ending
from kiosk.process import preload
from kiosk.process.exit_codes import EXIT_CRASH, EXIT_DISTURBED, EXIT_DONE, EXIT_ENOUGH, EXIT_LOST, EXIT_OTHER_UI
from kiosk.screens.base import TOLD_SECONDS, Answer, KioskScreen
from kiosk.screens.goodbye import GoodbyeScreen
from kiosk.screens.help import HelpScreen
from kiosk.screens.simulated_phone import SimulatedPhoneScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.visit.context import VisitContext
from kiosk.visit.flow import Flow
from kiosk.visit.guard import GOODBYE_SECONDS, TICK_SECONDS, VisitGuard
from kiosk.visit.ways_out import VisitOver
from kiosk.widgets.key_view import forget_drawings

if TYPE_CHECKING:
    from kiosk.visit.visit import Visit


_UNDISTURBED_SECONDS = 0.5


def stylesheet() -> Path:
    """Return the path of ``kiosk.tcss``: inside the installed package, or at the top of a checkout."""
    packaged = Path(__file__).parents[1] / "kiosk.tcss"
    return packaged if packaged.exists() else Path(__file__).parents[2] / "kiosk.tcss"


class KioskApp(App[None], inherit_bindings=False):
    """One visit, from the welcome screen to the lock."""

    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    COMMANDS = set()  # noqa: RUF012 - Textual's own declaration
    CSS_PATH = stylesheet()
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "explain", show=False),
        Binding("f8", "next_theme", show=False),
        Binding("f3", "other_ui", show=False),
        Binding("f10", "lock", show=False, priority=True),
        Binding("f12", "end_demo", show=False),
    ]

    def __init__(self, context: VisitContext) -> None:
        super().__init__(driver_class=KioskDriver)
        # Each would add a layer to every screen: toasts, and tips under a mouse.
        self._disable_notifications = self._disable_tooltips = True
        i18n.use(context.config.look.language)
        self.few_colours = self.console.color_system == "standard"
        for theme in themes.THEMES.values():
            self.register_theme(theme)
        # Without its watcher, which would compute all styles a second time.
        self.set_reactive(App.theme, themes.first(context.config.look.theme, few_colours=self.few_colours))
        self.stylesheet.set_variables(self.get_css_variables())
        # What that watcher also does: without it, the terminal's own colours would be replaced by others.
        self._watch_ansi_color(self.ansi_color)
        self.config = context.config
        self.clock = context.clock
        self._phone = context.phone
        self._note = context.note
        self._start = context.start
        self.guard = VisitGuard(context, began=self._begin_ticking, over=self._over)
        self._changing = asyncio.Lock()
        self.charset = charset.choose(self.config.look.type, os.environ.get("TERM", ""), context.drawable)
        self._substitutes = charset.Substitutes(self.charset, context.drawable)
        self.typed = context.start.typed
        self._ticking: Timer | None = None
        self._play: Callable[[str], Awaitable[None]] | None = None
        self._ui = FullScreenUI(self, context, ticket=self.guard.ticket, repeats=self.guard.repeats)

    def on_app_blur(self) -> None:
        """Hide the key when the terminal reports that it lost the focus: the person looks elsewhere."""
        if self.visit:
            self.visit.hide()
            self.tick()

    @property
    def visit(self) -> Visit | None:
        """The current visit; None until somebody begins."""
        return self.guard.visit

    async def run_visit(self) -> int:
        """Run the visit until it ends; returns the exit code."""
        await self.run_async(mouse=False)
        # Textual sets no code when its input thread dies: an end that nobody chose is a crash.
        return EXIT_CRASH if self.return_code is None else self.return_code

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), *([self._substitutes] if self._substitutes.enabled else [])]

    def get_default_screen(self) -> Screen[Any]:
        # Returned as the default, it is the first screen that is drawn. Pushed over a blank one it would be the second.
        first = self._prepared(self._ui.first_screen())
        # Textual cannot switch away from a screen that was never pushed: textual #2650.
        first._push_result_callback(self, None)
        return first

    def on_mount(self) -> None:
        self._follow_flow()
        self.guard.guarded = not self.is_headless
        if not self.is_headless:
            self.call_after_refresh(self._first_screen_drawn)

    def _first_screen_drawn(self) -> None:
        if self._start.open_reveals:
            self._start.open_reveals.drawn()
        self.set_timer(_UNDISTURBED_SECONDS, self._keep_first_screen)
        threading.Thread(
            target=preload.load_full_screen, args=(self.config.sign_in.method,), name="kiosk-preload", daemon=True
        ).start()

    def _keep_first_screen(self) -> None:
        """Keep the first frame for the next visit, if nobody has pressed a key yet."""
        size = (self.size.width, self.size.height)
        touched = not isinstance(self._driver, KioskDriver) or self._driver.heard
        usual = not self._start.failed and not self._start.disturbed
        first_frame = self._start.first_frame
        if first_frame and not touched and usual and not first_frame.fits(size):
            whole = self.screen._compositor.render_full_update()
            first_frame.keep(whole.render_segments(self.console), size)

    @work(exclusive=True, group="flow", exit_on_error=False)
    async def _follow_flow(self) -> None:
        with self._guarded():
            try:
                await Flow(self._ui, self.guard, disturbed=self._start.disturbed).run()
            except VisitOver as over:
                self.guard.end(over.how)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """End the visit as a crash when a worker breaks; Textual's own way names the worker in place of the cause."""
        try:
            yield
        except Exception as error:
            self._handle_exception(error)

    def _begin_ticking(self) -> None:
        # Not on the welcome screen, which may be shown for days.
        self._ticking = self.set_interval(TICK_SECONDS, self.tick)

    async def show(self, screen: KioskScreen[Answer]) -> Answer:
        """Show a screen in place of the current one; returns its answer."""
        self._prepared(screen)
        # The caller may be cancelled at any moment. A cancelled change of screens would end the whole app: Textual
        # raises the cancellation inside its own message pump.
        await asyncio.shield(asyncio.ensure_future(self._put(screen)))
        return await screen.answered

    def _prepared(self, screen: KioskScreen[Answer]) -> KioskScreen[Answer]:
        """Give a screen what all screens show, and the form that fits this terminal; returns it."""
        screen.organisation = self.config.organisation.name
        screen.charset = self.charset
        screen.band = self.config.look.accent or ""
        screen.note = _(self._note)
        screen.update_classes(screen.classes_for(self.size), update=False)
        return screen

    async def _put(self, screen: KioskScreen[Any]) -> None:
        async with self._changing:
            while isinstance(self.screen, HelpScreen | SimulatedPhoneScreen):
                await self.pop_screen()
            if screen is not self.screen:
                await self.switch_screen(screen)
                self.call_after_refresh(forget_drawings)

    def tick(self) -> None:
        """Check every deadline against the clock."""
        if not self.is_running:
            # During shutdown the screens lose their widgets one by one while the timer still runs.
            return
        shown = self._shown_screen()
        left = self.guard.tick(idle_counts=shown is not None and shown.idle_counts)
        for screen in list(self.screen_stack):
            # A screen that is being mounted has no widgets yet; its next tick comes soon.
            if isinstance(screen, KioskScreen) and screen.is_mounted:
                screen.tick()
        if shown is None or not shown.is_mounted or self.guard.ending:
            return
        if left is not None and isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        still_there = _("Are you still there? This terminal locks in {seconds} s. Press any key to stay.")
        shown.warn(still_there.format(seconds=int(left) + 1) if left is not None else "")

    def _shown_screen(self) -> KioskScreen[Any] | None:
        for screen in reversed(self.screen_stack):
            if isinstance(screen, KioskScreen):
                return screen
        return None

    async def on_event(self, event: events.Event) -> None:
        """See every key first: a key that comes after a limit only locks."""
        guard, driver = self.guard, self._driver
        if isinstance(event, FROM_THE_LINE) and not event.is_forwarded and isinstance(driver, KioskDriver):
            driver.handled_one()
        if isinstance(event, events.Key) and not event.is_forwarded and guard.visit and not guard.ending:
            self.tick()
            if guard.ending:
                return
            guard.pressed(event.key)
        if isinstance(event, events.Key) and not event.is_forwarded and not guard.ending:
            self._say_why_not(event.key)
        await super().on_event(event)

    def _say_why_not(self, key: str) -> None:
        """Say why a key does nothing now, or remove what was said of the one before."""
        shown = self.screen
        if isinstance(shown, KioskScreen) and shown.is_mounted:
            shown.tell(shown.why_not(key), Deadline.after(self.clock, TOLD_SECONDS))

    def action_explain(self) -> None:
        """Show the help of this screen on top of it."""
        shown = self.screen
        if isinstance(shown, KioskScreen) and shown.fits and shown.help_text:
            self.push_screen(HelpScreen(_(shown.help_text), self.config.organisation.helpdesk))

    def action_next_theme(self) -> None:
        """Change to the next theme, for this visit."""
        self.theme = themes.following(self.theme, few_colours=self.few_colours)

    def action_lock(self) -> None:
        """Lock at once, from anywhere."""
        if self.visit:
            self.guard.end(Ending.LOCKED)

    def _over(self, how: Ending) -> None:
        for screen in self.screen_stack:
            if isinstance(screen, KioskScreen) and screen.is_mounted:
                screen.forget()
        self.workers.cancel_group(self, "flow")
        self._say_goodbye(how)

    @work(group="end", exit_on_error=False)
    async def _say_goodbye(self, how: Ending) -> None:
        with self._guarded():
            screen = GoodbyeScreen(how, Deadline.after(self.clock, GOODBYE_SECONDS))
            await asyncio.gather(self.show(screen), self.guard.farewell(how))
            self._leave(EXIT_DISTURBED if self.guard.disturbed else EXIT_DONE)

    def action_other_ui(self) -> None:
        """Change to linear mode, from the first screen only: a visit keeps the UI that it began with."""
        if self.visit is None and isinstance(self.screen, WelcomeScreen):
            self._leave(EXIT_OTHER_UI)

    def action_end_demo(self) -> None:
        """End the demo from its first screen, so that people who try the program can leave it."""
        if self._note and isinstance(self.screen, WelcomeScreen):
            self._leave(EXIT_ENOUGH)

    async def on_phone_sign_in_screen_phone_wanted(self) -> None:
        self._play_phone()

    async def on_device_code_screen_phone_wanted(self) -> None:
        self._play_phone()

    @work(group="phone", exit_on_error=False)
    async def _play_phone(self) -> None:
        """Play the phone of the demo."""
        if self._phone is None or isinstance(self.screen, SimulatedPhoneScreen):
            return
        person = await self.push_screen_wait(SimulatedPhoneScreen(await self._phone.people()))
        if person and self._play:
            await self._play(person.oid)

    def offer(self, play: Callable[[str], Awaitable[None]] | None) -> None:
        """Let the simulated phone be played: ``play`` signs in the person with an object id. None for no longer."""
        self._play = play

    def leave_now(self, code: int) -> None:
        """Wipe and end without a goodbye, as on a signal."""
        self.guard.wipe()
        self._leave(code)

    def _leave(self, code: int) -> None:
        self.guard.stop()
        if not self.is_headless:
            # Textual's own exit writes to a terminal that may be gone or blocked; the supervisor cleans up anyway.
            os._exit(code)
        self.exit(return_code=code)

    def input_broke(self, error: Exception) -> None:
        """Called from the input thread when it cannot continue: nobody could press a key any more."""
        self.guard.wipe()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._handle_exception, error)

    def terminal_lost(self) -> None:
        """Wipe and end: the terminal has gone away. Called from the input thread."""
        self.guard.wipe()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self.leave_now, EXIT_LOST)

    def _fatal_error(self) -> None:
        # The original prints a traceback with local variables, including the key, on the main screen.
        self.guard.broke(self._exception)
        self._return_code = EXIT_CRASH
        self._close_messages_no_wait()

    def panic(self, *renderables: RenderableType) -> None:
        """End without printing the traceback that Textual would show."""
        self._fatal_error()

    def copy_to_clipboard(self, text: str) -> None:
        """Do nothing: text must not leave through the terminal's clipboard."""

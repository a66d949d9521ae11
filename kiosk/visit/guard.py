"""Enforces the time limits of a visit and ends it: idleness, total time, watchdog. The same for every UI."""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from kiosk.errors import KioskError
from kiosk.models import Device, Ending
from kiosk.process.hardening import overwrite_freed
from kiosk.process.logging import place_of, stands_at
from kiosk.process.watchdog import Watchdog
from kiosk.visit.context import VisitContext
from kiosk.visit.held_key import HeldKey
from kiosk.visit.ticket import ticket

if TYPE_CHECKING:
    from kiosk.visit.reveal import Reveal
    from kiosk.visit.visit import Visit

log = logging.getLogger(__name__)

TICK_SECONDS = 0.25
WARNING_SECONDS = 15
GOODBYE_SECONDS = 4
_FAREWELL_SECONDS = 3.0


class VisitGuard:
    """Guards one visit from its first key press to its end. ``visit`` is None until somebody begins."""

    def __init__(self, context: VisitContext, *, began: Callable[[], None], over: Callable[[Ending], None]) -> None:
        """``began`` is called when somebody begins; ``over`` once, after the visit has been wiped."""
        self.config = context.config
        self.clock = context.clock
        self.look = context.find_recorders
        self.visit: Visit | None = None
        self.ending: Ending | None = None
        # Whether the last request of the visit got no answer, or one that did not come from the service.
        self.disturbed = False
        # How long the goodbye may stay.
        self.goodbye_seconds: float = GOODBYE_SECONDS
        # Whether the process belongs to the visit alone. Then a watchdog ends it if the event loop is stuck, and freed
        # memory is overwritten.
        self.guarded = True
        self._began = began
        self._over = over
        self._terminal = context.terminal
        self._open_reveals = context.start.open_reveals
        # Shared with the visits before and after this one.
        self.code_pause = context.start.code_pause
        self._reference = context.start.reference
        self._watchdog: Watchdog | None = None
        self._held = HeldKey(context.clock)
        self._last_input = context.clock.now()
        self._ended_at = 0.0
        self._telling: set[asyncio.Task[None]] = set()

    def begin(self) -> Visit:
        """Start a visit and its time limits, and return it. Raises ConfigError."""
        # Loaded by now (kiosk/process/preload.py). An import at the top would delay the first screen.
        from kiosk.visit.visit import Visit as new_visit  # noqa: N813 - the type has this name above

        if self.guarded:
            overwrite_freed()
        if (recorders := self.look()).kinds:
            self._terminal = f"{self._terminal}, under {recorders}"
        self.visit = new_visit(self.config, self.clock, self._terminal, self._open_reveals, ended=self._tell_end)
        self._last_input = self.clock.now()
        self._watchdog = Watchdog(self.clock, self._deadlines, self._give_up)
        if self.guarded:
            self._watchdog.start()
        self._began()
        return self.visit

    def pressed(self, key: str) -> None:
        """Note a key press. It restarts the idle time, unless the key is only being held down."""
        if not self._held.down(key):
            self._last_input = self.clock.now()

    def repeats(self) -> bool:
        """Whether the last key press may come from a key that is held down."""
        return self._held.repeats

    def left(self) -> float:
        """Return the seconds that are left of the visit; of none, infinitely many."""
        return self.visit.deadline.left() if self.visit else math.inf

    def tick(self, *, idle_counts: bool) -> float | None:
        """End the visit if a time limit has passed. Returns the seconds until the idle lock once it is near, else None.

        ``idle_counts`` is False on screens where nobody needs to press a key, as while they wait or copy a key.
        """
        if self._watchdog:
            self._watchdog.beat()
        if self.visit is None or self.ending:
            return None
        self.visit.tick()
        if self.visit.deadline.passed():
            self.end(Ending.VISIT_OVER)
            return None
        now, most = self.clock.now(), self.config.visit.idle_seconds
        if not idle_counts:
            self._last_input = now
            return None
        left = most - (now - self._last_input)
        if left <= 0:
            self.end(Ending.IDLE)
            return None
        return left if left <= min(WARNING_SECONDS, most / 2) else None

    def end(self, how: Ending) -> None:
        """Wipe the visit now, and call ``over`` so that the UI says goodbye. Later calls do nothing."""
        if self.ending:
            return
        # The time first: as soon as the watchdog sees an ending, it counts from that time.
        self._ended_at = self.clock.now()
        self.ending = how
        self.wipe()
        self._over(how)

    def wipe(self) -> None:
        """Zero all keys at once. Safe to call from any thread."""
        if self.visit:
            self.visit.wipe()

    def broke(self, error: BaseException | None) -> None:
        """Wipe the visit, and report to the log and the supervisor what broke and where."""
        self.wipe()
        cause = place_of(error)
        log.error("%s crash: %s", self._reference, cause)
        if self._open_reveals:
            self._open_reveals.broke(cause)

    def _give_up(self, why: str) -> None:
        # Runs in the watchdog's thread. Do not log here: the stuck event loop may hold the lock of a log handler.
        self.wipe()
        if self._open_reveals:
            self._open_reveals.broke(f"{why}: {stands_at(threading.main_thread())}")

    def ticket(self, error: KioskError, device: Device | None) -> str:
        """Return the text for a ticket about an error that has just occurred."""
        sign_in = self.visit.sign_in.correlation_id if self.visit else ""
        return ticket(error, at=self.clock.utc(), kiosk=self._terminal, device=device, sign_in=sign_in)

    async def farewell(self, how: Ending) -> None:
        """Tell the broker and sign out, within a few seconds. Never raises: the person is leaving."""
        if self.visit is None:
            return
        try:
            async with asyncio.timeout(_FAREWELL_SECONDS):
                await asyncio.gather(*self._telling, return_exceptions=True)
                await self.visit.end(how)
        except TimeoutError:
            log.warning("the broker did not take the end of the visit in %s s", _FAREWELL_SECONDS)
        except Exception as error:
            log.error("telling the broker that the visit is over: %s", place_of(error))
        finally:
            self.visit.sign_in.forget()
            # Reference cycles keep the last requests in memory, and with them the token.
            gc.collect()

    def let_go(self, reveal: Reveal) -> None:
        """Wipe a key that the person is done with, and tell the broker how the check of its copy went."""
        assert self.visit is not None
        reveal.wipe()
        self._in_background(self.visit.tell_check(reveal))

    def stop(self) -> None:
        """Stop the watchdog, before the process ends in order."""
        if self._watchdog:
            self._watchdog.stop()

    def _deadlines(self) -> list[float]:
        if self.visit is None:
            return []
        over = self._ended_at if self.ending else self.visit.deadline.at
        return [over + _FAREWELL_SECONDS + self.goodbye_seconds, *self.visit.reveal_deadlines]

    def _tell_end(self, reveal: Reveal, how: Ending) -> None:
        assert self.visit is not None
        self._in_background(self.visit.tell_end(reveal, how))

    def _in_background(self, telling: Coroutine[None, None, None]) -> None:
        # Keep a reference to the task: asyncio holds only a weak one.
        task = asyncio.ensure_future(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling_done)

    def _telling_done(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        # Retrieve the exception, or asyncio would log its whole text.
        if not task.cancelled() and (error := task.exception()):
            log.error("telling the broker: %s", place_of(error))

"""Holds a visit against its clocks and ends it: idleness, the limit of a visit, the watchdog. Alike for every face."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from kiosk.clock import Clock
from kiosk.config.kiosk import KioskConfig
from kiosk.errors import KioskError
from kiosk.models import Device, Ending
from kiosk.process.hardening import overwrite_freed
from kiosk.process.logging import place_of, stands_at
from kiosk.process.watchdog import Watchdog
from kiosk.terminal.recorders import Recorders
from kiosk.visit.held_key import HeldKey
from kiosk.visit.open_reveals import OpenReveals
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
    """One visit, from its first key to its end. ``visit`` is None until somebody begins."""

    def __init__(
        self,
        config: KioskConfig,
        clock: Clock,
        *,
        began: Callable[[], None],
        over: Callable[[Ending], None],
        terminal: str = "",
        look: Callable[[], Recorders] = Recorders,
        open_reveals: OpenReveals | None = None,
        reference: str = "",
    ) -> None:
        """``began`` is called when somebody begins, ``over`` once, when the visit has ended and is wiped.

        ``terminal`` names this place in the broker's record, ``look`` tells what may be recording. ``reference`` is the
        visit's own, for the log.
        """
        self.config = config
        self.clock = clock
        self.look = look
        self.visit: Visit | None = None
        self.ending: Ending | None = None
        # Whether the last question of the visit got no answer, or one from somewhere else.
        self.disturbed = False
        # Whether the process is the visit's own: a thread ends it where the event loop is stuck, and what it frees is
        # overwritten.
        self.guarded = True
        self._began = began
        self._over = over
        self._terminal = terminal
        self._open_reveals = open_reveals
        self._reference = reference
        self._watchdog: Watchdog | None = None
        self._held = HeldKey(clock)
        self._last_input = clock.now()
        self._ended_at = 0.0
        self._telling: set[asyncio.Task[None]] = set()

    def begin(self) -> Visit:
        """Start the clocks of a visit. Raises ConfigError."""
        # Loaded by now, see kiosk/process/preload.py; imported at the top it would delay the first screen.
        from kiosk.visit.visit import Visit as new_visit  # noqa: N813 - the type has this name above

        if self.guarded:
            overwrite_freed()
        recorders = self.look()
        place = f"{self._terminal}, under {recorders}" if recorders.kinds else self._terminal
        self.visit = new_visit(self.config, self.clock, place, self._open_reveals, ended=self._tell)
        self._last_input = self.clock.now()
        self._watchdog = Watchdog(self.clock, self._moments, self._give_up)
        if self.guarded:
            self._watchdog.start()
        self._began()
        return self.visit

    def pressed(self, key: str) -> None:
        """A key was pressed: somebody is there, unless it is only being held down."""
        if not self._held.down(key):
            self._last_input = self.clock.now()

    def tick(self, *, idle_counts: bool) -> float | None:
        """Hold the visit against its limits. Returns the seconds until the idle lock, once that is near.

        ``idle_counts`` is False where people rightly press no key, as while they wait or copy a key.
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
        """Wipe now; what comes after is the face's."""
        if self.ending:
            return
        # In this order: the watchdog counts from the second once it sees the first.
        self._ended_at = self.clock.now()
        self.ending = how
        self.wipe()
        self._over(how)

    def wipe(self) -> None:
        """Zero what can be zeroed, at once and from any thread."""
        if self.visit:
            self.visit.wipe()

    def broke(self, error: BaseException | None) -> None:
        """Wipe, and say what broke and where: in the log, and to the supervisor."""
        self.wipe()
        cause = place_of(error)
        log.error("%s crash: %s", self._reference, cause)
        if self._open_reveals:
            self._open_reveals.broke(cause)

    def _give_up(self, why: str) -> None:
        # In the watchdog's thread. No log: the event loop may be stuck while it holds the lock of one.
        self.wipe()
        if self._open_reveals:
            self._open_reveals.broke(f"{why}: {stands_at(threading.main_thread())}")

    def ticket(self, error: KioskError, device: Device | None) -> str:
        """What somebody needs for a ticket about an error that was just met."""
        sign_in = self.visit.sign_in.correlation_id if self.visit else ""
        return ticket(error, at=self.clock.utc(), kiosk=self._terminal, device=device, sign_in=sign_in)

    async def farewell(self, how: Ending) -> None:
        """Tell the broker and sign out, as far as that is possible in a few seconds. Never fails: the person leaves."""
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
            # The last requests, with the token in them, hang in reference cycles.
            gc.collect()

    def let_go(self, reveal: Reveal) -> None:
        """The person is done with this key: forget all of it, and have the broker told how the check of a copy went."""
        assert self.visit is not None
        reveal.wipe()
        self._in_background(self.visit.tell_check(reveal))

    def stop(self) -> None:
        """The process is about to end in order."""
        if self._watchdog:
            self._watchdog.stop()

    def _moments(self) -> list[float]:
        if self.visit is None:
            return []
        over = self._ended_at if self.ending else self.visit.deadline.at
        return [over + _FAREWELL_SECONDS + GOODBYE_SECONDS, *self.visit.reveal_deadlines]

    def _tell(self, reveal: Reveal, how: Ending) -> None:
        assert self.visit is not None
        self._in_background(self.visit.tell_end(reveal, how))

    def _in_background(self, telling: Coroutine[None, None, None]) -> None:
        # Kept, as asyncio itself holds tasks by weak references only.
        task = asyncio.ensure_future(telling)
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        # asyncio would log an exception that nobody retrieves with all of its words.
        if not task.cancelled() and (error := task.exception()):
            log.error("telling the broker: %s", place_of(error))

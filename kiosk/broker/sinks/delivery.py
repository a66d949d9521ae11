"""Delivers the record to the sinks: at least once, in order from the last offset, each sink on its own thread."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress

import httpx
from sqlalchemy.exc import SQLAlchemyError

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended, Row
from kiosk.broker.sinks.offsets import Offsets
from kiosk.broker.sinks.sink import ATTEMPT_SECONDS, Sink
from kiosk.clock import Deadline, ThreadClock
from kiosk.errors import RecordUnavailable, SinkUnavailable
from kiosk.net.http import cause_of
from kiosk.process.logging import place_of

_ANSWER_SECONDS = ATTEMPT_SECONDS + 1
# Time for the attempt under way and for a last one.
STOP_SECONDS = 2 * ATTEMPT_SECONDS + 1
# Another broker on the same database may leave a backlog behind, so workers look for one now and then.
_LOOK_SECONDS = 5.0
_BUSY_SECONDS = 0.02
_PATIENCE_SECONDS = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_FAILURES = (OSError, httpx.HTTPError, SQLAlchemyError, RecordUnavailable)


class Worker:
    """Delivers to one sink whenever rows were appended, and completes the futures that wait for them."""

    def __init__(self, name: str, sink: Sink, offsets: Offsets, clock: ThreadClock, *, required: bool) -> None:
        self.name = name
        self.required = required
        self._sink = sink
        self._offsets = offsets
        self._clock = clock
        self._changed = threading.Condition()
        self._news = self._urgent = self._stopping = self._ended = False
        self._waiting: list[tuple[int, Future[None]]] = []
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="sink", daemon=True)

    def wake(self) -> None:
        """Deliver the rows that were appended. The first call starts the thread."""
        with self._changed:
            self._news = True
            self._changed.notify_all()
            if not self._thread.ident:
                self._thread.start()

    def reached(self, n: int) -> Future[None]:
        """Return a future that completes when row ``n`` is delivered.

        It fails with SinkUnavailable if an attempt after this call fails.
        """
        waiting: Future[None] = Future()
        with self._changed:
            self._waiting.append((n, waiting))
            self._urgent = True
            self._changed.notify_all()
        return waiting

    def stop(self) -> None:
        """Tell the worker to end after one more attempt. The rest is sent after the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def wait(self, deadline: Deadline) -> None:
        """Wait until the worker has ended. A sink that hangs is left behind: its thread does not block the exit."""
        with self._changed:
            self._clock.wait_for(self._changed, self._is_over, deadline.left())
        if not self._is_over():
            logs.LOG.warning("sink %s does not stop; the rest is sent after the next start", self.name)
            return
        self._offsets.close()

    def _is_over(self) -> bool:
        return self._ended or not self._thread.ident

    def _run(self) -> None:
        try:
            self._work()
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _work(self) -> None:
        pause, stopping = 0.0, False
        patience: Deadline | None = None
        while not stopping:
            with self._changed:
                self._clock.wait_for(self._changed, self._is_due, pause)
                self._news = self._urgent = False
                # A request that gave up waiting has cancelled its future.
                self._waiting = [one for one in self._waiting if not one[1].done()]
                waiting, stopping = list(self._waiting), self._stopping
            # The holder of the lease may be dead; delivering twice is better than keeping a request waiting.
            impatient = bool(waiting) and patience is not None and patience.passed()
            try:
                served = self._deliver(by_force=stopping or impatient) and all(future.done() for _, future in waiting)
                if served:
                    self._succeeded()
                if waiting and not served:
                    pause, patience = _BUSY_SECONDS, patience or Deadline.after(self._clock, _PATIENCE_SECONDS)
                else:
                    pause, patience = _LOOK_SECONDS, None
            except _FAILURES as error:
                pause, patience = self._failed(error, waiting), None
            except Exception as error:
                # Only the place of an unexpected error is logged: its text may quote a row.
                pause, patience = self._failed(RuntimeError(place_of(error)), waiting), None

    def _is_due(self) -> bool:
        return self._stopping or self._urgent or (self._news and not self._failures)

    def _deliver(self, *, by_force: bool) -> bool:
        """Deliver the backlog. Returns False if another broker holds the lease, or if the worker stops before the end.

        ``by_force`` takes the lease from its holder.
        """
        batch = self._offsets.take(by_force=by_force)
        if batch is None:
            return False
        while True:
            try:
                if batch.items:
                    self._sink.send(batch.items, Deadline.after(self._clock, ATTEMPT_SECONDS))
            except Exception:
                with suppress(SQLAlchemyError):
                    self._offsets.leave()
                raise
            batch = self._offsets.delivered(batch)
            self._settle(batch.reached)
            if not batch.items:
                return True
            if self._stopping:
                self._offsets.leave()
                return False

    def _settle(self, reached: int) -> None:
        """Complete the futures of all rows up to ``reached``."""
        with self._changed:
            done = [future for n, future in self._waiting if n <= reached]
            self._waiting = [(n, future) for n, future in self._waiting if n > reached]
        for future in done:
            _complete(future)

    def _succeeded(self) -> None:
        if self._failures:
            logs.LOG.info("sink %s can be reached again", self.name)
        self._failures = 0

    def _failed(self, error: Exception, waiting: Sequence[tuple[int, Future[None]]]) -> float:
        """Log the error, fail the futures, and return the seconds until the next attempt."""
        cause = f"{self.name}: {cause_of(error)}"
        logs.LOG.log(logging.WARNING if self._failures else logging.ERROR, "sink cannot be reached: %s", cause)
        with self._changed:
            self._waiting = [one for one in self._waiting if one not in waiting]
        for _, future in waiting:
            _complete(future, SinkUnavailable(cause))
        self._failures += 1
        return min(_FIRST_PAUSE * float(2 ** min(self._failures - 1, 10)), _LONGEST_PAUSE)


class Delivery:
    """All sinks together: a subscriber of the record that must confirm rows if any sink is required."""

    def __init__(self, workers: Sequence[Worker], clock: ThreadClock) -> None:
        self._clock = clock
        self._workers = workers
        self._required = [worker for worker in workers if worker.required]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Stop the workers at the end. Enter this before the record, so that its last row is delivered."""
        try:
            yield
        finally:
            for worker in self._workers:
                worker.stop()
            deadline = Deadline.after(self._clock, STOP_SECONDS)
            for worker in self._workers:
                worker.wait(deadline)

    def appended(self, _rows: Sequence[Appended]) -> None:
        for worker in self._workers:
            worker.wake()

    async def before_answer(self, rows: Sequence[Appended]) -> None:
        """Return once every required sink has these rows. Raises SinkUnavailable."""
        last = max((row.n for row in rows if isinstance(row, Row)), default=0)
        if not last:
            return
        waiting = [asyncio.wrap_future(worker.reached(last)) for worker in self._required]
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await asyncio.gather(*waiting)
        except TimeoutError:
            raise SinkUnavailable(f"row {last} was not delivered in {_ANSWER_SECONDS:.0f} s") from None


def _complete(future: Future[None], error: Exception | None = None) -> None:
    """Complete a future, unless the request that waited for it has cancelled it."""
    if future.set_running_or_notify_cancel():
        if error:
            future.set_exception(error)
        else:
            future.set_result(None)

"""Keeps a recent answer to whether this broker could release a key, so that asking costs nothing."""

from __future__ import annotations

import asyncio
import contextvars
import math

from kiosk.broker.record.writer import Record
from kiosk.broker.tokens.validation import Tokens
from kiosk.clock import Clock, Deadline
from kiosk.errors import KioskError, RecordUnavailable
from kiosk.process.logging import place_of

# Who asks does not wait for a look unless the last one is older than this.
OLDEST_SECONDS = 2.0
# Between two looks, at the least.
_PAUSE_SECONDS = 1.0
# A balancer gives up on a check after a few seconds.
_LONGEST_SECONDS = 2.0


class Readiness:
    """Looks at most once a second, in the background, while anybody asks. All who ask share what was seen."""

    def __init__(self, record: Record, tokens: Tokens, clock: Clock) -> None:
        self._record = record
        self._tokens = tokens
        self._clock = clock
        self._looking: asyncio.Task[None] | None = None
        self._trial: asyncio.Task[None] | None = None
        self._seen_at = -math.inf
        self._failure: KioskError | None = None

    async def check(self) -> None:
        """Return if a release has what it needs: a record that can be written, and keys to check tokens with.

        Raises Unavailable.
        """
        age = self._clock.now() - self._seen_at
        if self._looking is None and age >= _PAUSE_SECONDS:
            # Its log lines do not carry the fields of the request that happened to cause it.
            self._looking = asyncio.create_task(self._look(), context=contextvars.Context())
        if self._looking and age > OLDEST_SECONDS:
            await asyncio.wait({self._looking})
        if failure := self._failure:
            # A copy: the traceback of an exception grows each time it is raised.
            raise type(failure)(failure.cause, reference=failure.reference, retry_after=failure.retry_after)

    async def close(self) -> None:
        """End a look that is under way."""
        for task in (self._looking, self._trial):
            if task:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _look(self) -> None:
        failure: KioskError | None = None
        try:
            await self._try_record()
            await self._tokens.ready()
        except KioskError as error:
            failure = error
        except Exception as error:
            failure = KioskError(place_of(error))
        finally:
            self._failure, self._seen_at, self._looking = failure, self._clock.now(), None

    async def _try_record(self) -> None:
        """Raise RecordUnavailable unless a trial write ends in time. One that hangs is not followed by more."""
        self._trial = trial = self._trial or asyncio.create_task(self._record.probe())
        try:
            async with Deadline.after(self._clock, _LONGEST_SECONDS).limit():
                await asyncio.wait({trial})
        except TimeoutError:
            raise RecordUnavailable(f"no answer after {_LONGEST_SECONDS:g} s", retry_after=1) from None
        self._trial = None
        trial.result()

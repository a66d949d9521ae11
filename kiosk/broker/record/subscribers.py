"""Those who are told what was added to the record: sinks that carry it off this machine.

A follower sees what this broker wrote, in the order of the record, after it is durable; other brokers on the same
database have followers of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended
from kiosk.process.logging import place_of


class Follower(Protocol):
    """Told after each commit, in order, on the record's own thread: it must be quick, such as putting into a queue.

    What it raises is logged and changes nothing.
    """

    def appended(self, rows: Sequence[Appended]) -> None:
        """Take over rows and checkpoints that are durable now; never empty."""


@runtime_checkable
class RequiredFollower(Follower, Protocol):
    """One that has a say: nothing is answered before it agrees."""

    async def before_answer(self, rows: Sequence[Appended]) -> None:
        """Return when these rows, which ``appended`` has seen, are safe. Runs on the event loop.

        Raises RecordUnavailable to refuse; it sees to its own deadline.
        """


def tell(followers: Sequence[Follower], rows: Sequence[Appended]) -> None:
    """Tell each follower what was added."""
    for follower in followers if rows else ():
        try:
            follower.appended(rows)
        except Exception as error:
            # The record is written; a sink that is broken must not take the answer with it.
            logs.LOG.error("%s did not take %d rows: %s", type(follower).__name__, len(rows), place_of(error))


async def agree(followers: Sequence[Follower], rows: Sequence[Appended]) -> None:
    """Return when every follower that has a say agrees. Raises RecordUnavailable."""
    for follower in followers if rows else ():
        if isinstance(follower, RequiredFollower):
            await follower.before_answer(rows)

"""Those who are told what was added to the record: sinks that carry it off this machine.

A subscriber sees what this broker wrote, in the order of the record, after it is durable; other brokers on the same
database have subscribers of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended
from kiosk.process.logging import place_of


class Subscriber(Protocol):
    """Told after each commit, in order, on the record's own thread: it must be quick, such as putting into a queue.

    What it raises is logged and changes nothing.
    """

    def appended(self, rows: Sequence[Appended]) -> None:
        """Take over rows and checkpoints that are durable now; never empty."""


@runtime_checkable
class RequiredSubscriber(Subscriber, Protocol):
    """One that has a say: nothing is answered before it agrees."""

    async def before_answer(self, rows: Sequence[Appended]) -> None:
        """Return when these rows, which ``appended`` has seen, are safe. Runs on the event loop.

        Raises RecordUnavailable to refuse; it sees to its own deadline.
        """


def notify(subscribers: Sequence[Subscriber], rows: Sequence[Appended]) -> None:
    """Tell each subscriber what was added."""
    for subscriber in subscribers if rows else ():
        try:
            subscriber.appended(rows)
        except Exception as error:
            # The record is written; a sink that is broken must not take the answer with it.
            logs.LOG.error("%s did not take %d rows: %s", type(subscriber).__name__, len(rows), place_of(error))


async def confirm(subscribers: Sequence[Subscriber], rows: Sequence[Appended]) -> None:
    """Return when every subscriber that has a say agrees. Raises RecordUnavailable."""
    for subscriber in subscribers if rows else ():
        if isinstance(subscriber, RequiredSubscriber):
            await subscriber.before_answer(rows)

"""Notifies subscribers of what was appended to the record, such as the sinks that copy it off this machine.

A subscriber sees what this broker appended, in order and once it is durable. Other brokers on the same database have
subscribers of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from kiosk.broker import logs
from kiosk.broker.record.chain import Appended
from kiosk.process.logging import place_of


class Subscriber(Protocol):
    """Notified after each commit, in order, on the record's own thread.

    It must return quickly, for example after putting the rows into a queue. Its exceptions are logged and ignored.
    """

    def appended(self, rows: Sequence[Appended]) -> None:
        """Accept rows and checkpoints that are durable. ``rows`` is never empty."""


@runtime_checkable
class RequiredSubscriber(Subscriber, Protocol):
    """A subscriber that must confirm rows before a request is answered."""

    async def before_answer(self, rows: Sequence[Appended]) -> None:
        """Return once these rows, which ``appended`` has accepted, are safe. Runs on the event loop.

        Raises RecordUnavailable if they are not, within a deadline of its own.
        """


def notify(subscribers: Sequence[Subscriber], rows: Sequence[Appended]) -> None:
    """Notify each subscriber of what was appended."""
    for subscriber in subscribers if rows else ():
        try:
            subscriber.appended(rows)
        except Exception as error:
            # The record is written: a broken sink must not fail the request.
            logs.LOG.error("%s did not accept %d rows: %s", type(subscriber).__name__, len(rows), place_of(error))


async def confirm(subscribers: Sequence[Subscriber], rows: Sequence[Appended]) -> None:
    """Return once every required subscriber has confirmed the rows. Raises RecordUnavailable."""
    for subscriber in subscribers if rows else ():
        if isinstance(subscriber, RequiredSubscriber):
            await subscriber.before_answer(rows)

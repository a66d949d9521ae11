"""What a sink is, and how seconds are bounded in all of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias

from kiosk.broker.record.chain import Appended
from kiosk.clock import Deadline

ATTEMPT_SECONDS = 5.0
CONNECT_SECONDS = 2.0
APPLICATION = "kiosk-broker"
TOO_LONG = "the attempt took too long"

Addresses: TypeAlias = list[tuple[Any, Any, int, str, Any]]


class Sink(Protocol):
    """Somewhere that rows and checkpoints are sent to."""

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        """Send in order; what is not raised is delivered, as far as this kind can tell. Raises OSError or HTTPError.

        Runs on a thread of its own and ends at the deadline, however slow the other side is.
        """


def rest(deadline: Deadline) -> float:
    """Seconds that the next step may take. Raises TimeoutError when none are left."""
    if not (left := deadline.left()):
        raise TimeoutError(TOO_LONG)
    return left


def look_up(host: str | bytes | None, port: str | int | bytes | None, **hints: int) -> Future[Addresses]:
    """The addresses of a name. Nobody can tell the resolver when to give up, so its thread may be left behind."""
    found: Future[Addresses] = Future()

    def work() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, **hints))
        except Exception as error:
            found.set_exception(error)

    found.set_running_or_notify_cancel()
    threading.Thread(target=work, name="names", daemon=True).start()
    return found

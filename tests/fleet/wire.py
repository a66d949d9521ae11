"""A network cable between a broker and a server, which can be cut: what is on the way then stays there."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

_PIECE = 1 << 16


class Wire:
    """Forwards a local port to another one, from a thread of its own."""

    def __init__(self, to: int) -> None:
        self.port = 0
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._whole = asyncio.Event()
        self._whole.set()
        self._pumps: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Let nothing through, in either direction, and close nothing."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        self._loop.call_soon_threadsafe(self._whole.set)

    async def _serve(self, started: threading.Event, stop: asyncio.Event) -> None:
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        for pump in list(self._pumps):
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._pumps.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._whole.wait()
                there, back = await asyncio.open_connection("127.0.0.1", self._to)
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
        finally:
            self._pumps.discard(task)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(_PIECE):
                await self._whole.wait()
                writer.write(piece)
                await writer.drain()
        finally:
            await self._whole.wait()
            writer.close()


@contextlib.contextmanager
def wire(to: int) -> Iterator[Wire]:
    """Lay a cable to a local port."""
    made = Wire(to)
    started, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=lambda: made._loop.run_until_complete(made._serve(started, stop)))
    thread.start()
    try:
        started.wait()
        yield made
    finally:
        made.mend()
        made._loop.call_soon_threadsafe(stop.set)
        thread.join()
        made._loop.close()

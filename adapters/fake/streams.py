"""The sockets of a fake venue: who is connected, what waits for whom, and a line that goes dead."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from adapters.fake.faults import TamperFrame
from adapters.fake.player import no_deep_buffer

MAX_QUEUED = 100_000


@dataclass(slots=True)
class FakeConnection:
    """One socket and the frames on their way."""

    socket: web.WebSocketResponse
    queue: asyncio.Queue[str] = field(default_factory=lambda: asyncio.Queue(MAX_QUEUED))
    held: str | None = None
    silent_until: float = 0.0


class FakeStreams[C: FakeConnection]:
    """All sockets of a fake venue.

    Attributes
    ----------
    tamper : callable, optional
        Gets every frame on its way out and returns what is sent instead: texts, binary frames, nothing.
    """

    def __init__(self) -> None:
        self.connections: list[C] = []
        self.tamper: TamperFrame | None = None

    def command(self, connection: C, text: str) -> bool:
        """Take a client frame; False closes the socket."""
        raise NotImplementedError

    async def serve(self, request: web.Request, connection: C) -> web.WebSocketResponse:
        """Serve one socket until it goes."""
        socket = connection.socket
        await socket.prepare(request)
        no_deep_buffer(request.transport)
        self.connections.append(connection)
        writer = asyncio.create_task(self._write(connection))
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and not self.command(connection, message.data):
                    break
        finally:
            self.connections.remove(connection)
            writer.cancel()
        await socket.close()
        return socket

    async def _write(self, connection: C) -> None:
        while True:
            text = await connection.queue.get()
            if asyncio.get_running_loop().time() < connection.silent_until:
                continue
            for frame in (text,) if self.tamper is None else self.tamper(text):
                if isinstance(frame, bytes):
                    await connection.socket.send_bytes(frame)
                else:
                    await connection.socket.send_str(frame)

    @property
    def waiting(self) -> int:
        """Frames that wait for the slowest client."""
        return max((c.queue.qsize() for c in self.connections), default=0)

    async def drop_all(self) -> None:
        """Close every socket, as a venue restart does."""
        for connection in list(self.connections):
            await connection.socket.close(code=1012)

    def hush(self, seconds: float) -> None:
        """Leave every socket open and let nothing out for a while, as a dead route does."""
        until = asyncio.get_running_loop().time() + seconds
        for connection in self.connections:
            connection.silent_until = until

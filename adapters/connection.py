"""A WebSocket that comes back by itself: connect, read, back off, and say when it is up and when it is down.

What a venue says and wants to hear is the subclass's; that one bad frame never ends the reader, and that whoever
listens is told of every break before anything else arrives, is decided here.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp

LONGEST_PAUSE_S = 30.0
#: A connection that lived this long was a good one: the next failure is the first again.
GOOD_S = 30.0
#: A shorter text is no secret, and part of ordinary words.
SHORTEST_SECRET = 6
ENDED = (
    aiohttp.WSMsgType.CLOSE,
    aiohttp.WSMsgType.CLOSED,
    aiohttp.WSMsgType.CLOSING,
    aiohttp.WSMsgType.ERROR,
)


#: Bytes of news that may wait in this machine's buffer of a connection; the rest waits at the venue, which feels it.
RECEIVE_BYTES = 256 << 10
#: An order must not be the one that has to connect: idle connections are kept this long.
KEEP_S = 75.0


def _bounded(address: tuple[Any, ...]) -> socket.socket:
    """Return a socket whose receive buffer does not grow to megabytes of old news."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return made


def venue_session() -> aiohttp.ClientSession:
    """Return the session of a venue's client; call it on the event loop."""
    connector = aiohttp.TCPConnector(socket_factory=_bounded, keepalive_timeout=KEEP_S)
    return aiohttp.ClientSession(connector=connector)


class SocketState(StrEnum):
    """Where the connection stands."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    CLOSED = "closed"


OnState = Callable[[SocketState], None]


@dataclass(slots=True)
class SocketStats:
    """Counters that metrics and `doctor` show.

    Attributes
    ----------
    secrets : list of str
        What is sent along and must not come back in a note; one list for all connections of a venue.
    """

    connects: int = 0
    frames: int = 0
    bad_frames: int = 0
    gaps: int = 0
    repeats: int = 0
    limited: int = 0
    mended: int = 0
    errors: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list, repr=False)

    def hide(self, text: str) -> str:
        """Return a text of the venue without our secrets: it may quote what we sent."""
        for secret in self.secrets:
            if len(secret) >= SHORTEST_SECRET:
                text = text.replace(secret, "[hidden]")
        return text

    def note(self, text: str) -> None:
        """Keep the last hundred errors."""
        self.errors.append(self.hide(text)[:200])
        del self.errors[:-100]


class Connection:
    """One connection.

    Parameters
    ----------
    on_state : callable
        Told of up and down; what was learned from the connection must be dropped on the way down.
    wait_s : float
        `_quiet` is asked after this long without a frame.
    max_frame_bytes : int
        A larger frame ends the connection.
    """

    name = "venue"
    #: Awaited after each text frame, before the next is read; what waits then waits in the socket.
    after_frame: Callable[[], Awaitable[None]] | None = None

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        on_state: OnState,
        *,
        wait_s: float,
        max_frame_bytes: int,
        seed: int = 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.session, self.url, self.on_state = session, url, on_state
        self.wait_s, self.max_frame_bytes, self._sleep = wait_s, max_frame_bytes, sleep
        self.state, self.stats = SocketState.DOWN, SocketStats()
        #: Called when a frame cannot be read at all: what it said, nobody knows.
        self.on_unreadable: Callable[[], None] = lambda: None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._random = random.Random(seed)
        self._pending: set[asyncio.Task[None]] = set()
        #: Since when the reader has waited for a frame; None while it handles one.
        self._waits_since: float | None = None

    # -- the venue's part ---------------------------------------------------------------------
    async def _headers(self) -> Mapping[str, str]:
        """Return the headers of this connect, signed anew where the venue wants that."""
        return {}

    async def _opened(self) -> None:
        """Say what is wanted, and that the connection is up."""
        self._to(SocketState.UP)

    def _heard(self, text: str) -> None:
        """Take one text frame; an exception is counted and the reader goes on."""

    def _quiet(self) -> bool:
        """Return whether the connection is taken for dead after `wait_s` without a frame."""
        return True

    def _lost(self) -> None:
        """Drop what belonged to the connection that is gone."""

    # -- out ----------------------------------------------------------------------------------
    def post(self, text: str) -> None:
        """Send a text soon; nothing is sent while the connection is down."""
        self._soon(self._send(text), "send")

    def renew_soon(self) -> None:
        """Close this connection from where nothing can be awaited: it comes back with everything fresh."""
        self._soon(self.renew(), "renew")

    def _soon(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{self.name}-ws-{what}")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _send(self, text: str) -> None:
        if self._socket is not None and not self._socket.closed:
            try:
                await self._socket.send_str(text)
            except (ConnectionError, RuntimeError, aiohttp.ClientError) as exc:
                self.stats.note(f"send: {type(exc).__name__}")

    # -- life ---------------------------------------------------------------------------------
    @property
    def closed(self) -> bool:
        """Whether it was closed for good."""
        return self.state is SocketState.CLOSED

    async def run(self) -> None:
        """Stay connected until cancelled or `close`; back off with jitter."""
        failures = 0
        while not self.closed:
            started = time.monotonic()
            try:
                self._to(SocketState.CONNECTING)
                await self._connect()
            except Exception as exc:  # an error of ours too: nobody else connects again
                self.stats.note(f"connect: {type(exc).__name__}")
            finally:
                self._socket = None
                self._lost()
                self._down()
            failures = 0 if time.monotonic() - started > GOOD_S else failures + 1
            if not self.closed:
                pause = min(0.1 * 2 ** min(failures, 8), LONGEST_PAUSE_S)
                await self._sleep(pause * (0.5 + self._random.random()))

    def _down(self) -> None:
        """Say that it is down; a listener that fails ends no connection."""
        try:
            if not self.closed:
                self._to(SocketState.DOWN)
        except Exception as exc:
            self.stats.note(f"listener: {type(exc).__name__}: {exc}")

    async def _connect(self) -> None:
        async with self.session.ws_connect(
            self.url,
            headers=await self._headers(),
            autoping=False,
            max_msg_size=self.max_frame_bytes,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        ) as socket:
            self._socket = socket
            self.stats.connects += 1
            await self._opened()
            await self._read(socket)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        watch = asyncio.create_task(self._watch(socket), name=f"{self.name}-ws-silence")
        try:
            await self._read_frames(socket)
        finally:
            watch.cancel()

    async def _watch(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """End the reader when nothing was heard for too long: one timer for all frames, where each had its own."""
        clock = asyncio.get_running_loop().time
        self._waits_since = clock()
        while True:
            since = self._waits_since
            await asyncio.sleep(self.wait_s if since is None else since + self.wait_s - clock())
            if self._waits_since is None or self._waits_since != since:
                continue  # a frame is being handled, or has come meanwhile
            if self._quiet():
                self.stats.note("silence")
                await socket.close()
                return
            self._waits_since = clock()

    async def _read_frames(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            self._waits_since = clock()
            message = await socket.receive()
            self._waits_since = None
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
                if self.after_frame is not None:
                    await self.after_frame()
            elif message.type is aiohttp.WSMsgType.PING:  # a sign of life, like any frame
                await socket.pong(message.data)
            elif message.type is aiohttp.WSMsgType.BINARY:
                self._unreadable(ValueError(f"binary frame of {len(message.data)} bytes"))
            elif message.type in ENDED:
                if (
                    message.type is aiohttp.WSMsgType.ERROR
                ):  # too large, or no WebSocket frame at all
                    self._unreadable(message.data)
                return

    def _take(self, text: str) -> None:
        try:
            self._heard(text)
        except Exception as exc:
            # Venue input is hostile: whatever a frame does, the next one must be read.
            self._bad(exc)

    def _unreadable(self, exc: Exception) -> None:
        """Count a frame that says nothing, and have what it may have said doubted."""
        self._bad(exc)
        self.on_unreadable()

    def _bad(self, exc: Exception) -> None:
        self.stats.bad_frames += 1
        self.stats.note(f"frame: {type(exc).__name__}: {exc}")

    def _to(self, state: SocketState) -> None:
        if state is not self.state:
            self.state = state
            self.on_state(state)

    async def renew(self) -> None:
        """Close this connection: it comes back with everything fresh."""
        if self._socket is not None:
            await self._socket.close()

    async def close(self) -> None:
        """Close for good."""
        self._to(SocketState.CLOSED)
        if self._socket is not None:
            await self._socket.close()

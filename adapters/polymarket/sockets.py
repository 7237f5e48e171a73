"""Polymarket's WebSockets: one connection that comes back by itself, watched, and trusted with nothing after a break.

There are no sequence numbers and nothing is replayed: whoever listens must drop what it knew when the link goes
down and read again when it is up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
import msgspec

from core.domain.errors import BetaError

MARKET_URL = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
USER_URL = "wss://ws-subscriptions-clob.polymarket.com/ws/user"
PING, PONG = "PING", "PONG"
IDS_PER_FRAME, ASSETS_PER_CONNECTION = 100, 200
MAX_FRAME_BYTES = 4 << 20


class SocketState(StrEnum):
    """Where the connection stands."""

    DOWN = "down"
    CONNECTING = "connecting"
    UP = "up"
    CLOSED = "closed"


@dataclass(slots=True)
class SocketStats:
    """Counters that metrics and `doctor` show."""

    connects: int = 0
    frames: int = 0
    bad_frames: int = 0
    last_frame_monotonic: float = 0.0
    errors: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep the last hundred errors."""
        self.errors.append(text[:200])
        del self.errors[:-100]


OnEvent = Callable[[bytes], None]
OnState = Callable[[SocketState], None]
Hello = Callable[[], Sequence[Any]]


class Socket:
    """One connection.

    Parameters
    ----------
    hello : callable
        Returns the frames to send on every connect.
    on_event : callable
        Every event as raw JSON, in order; an exception in it is counted and the reader goes on.
    on_state : callable
        Told of up and down.
    ping_s, silence_s : float
        A text PING this often; without any frame for `silence_s` the connection is taken for dead.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        hello: Hello,
        on_event: OnEvent,
        on_state: OnState,
        *,
        ping_s: float = 10.0,
        silence_s: float = 30.0,
        seed: int = 0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.session, self.url = session, url
        self.hello, self.on_event, self.on_state = hello, on_event, on_state
        self.ping_s, self.silence_s, self._sleep = ping_s, silence_s, sleep
        self.state, self.stats = SocketState.DOWN, SocketStats()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._random = random.Random(seed)
        self._pending: set[asyncio.Task[None]] = set()

    @property
    def closed(self) -> bool:
        """Whether it was closed for good."""
        return self.state is SocketState.CLOSED

    def send(self, frame: Any) -> None:
        """Send a frame soon, if the connection is up."""
        if self.state is SocketState.UP:
            task = asyncio.get_running_loop().create_task(
                self._send(frame), name="polymarket-ws-send"
            )
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _send(self, frame: Any) -> None:
        if self._socket is not None and not self._socket.closed:
            text = frame if isinstance(frame, str) else msgspec.json.encode(frame).decode()
            try:
                await self._socket.send_str(text)
            except (ConnectionError, RuntimeError, aiohttp.ClientError) as exc:
                self.stats.note(f"send: {type(exc).__name__}")

    # -- life -------------------------------------------------------------------------------
    async def run(self) -> None:
        """Stay connected until cancelled or `close`; back off with jitter, at most 30 s."""
        failures = 0
        while not self.closed:
            self._to(SocketState.CONNECTING)
            started = time.monotonic()
            try:
                await self._session()
            except (aiohttp.ClientError, TimeoutError, OSError, BetaError) as exc:
                self.stats.note(f"connect: {type(exc).__name__}")
            finally:
                self._socket = None
                if not self.closed:
                    self._to(SocketState.DOWN)
            failures = 0 if time.monotonic() - started > 30.0 else failures + 1
            if not self.closed:
                await self._sleep(
                    min(0.1 * 2 ** min(failures, 8), 30.0) * (0.5 + self._random.random())
                )

    async def _session(self) -> None:
        async with self.session.ws_connect(
            self.url,
            autoping=True,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        ) as socket:
            self._socket = socket
            self.stats.connects += 1
            for frame in self.hello():
                await self._send(frame)
            self._to(SocketState.UP)
            pinger = asyncio.create_task(self._ping())
            try:
                await self._read(socket)
            finally:
                pinger.cancel()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self.ping_s)
            await self._send(PING)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            try:
                message = await socket.receive(timeout=self.silence_s)
            except TimeoutError:
                self.stats.note("silence")
                return
            self.stats.last_frame_monotonic = time.monotonic()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take(message.data)
            elif message.type in (
                aiohttp.WSMsgType.CLOSE,
                aiohttp.WSMsgType.CLOSED,
                aiohttp.WSMsgType.CLOSING,
                aiohttp.WSMsgType.ERROR,
            ):
                return

    def _take(self, text: str) -> None:
        """Hand on one frame, an event or an array of them; one bad frame never ends the reader."""
        if text == PONG:
            return
        self.stats.frames += 1
        try:
            for event in events_of(text.encode()):
                self._hand(event)
        except Exception as exc:
            # Venue input is hostile: whatever a frame does, the next one must be read.
            self._bad(exc)

    def _hand(self, event: bytes) -> None:
        try:
            self.on_event(event)
        except Exception as exc:
            # One bad event of an array must not swallow the others.
            self._bad(exc)

    def _bad(self, exc: Exception) -> None:
        self.stats.bad_frames += 1
        self.stats.note(f"frame: {type(exc).__name__}: {exc}")

    def _to(self, state: SocketState) -> None:
        if state is not self.state:
            self.state = state
            self.on_state(state)

    async def close(self) -> None:
        """Close for good."""
        self._to(SocketState.CLOSED)
        if self._socket is not None:
            await self._socket.close()


def events_of(frame: bytes) -> list[bytes]:
    """Return the events of a frame: the first one after a subscription is an array."""
    stripped = frame.lstrip()
    if not stripped.startswith(b"["):
        return [frame]
    return [bytes(raw) for raw in msgspec.json.decode(frame, type=list[msgspec.Raw])]


def market_hello(assets: Sequence[str]) -> list[dict[str, Any]]:
    """Return the frames that subscribe to tokens, at most a hundred a frame."""
    frames: list[dict[str, Any]] = []
    for start in range(0, max(len(assets), 1), IDS_PER_FRAME):
        part = list(assets[start : start + IDS_PER_FRAME])
        first: dict[str, Any] = {"operation": "subscribe"} if start else {"type": "market"}
        frames.append(first | {"assets_ids": part, "custom_feature_enabled": True})
    return frames


class MarketSockets:
    """Market data of many tokens over as many connections as the venue's practical limit asks for.

    Parameters
    ----------
    on_state : callable
        Called with the tokens of the connection that came up or went down.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        on_event: OnEvent,
        on_state: Callable[[SocketState, Sequence[str]], None],
        *,
        per_connection: int = ASSETS_PER_CONNECTION,
        **options: Any,
    ) -> None:
        self._session, self._url, self._options = session, url, options
        self._on_event, self._on_state = on_event, on_state
        self.per_connection = per_connection
        self.sockets: list[Socket] = []
        self.assets: list[list[str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def _make(self, shard: int, assets: list[str]) -> Socket:
        return Socket(
            self._session,
            self._url,
            lambda: market_hello(assets),
            self._on_event,
            lambda state: self._on_state(state, tuple(assets)),
            seed=shard,
            **self._options,
        )

    def subscribe(self, tokens: Sequence[str]) -> None:
        """Follow these tokens from now on."""
        known = {token for shard in self.assets for token in shard}
        for token in tokens:
            if token in known or self._closed:
                continue
            known.add(token)
            shard = next(
                (i for i, a in enumerate(self.assets) if len(a) < self.per_connection), None
            )
            if shard is None:
                assets: list[str] = [token]
                socket = self._make(len(self.sockets), assets)
                self.assets.append(assets)
                self.sockets.append(socket)
                self._tasks.append(asyncio.create_task(socket.run(), name="polymarket-market"))
            else:
                self.assets[shard].append(token)
                self.sockets[shard].send(
                    {
                        "operation": "subscribe",
                        "assets_ids": [token],
                        "custom_feature_enabled": True,
                    }
                )

    async def drop(self, token: str) -> None:
        """Close the connection of a token: it comes back with fresh snapshots."""
        for shard, assets in enumerate(self.assets):
            inner = self.sockets[shard]._socket
            if token in assets and inner is not None:
                await inner.close()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for socket in self.sockets:
            await socket.close()
        for task in self._tasks:
            task.cancel()

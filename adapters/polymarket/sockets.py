"""Polymarket's WebSockets: one connection that comes back by itself, watched, and trusted with nothing after a break.

There are no sequence numbers and nothing is replayed: whoever listens must drop what it knew when the link goes
down and read again when it is up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from adapters.connection import Connection, OnState, SocketState

MARKET_URL = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
USER_URL = "wss://ws-subscriptions-clob.polymarket.com/ws/user"
PING, PONG = "PING", "PONG"
IDS_PER_FRAME, ASSETS_PER_CONNECTION = 100, 200
MAX_FRAME_BYTES = 4 << 20


OnEvent = Callable[[bytes], None]
Hello = Callable[[], Sequence[Any]]


class Socket(Connection):
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

    name = "polymarket"

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
        super().__init__(
            session,
            url,
            on_state,
            wait_s=silence_s,
            max_frame_bytes=MAX_FRAME_BYTES,
            seed=seed,
            sleep=sleep,
        )
        self.hello, self.on_event, self.ping_s = hello, on_event, ping_s
        self._pinger: asyncio.Task[None] | None = None

    def send(self, frame: Any) -> None:
        """Send a frame soon, if the connection is up."""
        if self.state is SocketState.UP:
            self.post(msgspec.json.encode(frame).decode())

    # -- life -------------------------------------------------------------------------------
    async def _opened(self) -> None:
        for frame in self.hello():
            await self._send(msgspec.json.encode(frame).decode())
        self._to(SocketState.UP)
        self._pinger = asyncio.create_task(self._ping(), name="polymarket-ping")

    def _lost(self) -> None:
        if self._pinger is not None:
            self._pinger.cancel()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(self.ping_s)
            await self._send(PING)

    def _heard(self, text: str) -> None:
        """Hand on one frame, an event or an array of them; one bad event does not swallow the others."""
        if text == PONG:
            return
        self.stats.frames += 1
        try:
            events = events_of(text.encode())
        except Exception as exc:
            self._unreadable(exc)
            return
        for event in events:
            try:
                self.on_event(event)
            except Exception as exc:
                self._bad(exc)


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
        self.on_unreadable: Callable[[Sequence[str]], None] = lambda tokens: None
        self.sockets: list[Socket] = []
        self.assets: list[list[str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self.after_frame: Callable[[], Awaitable[None]] | None = None
        self.secrets: list[str] = []

    def _make(self, shard: int, assets: list[str]) -> Socket:
        made = Socket(
            self._session,
            self._url,
            lambda: market_hello(assets),
            self._on_event,
            lambda state: self._on_state(state, tuple(assets)),
            seed=shard,
            **self._options,
        )
        made.after_frame = self.after_frame
        made.stats.secrets = self.secrets
        made.on_unreadable = lambda: self.on_unreadable(tuple(assets))
        return made

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
            if token in assets:
                await self.sockets[shard].renew()

    async def close(self) -> None:
        """Close all connections."""
        self._closed = True
        for socket in self.sockets:
            await socket.close()
        for task in self._tasks:
            task.cancel()

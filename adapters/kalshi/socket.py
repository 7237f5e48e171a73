"""Kalshi's WebSocket: signed anew on every connect, resubscribed, watched, never trusted after a gap."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp
import msgspec

from adapters.kalshi import schemas
from adapters.kalshi.books import Sequence as Seq
from adapters.kalshi.signing import WS_PATH, Signer

SEQUENCED_KINDS = frozenset(
    {
        "orderbook_snapshot",
        "orderbook_delta",
        "trade",
        "market_lifecycle_v2",
        "ok",
        "unsubscribed",
        "event_fee_update",
        "event_lifecycle",
    }
)
MAX_FRAME_BYTES = 1 << 20


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
    gaps: int = 0
    repeats: int = 0
    last_frame_monotonic: float = 0.0
    errors: list[str] = field(default_factory=list)


OnFrame = Callable[[schemas.Frame], None]
OnGap = Callable[[int], None]
OnState = Callable[[SocketState], None]


class KalshiSocket:
    """One connection that comes back by itself.

    Parameters
    ----------
    url : str
        ``wss://.../trade-api/ws/v2``.
    on_frame : callable
        Every decoded frame in order; an exception in it is counted and the reader goes on.
    on_gap : callable
        Called with the sid before the frame that revealed the gap.
    on_state : callable
        Called when the connection comes up or goes down; books must be dropped on the way down.
    silence_s : float
        Without any frame or reply for this long the connection is taken for dead.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        signer: Signer | None,
        on_frame: OnFrame,
        on_gap: OnGap,
        on_state: OnState,
        *,
        silence_s: float = 20.0,
        seed: int = 0,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.session, self.url, self.signer = session, url, signer
        self.on_frame, self.on_gap, self.on_state = on_frame, on_gap, on_state
        self.silence_s, self.clock_ms, self._sleep = silence_s, clock_ms, sleep
        self.state, self.stats = SocketState.DOWN, SocketStats()
        self.wanted: dict[str, set[str]] = {}
        self.sids: dict[str, int] = {}
        self._ids = itertools.count(1)
        self._asked: dict[int, str] = {}
        self._sequences: dict[int, Seq] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._random = random.Random(seed)
        self._pending: set[asyncio.Task[None]] = set()

    # -- what is wanted ---------------------------------------------------------------------
    def subscribe(self, channel: str, tickers: Sequence[str] = ()) -> None:
        """Want a channel for these markets, now and after every reconnect."""
        new = set(tickers) - self.wanted.get(channel, set())
        known = channel in self.wanted
        self.wanted.setdefault(channel, set()).update(tickers)
        if self.state is SocketState.UP and (new or not known):
            self._command("subscribe", self._params(channel, sorted(new)))

    def unsubscribe(self, channel: str, tickers: Sequence[str]) -> None:
        """Stop wanting these markets."""
        self.wanted.get(channel, set()).difference_update(tickers)
        if self.state is SocketState.UP and channel in self.sids:
            params = {
                "sids": [self.sids[channel]],
                "action": "delete_markets",
                "market_tickers": list(tickers),
            }
            self._command("update_subscription", params)

    def resync(self, tickers: Sequence[str]) -> None:
        """Ask for fresh snapshots of books."""
        sid = self.sids.get("orderbook_delta")
        if self.state is SocketState.UP and sid is not None and tickers:
            params = {"sids": [sid], "action": "get_snapshot", "market_tickers": list(tickers)}
            self._command("update_subscription", params)

    def _params(self, channel: str, tickers: Sequence[str]) -> dict[str, Any]:
        params: dict[str, Any] = {"channels": [channel]}
        if tickers:
            params["market_tickers"] = list(tickers)
        if channel == "orderbook_delta":
            params["use_yes_price"] = True  # the default flips one day; never rely on it
        return params

    def _command(self, cmd: str, params: dict[str, Any]) -> None:
        number = next(self._ids)
        if cmd == "subscribe":
            self._asked[number] = params["channels"][0]
        text = json.dumps({"id": number, "cmd": cmd, "params": params}, separators=(",", ":"))
        task = asyncio.get_running_loop().create_task(self._send(text), name="kalshi-ws-send")
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)

    async def _send(self, text: str) -> None:
        if self._socket is not None and not self._socket.closed:
            try:
                await self._socket.send_str(text)
            except (ConnectionError, RuntimeError, aiohttp.ClientError) as exc:
                self._note(f"send: {type(exc).__name__}")

    @property
    def closed(self) -> bool:
        """Whether it was closed for good."""
        return self.state is SocketState.CLOSED

    # -- life -------------------------------------------------------------------------------
    async def run(self) -> None:
        """Stay connected until cancelled or `close`; back off with jitter, at most 30 s."""
        failures = 0
        while not self.closed:
            self._to(SocketState.CONNECTING)
            started = time.monotonic()
            try:
                await self._session()
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                self._note(f"connect: {type(exc).__name__}")
            finally:
                self._socket = None
                self.sids.clear()
                self._sequences.clear()
                if not self.closed:
                    self._to(SocketState.DOWN)
            failures = 0 if time.monotonic() - started > 30.0 else failures + 1
            if not self.closed:
                await self._sleep(
                    min(0.1 * 2 ** min(failures, 8), 30.0) * (0.5 + self._random.random())
                )

    async def _session(self) -> None:
        headers = {}
        if self.signer is not None:
            headers = await asyncio.to_thread(self.signer.headers, "GET", WS_PATH, self.clock_ms())
        async with self.session.ws_connect(
            self.url,
            headers=headers,
            autoping=True,
            max_msg_size=MAX_FRAME_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
        ) as socket:
            self._socket = socket
            self.stats.connects += 1
            self._to(SocketState.UP)
            for channel, tickers in sorted(self.wanted.items()):
                self._command("subscribe", self._params(channel, sorted(tickers)))
            await self._read(socket)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        asked = False
        while True:
            try:
                message = await socket.receive(timeout=self.silence_s / 2)
            except TimeoutError:
                if asked:  # a quiet market answers list_subscriptions; a dead connection does not
                    self._note("silence")
                    return
                asked = True
                self._command("list_subscriptions", {})
                continue
            asked = False
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
        """Decode one frame, check its number, hand it on; one bad frame never ends the reader."""
        self.stats.frames += 1
        try:
            frame = msgspec.json.decode(text, type=schemas.Frame)
            if frame.type == "subscribed":
                told = msgspec.json.decode(frame.msg, type=schemas.SubscribedMsg)
                self.sids[told.channel] = told.sid
            if frame.sid is not None and frame.seq is not None and frame.type in SEQUENCED_KINDS:
                sequence = self._sequences.setdefault(frame.sid, Seq(frame.sid))
                verdict = sequence.accept(frame.seq)
                if verdict == "repeat":
                    self.stats.repeats += 1
                    return
                if verdict == "gap":
                    self.stats.gaps += 1
                    self.on_gap(frame.sid)
            self.on_frame(frame)
        except Exception as exc:
            # Venue input is hostile: whatever a frame does, the next one must be read.
            self.stats.bad_frames += 1
            self._note(f"frame: {type(exc).__name__}: {exc}"[:200])

    def _to(self, state: SocketState) -> None:
        if state is not self.state:
            self.state = state
            self.on_state(state)

    def _note(self, text: str) -> None:
        self.stats.errors.append(text)
        del self.stats.errors[:-100]

    async def close(self) -> None:
        """Close for good."""
        self._to(SocketState.CLOSED)
        if self._socket is not None:
            await self._socket.close()

"""Kalshi's WebSocket: signed anew on every connect, resubscribed, watched, never trusted after a gap."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
import msgspec

from adapters.connection import Connection, OnState, SocketState
from adapters.kalshi import schemas
from adapters.kalshi.books import Sequence as Seq
from adapters.kalshi.signing import WS_PATH, Signer
from adapters.mends import NEWS_MEND
from core.domain.errors import CorruptData

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
BOOK_KINDS = frozenset({"orderbook_snapshot", "orderbook_delta"})
MAX_FRAME_BYTES = 1 << 20
#: Errors after which nothing comes on a subscription any more: of the channel, and a full buffer at the venue.
ENDING_ERRORS = frozenset({10, 25})
#: A subscription that was refused is asked for again after this long.
REFUSED_PAUSE_S = 5.0
#: More frames than this are not lost on a connection that lives.
MAX_JUMP = 100_000


OnFrame = Callable[[schemas.Frame], None]
OnGap = Callable[[int], None]


class KalshiSocket(Connection):
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

    name = "kalshi"

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
        super().__init__(
            session,
            url,
            on_state,
            wait_s=silence_s / 2,
            max_frame_bytes=MAX_FRAME_BYTES,
            seed=seed,
            sleep=sleep,
        )
        self.signer, self.on_frame, self.on_gap, self.clock_ms = signer, on_frame, on_gap, clock_ms
        self._asked_for_life = False
        self.wanted: dict[str, set[str]] = {}
        self.sids: dict[str, int] = {}
        self._ids = itertools.count(1)
        self._asked: dict[int, str] = {}
        self._sequences: dict[int, Seq] = {}
        self._known: set[int] = set()
        self._last: dict[int, tuple[int, int]] = {}

    # -- what is wanted ---------------------------------------------------------------------
    def subscribe(self, channel: str, tickers: Sequence[str] = ()) -> None:
        """Want a channel for these markets, now and after every reconnect."""
        new = set(tickers) - self.wanted.get(channel, set())
        known = channel in self.wanted
        self.wanted.setdefault(channel, set()).update(tickers)
        if self.state is SocketState.UP and (new or not known):
            self._command("subscribe", self._params(channel, sorted(new)))

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
        self.post(json.dumps({"id": number, "cmd": cmd, "params": params}, separators=(",", ":")))

    # -- life -------------------------------------------------------------------------------
    async def _headers(self) -> Mapping[str, str]:
        if self.signer is None:
            return {}
        return await asyncio.to_thread(self.signer.headers, "GET", WS_PATH, self.clock_ms())

    async def _opened(self) -> None:
        self._asked_for_life = False
        self._to(SocketState.UP)
        for channel, tickers in sorted(self.wanted.items()):
            self._command("subscribe", self._params(channel, sorted(tickers)))

    def _quiet(self) -> bool:
        """Ask once: a quiet market answers `list_subscriptions`, a dead connection does not."""
        if self._asked_for_life:
            return True
        self._asked_for_life = True
        self._command("list_subscriptions", {})
        # the last frame before a silence may be lost: only the next number would tell
        self.resync(sorted(self.wanted.get("orderbook_delta", ())))
        return False

    def _lost(self) -> None:
        self.sids.clear()
        self._asked.clear()
        self._known.clear()
        self._last.clear()
        self._sequences.clear()

    def _heard(self, text: str) -> None:
        """Decode one frame, check its number, hand it on."""
        self._asked_for_life = False
        self.stats.frames += 1
        try:
            frame = msgspec.json.decode(text, type=schemas.Frame)
            if frame.type == "error":
                self._error(frame)
            verdict = self._number(frame)
        except Exception as exc:
            self._unreadable(exc)
            return
        if verdict == "repeat" and frame.sid is not None:
            self.stats.repeats += 1
            if self._same_number(frame, text):
                self.on_gap(frame.sid)  # two frames with one number: what was between is not known
            return
        if frame.sid is not None and frame.seq is not None:
            self._last[frame.sid] = (frame.seq, hash(text))
        if verdict == "gap" and frame.sid is not None:
            self.stats.gaps += 1
            self.on_gap(frame.sid)
        self.on_frame(frame)
        if frame.type == "unsubscribed":  # we never ask for it
            self.renew_soon()

    def _error(self, frame: schemas.Frame) -> None:
        """Note an error; a subscription that has ended needs a new connection, one that was refused is asked for again."""
        told = msgspec.json.decode(frame.msg, type=schemas.ErrorMsg)
        channel = self._asked.pop(frame.id or 0, "")
        self.stats.note(
            f"Kalshi says error {told.code} {channel and f'to {channel!r}'}: {told.msg[:80]}"
        )
        if told.code in ENDING_ERRORS:
            self.renew_soon()
        elif channel:
            asyncio.get_running_loop().call_later(REFUSED_PAUSE_S, self._ask_again, channel)

    def _ask_again(self, channel: str) -> None:
        if self.state is SocketState.UP and channel in self.wanted:
            self._command("subscribe", self._params(channel, sorted(self.wanted[channel])))

    def _same_number(self, frame: schemas.Frame, text: str) -> bool:
        """Return whether this repeats the last number of its subscription with other words."""
        last = self._last.get(frame.sid or 0)
        return last is not None and last[0] == frame.seq and last[1] != hash(text)

    def _number(self, frame: schemas.Frame) -> str:
        """Return what a frame's number says: ``next``, ``gap`` or ``repeat``.

        Raises
        ------
        CorruptData
            If a frame that must have a place in a sequence has none that we know: where it belongs is a guess.
        """
        if frame.type == "subscribed":
            told = msgspec.json.decode(frame.msg, type=schemas.SubscribedMsg)
            if self._asked.pop(frame.id or 0, "") != told.channel:
                raise CorruptData(
                    "Kalshi confirmed a subscription that we did not ask for", told, NEWS_MEND
                )
            self.sids[told.channel] = told.sid
            self._known.add(told.sid)
            return "next"
        sid, seq = frame.sid, frame.seq
        if frame.type in BOOK_KINDS and (sid is None or seq is None):
            raise CorruptData("Kalshi sent a book frame without a number", frame.type, NEWS_MEND)
        if frame.type in BOOK_KINDS and sid != self.sids.get("orderbook_delta"):
            raise CorruptData(
                "Kalshi sent a book on a subscription that is not the books'", sid, NEWS_MEND
            )
        if frame.type not in SEQUENCED_KINDS or sid is None or seq is None:
            return "next"
        if sid not in self._known:
            raise CorruptData(
                "Kalshi sent a frame of a subscription that we do not have", sid, NEWS_MEND
            )
        sequence = self._sequences.setdefault(sid, Seq(sid))
        if seq > (sequence.last or 0) + MAX_JUMP:
            raise CorruptData("Kalshi sent a sequence number that cannot be", seq, NEWS_MEND)
        return sequence.accept(seq)

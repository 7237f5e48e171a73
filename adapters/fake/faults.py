"""A fault schedule is data: what goes wrong, at which request or frame, for how long. Seeded, repeatable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from enum import StrEnum

from aiohttp import web


class FaultKind(StrEnum):
    """What a fake venue can be told to do wrong.

    ``ws_late`` lets a frame arrive after those that follow it, ``ws_again`` sends it a second time later on, with the
    number it had, and ``ws_replay`` repeats all private frames so far to whoever subscribes.
    """

    WS_CLOSE = "ws_close"
    WS_DROP = "ws_drop"
    WS_DUPLICATE = "ws_duplicate"
    WS_SWAP = "ws_swap"
    WS_GARBAGE = "ws_garbage"
    WS_SILENCE = "ws_silence"
    WS_LATE = "ws_late"
    WS_AGAIN = "ws_again"
    WS_REPLAY = "ws_replay"
    HTTP_429 = "http_429"
    HTTP_500 = "http_500"
    HTTP_503 = "http_503"
    DROP_RESPONSE = "drop_response"
    DROP_REQUEST = "drop_request"
    DELAY = "delay"
    STALE_READ = "stale_read"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault.

    Attributes
    ----------
    kind : FaultKind
    at : int
        Index of the matching request or frame at which it begins (0 = first).
    count : int
        For how many in a row.
    match : str
        Part of ``"METHOD path"`` or of the frame type that it applies to; empty = all.
    seconds : float
        Length, for delays, silences and frames that come late or again; what a 429 asks for in ``Retry-After``
        (0 = it says nothing).
    """

    kind: FaultKind
    at: int = 0
    count: int = 1
    match: str = ""
    seconds: float = 0.0


@dataclass(slots=True)
class FaultSchedule:
    """Decides for each request and frame whether something goes wrong. Counts what it did."""

    faults: Sequence[Fault] = ()
    fired: list[tuple[str, str]] = field(default_factory=list)
    paused: bool = False
    clock_ns: Callable[[], int] = lambda: 0
    fired_ns: list[int] = field(default_factory=list)
    _seen: dict[int, int] = field(default_factory=dict)

    def due(self, subject: str, kinds: frozenset[FaultKind]) -> Fault | None:
        """Return the fault that hits `subject` now, if any; each call counts as one occurrence."""
        if self.paused:
            return None
        hit: Fault | None = None
        for index, fault in enumerate(self.faults):
            if fault.kind not in kinds or fault.match not in subject:
                continue
            seen = self._seen.get(index, 0)
            self._seen[index] = seen + 1
            if hit is None and fault.at <= seen < fault.at + fault.count:
                hit = fault
        if hit is not None:
            self.fired.append((hit.kind.value, subject))
            self.fired_ns.append(self.clock_ns())
        return hit


Tamper = Callable[[str, bytes], bytes]
TamperFrame = Callable[[str], Sequence[str | bytes]]


def shape(
    response: web.StreamResponse,
    clock_ns: int,
    fault: Fault | None,
    subject: str,
    tamper: Tamper | None,
) -> web.StreamResponse:
    """Give an answer the fake's own time, the pause that a 429 asks for, and a body that was tampered with."""
    response.headers["Date"] = formatdate(clock_ns / 1e9, usegmt=True)
    if fault is not None and fault.kind is FaultKind.HTTP_429 and fault.seconds:
        response.headers["Retry-After"] = f"{fault.seconds:g}"
    if tamper is not None and isinstance(response, web.Response):
        response.body = tamper(subject, response.body if isinstance(response.body, bytes) else b"")
    return response


HTTP_FAULTS = frozenset(
    {
        FaultKind.HTTP_429,
        FaultKind.HTTP_500,
        FaultKind.HTTP_503,
        FaultKind.DROP_RESPONSE,
        FaultKind.DROP_REQUEST,
        FaultKind.DELAY,
        FaultKind.STALE_READ,
    }
)
REPLAYS = frozenset({FaultKind.WS_REPLAY})
WS_FAULTS = frozenset(k for k in FaultKind if k.value.startswith("ws_")) - REPLAYS
OLD_NEWS = frozenset({FaultKind.WS_LATE, FaultKind.WS_AGAIN})

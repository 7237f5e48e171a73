"""Pair the orders of two runs and say what differs, and of what kind the reason is.

Orders of one strategy, outcome and side are paired in order when they were decided within a window. A reason is
only named when the records show it; what they do not show is UNEXPLAINED, and that is a defect until it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from typing import Any

from core.domain.money import ZERO
from core.engine.parity.orders import ComparedOrder, RunOrders
from core.engine.parity.tape import Moved

#: Less than this is rounding of a fee; a cent or more is another rule.
ROUNDING_USD = Decimal("0.01")
#: Detail of an order that was decided between the news of one fill or end of an order in the two runs.
HEARD = "a fill or the end of an order was news in one run and not yet in the other"
#: Detail of one that was decided when an earlier order had filled in one run only: it stood elsewhere in the queue.
STOOD = "an order before it filled in other parts and at another time"
#: What venues (and the paper venue) say of an order that met one of our own: the engine has no such rule.
SELF_TRADE_CODES = frozenset({"SelfTradeCancel", "self_trade"})
Pair = tuple[ComparedOrder | None, ComparedOrder | None]


class Reason(StrEnum):
    """Classes of reasons, most certain first."""

    MISSING_DATA = "missing data"
    OPENING_POSITION = "opening position"
    UNKNOWN_OUTCOME = "unknown outcome"
    HALTED = "halted"
    REJECTED = "rejected by the venue"
    SELF_TRADE = "own order in the way"
    RUN_ENDED = "run ended"
    CONSEQUENCE = "consequence of an earlier difference"
    LATENCY = "latency"
    TIMING = "timing of the decision"
    QUEUE = "queue position"
    TAKEN = "level taken from before"
    DEPTH = "partial depth"
    ROUNDING = "rounding"
    UNEXPLAINED = "unexplained"


#: From, to, and what the two runs differed by meanwhile.
Span = tuple[int, int, Reason]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same.

    Attributes
    ----------
    what : str
        ``order`` (sent in one run only, or with other terms), ``fill`` or ``fee`` or ``settlement``.
    recorded, replayed : str
        The two sides in words; empty where there is none.
    """

    what: str
    reason: Reason
    strategy: str
    instrument_id: str
    ts_ns: int
    recorded: str
    replayed: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Outcome of a comparison.

    Attributes
    ----------
    latency_ms : float
        Order latency of the replay.
    latencies_ms : tuple of float
        Median and largest time from decision to venue in the recorded run.
    decision_shift_ms : float
        Largest time between the decisions of a pair.
    """

    run_id: str
    mode: str
    venue: str
    synthetic: bool
    latency_ms: float
    latencies_ms: tuple[float, float]
    decision_shift_ms: float
    orders: tuple[int, int]
    fills: tuple[int, int]
    fees: tuple[Decimal, Decimal]
    refusals: tuple[Mapping[str, int], Mapping[str, int]]
    settlements: tuple[int, int]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether no order, fill, fee or settlement differs."""
        return not self.differences

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "schema_version": 1,
            "run_id": self.run_id,
            "mode": self.mode,
            "venue": self.venue,
            "synthetic": self.synthetic,
            "equal": self.equal,
            "latency_ms": self.latency_ms,
            "recorded_latency_ms": {"median": self.latencies_ms[0], "max": self.latencies_ms[1]},
            "decision_shift_ms": self.decision_shift_ms,
            "orders": dict(zip(("recorded", "replayed"), self.orders, strict=True)),
            "fills": dict(zip(("recorded", "replayed"), self.fills, strict=True)),
            "fees": dict(zip(("recorded", "replayed"), map(str, self.fees), strict=True)),
            "refusals": dict(zip(("recorded", "replayed"), map(dict, self.refusals), strict=True)),
            "settlements": dict(zip(("recorded", "replayed"), self.settlements, strict=True)),
            "differences": [
                {n: str(getattr(d, n)) if n != "ts_ns" else d.ts_ns for n in Difference.__slots__}
                for d in self.differences
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What is known of the recorded run beside its orders.

    Attributes
    ----------
    positions : mapping
        Shares held before the first order.
    data_start_ns, data_end_ns : int
        Span of the recording.
    lost_rows : bool
        Whether market data could not be recorded.
    """

    positions: Mapping[str, str] = field(default_factory=dict)
    data_start_ns: int = 0
    data_end_ns: int = 1 << 62
    lost_rows: bool = False
    moved: Moved = lambda iid, start, end: False


def pair_orders(
    left: list[ComparedOrder], right: list[ComparedOrder], window_ns: int
) -> list[Pair]:
    """Pair orders of equal strategy, instrument and side: of one moment, else in order within `window_ns`."""
    streams: dict[tuple[str, str, str], tuple[list[ComparedOrder], list[ComparedOrder]]] = {}
    for which, orders in enumerate((left, right)):
        for order in orders:
            key = (order.strategy, order.instrument_id, order.side)
            streams.setdefault(key, ([], []))[which].append(order)
    pairs: list[Pair] = []
    for a, b in streams.values():
        pairs += _aligned(a, b, window_ns)
    return sorted(pairs, key=_when)


def _aligned(a: list[ComparedOrder], b: list[ComparedOrder], window_ns: int) -> list[Pair]:
    """Pair two streams: decisions of the same moment first, the others in order within the window."""
    pairs: list[Pair] = []
    i = j = 0
    moments = {o.ts_ns for o in a} & {o.ts_ns for o in b}
    while i < len(a) or j < len(b):
        left, right = a[i] if i < len(a) else None, b[j] if j < len(b) else None
        near = left and right and abs(left.ts_ns - right.ts_ns) <= window_ns
        if left and right and left.ts_ns != right.ts_ns:
            near = near and left.ts_ns not in moments and right.ts_ns not in moments
        if near:
            pairs.append((left, right))
            i, j = i + 1, j + 1
        elif right is None or (left is not None and left.ts_ns < right.ts_ns):
            pairs.append((left, None))
            i += 1
        else:
            pairs.append((None, right))
            j += 1
    return pairs


def _when(pair: Pair) -> int:
    return min(o.ts_ns for o in pair if o is not None)


def differences(pairs: list[Pair], recorded: RunOrders, known: Circumstances) -> list[Difference]:
    """Return what differs, in the order of time."""
    out: list[Difference] = []
    differed: dict[str, int] = {}
    taken: set[tuple[str, str, Decimal]] = set()
    heard: dict[str, list[Span]] = {}
    for ours, theirs in pairs:
        found = _of_pair(ours, theirs, recorded, known, differed, taken, heard)
        if ours is not None and theirs is not None:
            heard.setdefault(ours.strategy, []).extend(_heard_apart(ours, theirs, taken))
        for order in (ours, theirs):
            if order is not None:
                taken |= {(order.instrument_id, order.side, p) for p in order.prices()}
        for one in found:
            out.append(one)
            if one.what in ("order", "fill"):
                differed.setdefault(one.strategy, one.ts_ns)
    return out


def _of_pair(
    ours: ComparedOrder | None,
    theirs: ComparedOrder | None,
    recorded: RunOrders,
    known: Circumstances,
    differed: Mapping[str, int],
    taken: Set[tuple[str, str, Decimal]],
    heard: Mapping[str, list[Span]],
) -> list[Difference]:
    def make(what: str, reason: Reason, detail: str = "") -> Difference:
        one = ours or theirs
        assert one is not None
        return Difference(
            what, reason, one.strategy, one.instrument_id, one.ts_ns,
            "" if ours is None else say(ours), "" if theirs is None else say(theirs), detail,
        )  # fmt: skip

    if ours is None or theirs is None:
        one = ours or theirs
        assert one is not None
        reason = _why_alone(one, ours is None, recorded, known, differed)
        knew = _one_knew(heard, one) if reason is Reason.UNEXPLAINED else None
        if knew is not None:
            return [make("order", knew, HEARD if knew is Reason.LATENCY else STOOD)]
        return [make("order", reason)]
    terms = [n for n in ("quantity", "price", "tif") if getattr(ours, n) != getattr(theirs, n)]
    if terms:
        reason = _circumstance(ours, known) or (
            Reason.CONSEQUENCE if ours.strategy in differed else Reason.TIMING
        )
        knew = _one_knew(heard, ours, theirs) if reason is Reason.TIMING else None
        if knew is not None:
            return [make("order", knew, HEARD if knew is Reason.LATENCY else STOOD)]
        if reason is Reason.TIMING and not _moved_between(ours, theirs, known):
            # A size follows equity; what other shares are worth, or paid, is money that the replay never had.
            sized = known.positions and terms == ["quantity"]
            reason = Reason.OPENING_POSITION if sized else Reason.UNEXPLAINED
        return [make("order", reason, ", ".join(terms))]
    if ours.prices() != theirs.prices():
        return [make("fill", *_why_fills(ours, theirs, known, taken))]
    if ours.fee != theirs.fee:
        small = abs(ours.fee - theirs.fee) < ROUNDING_USD
        detail = f"{ours.fee} against {theirs.fee}"
        return [make("fee", Reason.ROUNDING if small else Reason.UNEXPLAINED, detail)]
    return []


def _heard_apart(
    ours: ComparedOrder, theirs: ComparedOrder, taken: Set[tuple[str, str, Decimal]]
) -> list[Span]:
    """Return the spans in which one run knew of a fill or the end of the pair and the other did not.

    None where the replay told all of it when the run had heard it. Fills of the same parts are the same executions, told
    at two times. Other parts are others: the two orders stood at two places in the queue, behind what we took from there
    before where that is so.
    """
    parts = [[f.quantity for f in o.fills] for o in (ours, theirs)]
    if theirs.as_heard and parts[0] == parts[1] and ours.status == theirs.status:
        return []
    spans: list[Span] = []
    # The replay ends it at its moment, the run when it heard of it.
    moments = {
        "EXPIRED": ours.expire_ns, "CANCELED": ours.canceled_ns, "REJECTED": ours.arrival_ns
    }  # fmt: skip
    if 0 < (at_ns := moments.get(ours.status, 0)) < ours.ended_ns:
        spans.append((at_ns, ours.ended_ns, Reason.LATENCY))
    reason = Reason.LATENCY
    if parts[0] != parts[1]:
        sides = {(o.instrument_id, s, o.price) for o in (ours, theirs) for s in ("BUY", "SELL")}
        reason = Reason.QUEUE if sides.isdisjoint(taken) else Reason.TAKEN
    for start, end in pairwise(sorted({f.ts_ns for f in (*ours.fills, *theirs.fills)})):
        known = [
            sum((f.quantity for f in o.fills if f.ts_ns <= start), ZERO) for o in (ours, theirs)
        ]
        if known[0] != known[1]:
            spans.append((start, end, reason))
    return spans


def _one_knew(heard: Mapping[str, list[Span]], *orders: ComparedOrder) -> Reason | None:
    """Return why an order was decided when only one run knew of an earlier fill of its strategy; None when both did."""
    return next(
        (
            reason
            for order in orders
            for start, end, reason in heard.get(order.strategy, ())
            if start <= order.ts_ns <= end
        ),
        None,
    )


def _circumstance(order: ComparedOrder, known: Circumstances) -> Reason | None:
    """Return what of the run's circumstances explains any difference of this order."""
    outside = order.ts_ns < known.data_start_ns or known.data_end_ns < max(
        order.ts_ns, order.arrival_ns
    )
    if known.lost_rows or outside:
        return Reason.MISSING_DATA
    if order.instrument_id in known.positions:
        return Reason.OPENING_POSITION
    return None


def _why_alone(
    order: ComparedOrder,
    replay_only: bool,
    recorded: RunOrders,
    known: Circumstances,
    differed: Mapping[str, int],
) -> Reason:
    """Return why an order was sent in one run only."""
    found = _circumstance(order, known)
    if found is not None:
        return found
    if replay_only and recorded.ended_ns and order.ts_ns >= recorded.ended_ns:
        return Reason.RUN_ENDED
    if replay_only and any(h <= order.ts_ns for h in recorded.halts):
        return Reason.HALTED
    if order.strategy in differed:
        return Reason.CONSEQUENCE
    if not replay_only and order.unknown:
        return Reason.UNKNOWN_OUTCOME
    return Reason.UNEXPLAINED


def _why_fills(
    ours: ComparedOrder,
    theirs: ComparedOrder,
    known: Circumstances,
    taken: Set[tuple[str, str, Decimal]],
) -> tuple[Reason, str]:
    """Return why two equal orders were executed differently."""
    if ours.unknown:
        return Reason.UNKNOWN_OUTCOME, ""
    if ours.status in ("REJECTED", "DENIED", "ABSENT", "VOIDED"):
        return Reason.REJECTED, ours.code
    if ours.code in SELF_TRADE_CODES:
        return Reason.SELF_TRADE, ours.code
    found = _circumstance(ours, known)
    if found is not None:
        return found, ""
    if any(f.role == "maker" for f in (*ours.fills, *theirs.fills)):
        return Reason.QUEUE, ""
    if _moved_between(ours, theirs, known):
        shift = (ours.arrival_ns - theirs.arrival_ns) / 1e6
        return Reason.LATENCY, f"reached the venue {shift:+.1f} ms from the replay"
    differing = {p for p, _ in set(ours.prices().items()) ^ set(theirs.prices().items())}
    again = {p for p in differing if (ours.instrument_id, ours.side, p) in taken}
    if again:  # what is left of a level after our own fills is kept in two ways (docs/parity.md)
        return Reason.TAKEN, ", ".join(f"{p.normalize():f}" for p in sorted(again))
    if ours.heard_ns and known.moved(ours.instrument_id, ours.ts_ns, ours.heard_ns):
        return Reason.LATENCY, "the book moved between the decision and the venue's answer"
    if ours.filled != theirs.filled:
        return Reason.DEPTH, f"{ours.filled} against {theirs.filled}"
    return Reason.UNEXPLAINED, ""


def _moved_between(ours: ComparedOrder, theirs: ComparedOrder, known: Circumstances) -> bool:
    """Return whether the market moved between the earliest and the latest moment of the two orders."""
    moments = [t for o in (ours, theirs) for t in (o.arrival_ns or o.ts_ns,)]
    decided = [ours.ts_ns, theirs.ts_ns]
    iid = ours.instrument_id
    return known.moved(iid, min(moments), max(moments)) or known.moved(
        iid, min(decided), max(decided)
    )


def say(order: ComparedOrder) -> str:
    """Return an order and what became of it in a few words."""
    price = "market" if order.price is None else f"@ {order.price}"
    got = ", ".join(f"{q.normalize():f} @ {p}" for p, q in sorted(order.prices().items()))
    fee = f" fee {order.fee}" if order.fills else ""
    return f"{order.side} {order.quantity} {price} {order.tif} -> {got or order.status or 'no fill'}{fee}"

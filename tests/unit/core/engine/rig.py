"""Small catalogs and venues for engine tests: a market in a few lines, run through the real runner."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from core.domain.fees import FeeCharge, FeeFill, FeeSchedule, Side
from core.domain.grid import TickGrid
from core.domain.market import Event, Market, Outcome
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.catalog import (
    F_LAST,
    F_SNAPSHOT,
    CatalogWriter,
    DeltaColumns,
    QuoteColumns,
    TradeColumns,
)
from core.engine.results import RunResult

S = 1_000_000_000
T0 = 1_767_225_600 * S  # 2026-01-01
D = Decimal
NOTHING = Decimal(0)
HERE = "tests.unit.core.engine.rig"


# -- venues -----------------------------------------------------------------------------------------
@dataclass
class FlatFees:
    """Charges `rate` of ``p * (1 - p) * quantity``, cut to 1e-6; enough for engine tests."""

    rate: Decimal = NOTHING
    charged: list[FeeFill] = field(default_factory=list)

    def _fee(self, price: Decimal, quantity: Decimal) -> Decimal:
        return (self.rate * price * (1 - price) * quantity).quantize(D("0.000001"))

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        self.charged.append(fill)
        return FeeCharge(self._fee(fill.price, fill.quantity), f"flat-{self.rate}")

    def estimate(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        return FeeCharge(self._fee(fill.price, fill.quantity), f"flat-{self.rate}")

    @property
    def rule_starts_ns(self) -> tuple[int, ...]:
        return ()

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        top = (min if side is Side.BUY else max)(price, D("0.5"))
        return self.rate * top * (1 - top) * quantity + D("0.000010")


class RaisingFees(FlatFees):
    """A fee book that breaks at the first fill."""

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        raise RuntimeError("fee rule missing")


class DatedFees(FlatFees):
    """One cent a fill before 3 seconds after the start, two cents from then on."""

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        old = fill.ts_ns < ns(3)
        return FeeCharge(D("0.01") if old else D("0.02"), "old" if old else "new")

    def worst_case(
        self,
        schedule: FeeSchedule,
        price: Decimal,
        quantity: Decimal,
        ts_ns: int,
        side: Side = Side.BUY,
    ) -> Decimal:
        return D("0.10")


@dataclass
class TestVenue:
    """A venue without its own quirks."""

    __test__ = False
    code: str = "PM"
    currency: str = "USD"
    nets_outcomes: bool = False
    merge_pairs: bool = False
    default_latency_ms: float = 0.0
    rate: Decimal = NOTHING
    book: type[FlatFees] = FlatFees

    def fee_book(self) -> FlatFees:
        return self.book(self.rate)


PLAIN = TestVenue()
CHARGING = TestVenue(rate=D("0.07"))
MERGING = TestVenue(rate=D("0.07"), merge_pairs=True)
NETTING = TestVenue(nets_outcomes=True, merge_pairs=True)
DATED = TestVenue(book=DatedFees)
RAISING = TestVenue(book=RaisingFees)
SLOW = TestVenue(default_latency_ms=75.0)


# -- markets and books ------------------------------------------------------------------------------
def market(name: str = "M", *, venue: str = "PM", **changes: Any) -> Market:
    """A binary market with outcomes ``M-YES.PM`` and ``M-NO.PM`` on a cent... tenth-of-a-cent grid."""
    fields: dict[str, Any] = {
        "venue": venue,
        "market_id": name,
        "question": f"{name}?",
        "outcomes": (Outcome(f"{name}-YES.{venue}", "Yes"), Outcome(f"{name}-NO.{venue}", "No")),
        "grid": TickGrid.uniform(D("0.001")),
        "fees": FeeSchedule(venue),
        "event_id": f"E-{name}",
    }
    return Market(**{**fields, **changes})


ADD, UPDATE, DELETE, CLEAR = 0, 1, 2, 3
BID, ASK = 1, 2


def snapshot(t: float, bids: list[tuple[str, str]], asks: list[tuple[str, str]]) -> list[Any]:
    """A full book at `t` seconds: CLEAR, then levels (price, size) best first, one batch."""
    rows = [[t, CLEAR, 0, "0", "0", F_SNAPSHOT]]
    rows += [[t, ADD, BID, p, s, F_SNAPSHOT] for p, s in bids]
    rows += [[t, ADD, ASK, p, s, F_SNAPSHOT] for p, s in asks]
    rows[-1][5] |= F_LAST
    return rows


def level(t: float, side: int, price: str, size: str) -> list[Any]:
    """One level set to `size` (0 deletes it) at `t` seconds, a batch of its own."""
    return [[t, DELETE if D(size) == 0 else UPDATE, side, price, size, F_LAST]]


def ns(t: float) -> int:
    """Nanoseconds of `t` seconds after the start."""
    return T0 + round(t * S)


def _times(rows: list[Any]) -> np.ndarray:
    return np.array([ns(r[0]) for r in rows], dtype=np.int64)


def _ticks(values: list[str], digits: int) -> np.ndarray:
    return np.array([int(D(v).scaleb(digits)) for v in values], dtype=np.int64)


@dataclass
class Tape:
    """Data of one instrument, times in seconds.

    books: rows of `snapshot` and `level`; quotes: (t, bid, ask, bid size, ask size); trades:
    (t, price, size, aggressor 1 buy 2 sell); close: (t, payout); statuses: (t, action).
    """

    books: list[Any] = field(default_factory=list)
    quotes: list[tuple[float, str, str, str, str]] = field(default_factory=list)
    trades: list[tuple[float, str, str, int]] = field(default_factory=list)
    close: tuple[float, str] | None = None
    statuses: list[tuple[float, str]] = field(default_factory=list)


def write(
    path: Path, markets: list[Market], tapes: dict[str, Tape], events: list[Event] = ()
) -> Path:  # type: ignore[assignment]
    """Write a catalog."""
    with CatalogWriter(path, name=path.name, synthetic=True, source="test", mode="create") as out:
        out.markets(markets)
        out.events(events)
        for iid, tape in tapes.items():
            if tape.books:
                rows = tape.books
                out.deltas(
                    iid,
                    DeltaColumns(
                        ts_event=_times(rows),
                        action=np.array([r[1] for r in rows], dtype=np.uint8),
                        side=np.array([r[2] for r in rows], dtype=np.uint8),
                        price=_ticks([r[3] for r in rows], 4),
                        size=_ticks([r[4] for r in rows], 2),
                        flags=np.array([r[5] for r in rows], dtype=np.uint8),
                        sequence=np.zeros(len(rows), dtype=np.uint64),
                    ),
                )
            if tape.quotes:
                q = tape.quotes
                out.quotes(
                    iid,
                    QuoteColumns(
                        ts_event=_times(q),
                        bid=_ticks([r[1] for r in q], 4),
                        ask=_ticks([r[2] for r in q], 4),
                        bid_size=_ticks([r[3] for r in q], 2),
                        ask_size=_ticks([r[4] for r in q], 2),
                    ),
                )
            if tape.trades:
                t = tape.trades
                out.trades(
                    iid,
                    TradeColumns(
                        ts_event=_times(t),
                        price=_ticks([r[1] for r in t], 4),
                        size=_ticks([r[2] for r in t], 2),
                        aggressor=np.array([r[3] for r in t], dtype=np.uint8),
                    ),
                )
            if tape.close:
                out.closes(iid, ns(tape.close[0]), D(tape.close[1]))
            if tape.statuses:
                out.statuses(iid, [(ns(t), action, "") for t, action in tape.statuses])
    return path


def run(
    path: Path,
    strategy: type | str,
    *,
    venue: str = "PLAIN",
    params: dict[str, Any] | None = None,
    **spec: Any,
) -> RunResult:
    """Run a strategy class of a test module on a catalog."""
    name = strategy if isinstance(strategy, str) else f"{strategy.__module__}:{strategy.__name__}"
    spec.setdefault("limits", "research")
    paths = {"PM": f"{HERE}:{venue}"}
    return run_backtest(
        BacktestSpec(strategy=name, catalog=path, params=params or {}, venue_paths=paths, **spec)
    )

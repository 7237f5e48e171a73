"""The gate's time per check with 1,000 open orders and 500 positions, against a check that scans."""

from __future__ import annotations

import gc
import random
import time
from decimal import Decimal
from typing import Any

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import FeeSchedule, Side
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.risk import Gate, MarketView, VenueRules, load_profile

ORDERS, POSITIONS = 1_000, 500
START_NS = 1_750_000_000_000_000_000
D = Decimal


def fee_book() -> Any:
    """Return the real Kalshi fee rules."""
    from adapters.kalshi.fees import KalshiFeeBook

    return KalshiFeeBook()


def market(number: int) -> Market:
    """Return one market; ten of them make an event."""
    outs = tuple(Outcome(f"M{number}-{s}.KALSHI", s) for s in ("YES", "NO"))
    return Market(
        "KALSHI",
        f"M{number}",
        "?",
        outs,
        TickGrid.uniform(D("0.01")),
        FeeSchedule("KALSHI", kind="quadratic"),
        event_id=f"E{number // 10}",
    )


def intent(
    number: int, instrument: int, side: Side, quantity: Decimal, price: Decimal
) -> OrderIntent:
    """Return one order; the strategy is the one that holds the instrument."""
    return OrderIntent(
        f"O-{number}",
        f"S{instrument % 8}",
        "KALSHI",
        f"M{instrument}-YES.KALSHI",
        f"M{instrument}",
        f"E{instrument // 10}",
        side,
        quantity,
        price,
        TimeInForce.GTC,
        number,
    )


def busy_gate() -> Gate:
    """Return a gate with 1,000 working orders and 500 positions."""
    limits = load_profile("research").changed({"rate.orders": "10000"})
    gate = Gate([VenueRules("KALSHI", fee_book(), nets_outcomes=True)], limits, key=b"b" * 32)
    gate.on_cash("KALSHI", D(10_000_000))
    for n in range(8):
        gate.on_strategy(f"S{n}", "prediction")
    for n in range(POSITIONS):
        gate.on_market(market(n))
        gate.on_position(f"S{n % 8}", f"M{n}-YES.KALSHI", D(100), D("0.40"))
    view = MarketView(START_NS, D("0.39"), D("0.41"), D(1000))
    for n in range(ORDERS):
        approved = gate.review(intent(n, n % POSITIONS, Side.BUY, D(10), D("0.40")), view)
        assert approved.approved, approved
        gate.redeem(approved, START_NS)  # type: ignore[arg-type]
        gate.on_working(f"O-{n}")
    return gate


class ScanningCheck:
    """What a check costs that reads a cache of orders and positions each time, as risk code often does."""

    def __init__(self, gate: Gate) -> None:
        self.orders = [
            (o.rules.instrument_id, o.rules.market_id, o.rules.event_id, o.buy,
             D(o.price) / 10**9, D(o.quantity) / 10**9)
            for o in gate.book.orders.values()
        ]  # fmt: skip
        self.positions = [
            (
                iid,
                gate.rules[iid].market_id,
                gate.rules[iid].event_id,
                D(h.quantity) / 10**9,
                D("0.40"),
            )
            for (_, iid), h in gate.book.holdings.items()
        ]
        self.fees = fee_book()

    def check(self, order: OrderIntent, cash: Decimal) -> bool:
        """Sum everything again and compare with the same limits."""
        assert order.price is not None
        cost = order.price * order.quantity
        for scope in (1, 2, None):
            name = (None, order.market_id, order.event_id)[scope] if scope else None
            used = sum(
                (o[4] * o[5] for o in self.orders if o[3] and (scope is None or o[scope] == name)),
                D(0),
            ) + sum(
                (p[3] * p[4] for p in self.positions if scope is None or p[scope] == name), D(0)
            )
            if used + cost > cash:
                return False
        return True


def percentile(times: list[int], share: float) -> float:
    """Return a percentile in microseconds."""
    times.sort()
    return times[min(len(times) - 1, int(len(times) * share))] / 1_000


def fixed_work(turns: int) -> int:
    """Do the same arithmetic each time: what it takes longer now and then is the machine's doing."""
    total = 0
    for n in range(turns):
        total += n * n
    return total


def turns_for(target_ns: int) -> int:
    """Return how many turns of `fixed_work` take about `target_ns`."""
    times = []
    for _ in range(200):
        begin = time.perf_counter_ns()
        fixed_work(500)
        times.append(time.perf_counter_ns() - begin)
    return max(1, target_ns * 500 // sorted(times)[100])


def timed_reviews(
    gate: Gate,
    first: int,
    count: int,
    rng: random.Random,
    *,
    marked: bool = False,
    turns: int = 0,
    control: list[int] | None = None,
) -> tuple[list[int], int]:
    """Return nanoseconds of `count` reviews and how many were approved.

    Each approved order is withdrawn again, so that the load stays the same.

    Parameters
    ----------
    marked : bool
        Move the instrument's price before each review, as a live book does: equity, and with it every
        limit, is then new each time.
    turns, control : int, list
        Between two reviews do that much fixed work, and add its nanoseconds to the list.
    """
    times, approved = [], 0
    for number in range(first, first + count):
        now = START_NS + (number - ORDERS) * 50_000_000
        side = Side.BUY if rng.random() < 0.7 else Side.SELL
        price = D(rng.randrange(36, 44)) / 100
        order = intent(number, rng.randrange(POSITIONS), side, D(rng.randrange(1, 20)), price)
        view = MarketView(now, D("0.39"), D("0.41"), D(1000))
        if marked:
            gate.on_mark(order.instrument_id, D(f"0.{380 + number % 7}"), D("0.41"), now)
        if control is not None:
            begin = time.perf_counter_ns()
            fixed_work(turns)
            control.append(time.perf_counter_ns() - begin)
        begin = time.perf_counter_ns()
        answer = gate.review(order, view)
        times.append(time.perf_counter_ns() - begin)
        if answer.approved:
            approved += 1
            gate.on_done(order.client_order_id, now)
    return times, approved


def repeatable(count: int, runs: int = 5) -> float:
    """Return the 99th percentile of checks of which each was made in `runs` equal gates, by its median.

    What interrupts the machine does not hit the same check three times; what the check itself needs does.
    """
    made = []
    for _ in range(runs):
        rng, gate = random.Random(7), busy_gate()
        gc.collect()
        gc.freeze()
        timed_reviews(gate, ORDERS, 1_000, rng)
        made.append(timed_reviews(gate, ORDERS + 1_000, count, rng)[0])
    return percentile([sorted(times)[runs // 2] for times in zip(*made, strict=True)], 0.99)


def rows(quick: bool = False) -> list[dict[str, Any]]:
    """Return the gate's rows of the table."""
    count = 3_000 if quick else 20_000
    rng = random.Random(7)
    gate = busy_gate()
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)  # as a run of the engine sets it
    try:
        warm, _ = timed_reviews(gate, ORDERS, 1_000, rng)
        turns, control = turns_for(int(percentile(warm, 0.5) * 1_000)), []
        first = ORDERS + 1_000
        times, approved = timed_reviews(gate, first, count, rng, turns=turns, control=control)
        after_mark, _ = timed_reviews(gate, first + count, count, rng, marked=True)
        own = repeatable(count)
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
    p50, p99 = percentile(times, 0.5), percentile(times, 0.99)
    steady, jitter = percentile(control, 0.5), percentile(control, 0.99)
    naive = ScanningCheck(gate)
    scans = []
    for n in range(count // 20):
        order = intent(10**9 + n, n % POSITIONS, Side.BUY, D(5), D("0.40"))
        begin = time.perf_counter_ns()
        naive.check(order, D(10_000_000))
        scans.append(time.perf_counter_ns() - begin)
    scan99 = percentile(scans, 0.99)
    marks = []
    for n in range(count):
        begin = time.perf_counter_ns()
        gate.on_mark(f"M{n % POSITIONS}-YES.KALSHI", D("0.39"), D("0.41"))
        marks.append(time.perf_counter_ns() - begin)
    command = "make bench ONLY=gate"
    return [
        {"id": "gate.check_p99_us", "value": p99, "unit": "us", "bar": 50, "better": "lower",
         "against": f"scanning check {scan99:,.0f} us", "command": command},
        {"id": "gate.check_own_p99_us", "value": own, "unit": "us", "bar": None, "better": "lower",
         "against": "each check in five equal gates, its median: without what interrupts the machine",
         "command": command},
        {"id": "gate.check_p50_us", "value": p50, "unit": "us", "bar": None, "better": "lower",
         "against": f"{approved / count:.0%} approved and signed, the others refused", "command": command},
        {"id": "gate.control_p99_us", "value": jitter, "unit": "us", "bar": None, "better": "lower",
         "against": f"fixed arithmetic between the checks, p50 {steady:.1f} us: the machine's own spread",
         "command": command},
        {"id": "gate.check_after_mark_p99_us", "value": percentile(after_mark, 0.99), "unit": "us",
         "bar": None, "better": "lower",
         "against": f"equity moves before each check, p50 {percentile(after_mark, 0.5):.1f} us",
         "command": command},
        {"id": "gate.speedup_vs_scan", "value": scan99 / p99, "unit": "x", "bar": None,
         "better": "higher", "command": command},
        {"id": "gate.mark_p99_us", "value": percentile(marks, 0.99), "unit": "us", "bar": None,
         "better": "lower", "command": command},
    ]  # fmt: skip

"""The paper venue against the engine's own matching: same tape, same taker orders, same fills, fees and payout.

The engine decides what is sent (its gate may refuse); the paper venue gets exactly those orders at the moments
they reached the engine's venue. Resting orders are left out: the two models of a queue differ by design.
"""

import asyncio
import random
from decimal import Decimal

import numpy as np
import pytest

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import FeeSchedule, Side
from core.domain.grid import TickGrid
from core.domain.market import Market, Outcome
from core.engine.backtest import BacktestSpec, run_backtest
from core.engine.catalog import F_LAST, Catalog, CatalogWriter, DeltaColumns
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.engine.strategy import BetaStrategy, StrategyConfig
from core.engine.venues import load_venue

D = Decimal
S = 1_000_000_000
T0 = 1_780_000_000 * S
LATENCY_NS = S // 2
CAPITAL = D(1000)
VENUES = {
    "KALSHI": ("KXO-26NOV21-A", "KXO-26NOV21-A-YES.KALSHI", "KXO-26NOV21-A-NO.KALSHI"),
    "POLYMARKET": ("0x" + "c1" * 32, f"0x{'c1' * 32}-1001.POLYMARKET", f"0x{'c1' * 32}-1002.POLYMARKET"),
}  # fmt: skip
SCHEDULES = {
    "KALSHI": FeeSchedule("KALSHI", kind="quadratic"),
    "POLYMARKET": FeeSchedule("POLYMARKET", rate=D("0.05"), exponent=D(1), kind="curve"),
}


class Script(StrategyConfig):
    """Per step: 0 nothing, 1 buy, 2 sell; outcome; shares; cents beyond the touch; IOC or FOK."""

    steps: tuple[tuple[int, int, int, int, bool], ...]
    outcomes: tuple[str, str]


class Scripted(BetaStrategy):
    """Sends what the script says at each change of the first outcome's book."""

    config_type = Script

    def on_start(self):
        self.step = 0
        self.watch_book(self.config.outcomes[0])

    def on_book(self, iid):
        n, self.step = self.step, self.step + 1
        if n >= len(self.config.steps):
            return
        act, which, shares, beyond, whole = self.config.steps[n]
        target = self.config.outcomes[which]
        level = self.best_ask(target) if act == 1 else self.best_bid(target)
        if act == 0 or level is None:
            return
        tif = TimeInForce.FOK if whole else TimeInForce.IOC
        step = D(beyond) / 100
        if act == 1:
            self.buy(target, D(shares), min(level.price + step, D("0.99")), tif=tif)
        elif self.position(target) > 0:
            quantity = min(self.position(target), D(shares))
            self.sell(target, quantity, max(level.price - step, D("0.01")), tif=tif)


def market_of(venue, payout):
    market_id, yes, no = VENUES[venue]
    return Market(
        venue=venue,
        market_id=market_id,
        question="?",
        outcomes=(Outcome(yes, "Yes", token_id="1001"), Outcome(no, "No", token_id="1002")),
        grid=TickGrid.uniform(D("0.001")),
        fees=SCHEDULES[venue],
        event_id="E",
        close_ns=T0 + 10_000 * S,
    )


def tape(seed, steps):
    """Book changes of the first outcome: ``(step, action, side, price, size)``, bids below 0.45, asks above.

    No price comes back once it was shown: the engine goes on counting what was taken from a level after the
    level was deleted or replaced, the paper venue does not (docs/parity.md).
    """
    rng = np.random.default_rng(seed)
    fresh = {1: rng.permutation(np.arange(400, 450)), 2: rng.permutation(np.arange(451, 501))}
    fresh = {side: prices.tolist() for side, prices in fresh.items()}
    rows, book = [(0, 3, 0, 0, 0)], {1: [], 2: []}

    def add(step, side):
        book[side].append(fresh[side].pop())
        rows.append((step, 0, side, book[side][-1] * 10, int(rng.integers(1, 30)) * 100))

    for side in (1, 2, 1, 2, 1, 2):
        add(0, side)
    for step in range(1, steps):
        side = int(rng.integers(1, 3))
        if rng.random() < 0.4 and len(book[side]) > 2:
            gone = book[side].pop(int(rng.integers(0, len(book[side]))))
            rows.append((step, 2, side, gone * 10, 0))
        else:
            add(step, side)
    return rows


def write(path, venue, rows, payout, end_ns):
    _, yes, no = VENUES[venue]
    with CatalogWriter(path, name="oracle", synthetic=True) as writer:
        writer.markets([market_of(venue, payout)])
        for iid in (yes, no):
            mirrored = iid == no
            ts = np.array([T0 + r[0] * S for r in rows], dtype=np.int64)
            side = np.array([r[2] for r in rows])
            price = np.array([r[3] for r in rows])
            if mirrored:
                side = np.where(side == 0, 0, 3 - side)
                price = np.where(side == 0, 0, 10_000 - price)
            writer.deltas(
                iid,
                DeltaColumns(
                    ts_event=ts,
                    action=np.array([r[1] for r in rows], dtype=np.uint8),
                    side=side.astype(np.uint8),
                    price=price.astype(np.int64),
                    size=np.array([r[4] for r in rows], dtype=np.int64),
                    flags=np.where(np.append(ts[1:] != ts[:-1], True), F_LAST, 0).astype(np.uint8),
                    sequence=np.zeros(len(rows), dtype=np.uint64),
                ),
            )
            writer.closes(iid, end_ns, 1 - payout if mirrored else payout)
    return Catalog.open(path)


async def on_paper(folder, venue, rows, orders, payout, end_ns):
    """Play the tape into a paper venue with the orders at their arrival; return the port."""
    now = [T0]
    rules = load_venue(venue)
    port = PaperPort(
        venue, rules.fee_book(), PaperStore(folder / "paper.sqlite"), lambda: now[0],
        capital=CAPITAL, netted=rules.nets_outcomes, latency_s=0.0,
    )  # fmt: skip
    port.on_market(market_of(venue, payout))
    _, yes, _ = VENUES[venue]
    moments = [(T0 + step * S, 0, step) for step in sorted({r[0] for r in rows})]
    moments += [(o.ts_ns + LATENCY_NS, 1, n) for n, o in enumerate(orders)]
    for at, kind, key in sorted(moments):
        now[0] = at
        if kind == 0:
            batch = [r for r in rows if r[0] == key]
            changes = [(r[2] == 1, D(r[3]) / 10_000, D(r[4]) / 100) for r in batch if r[1] != 3]
            port.on_levels(yes, any(r[1] == 3 for r in batch), changes)
            continue
        o = orders[key]
        intent = OrderIntent(
            client_order_id=o.order_id, strategy_id=o.strategy_id, venue=venue,
            instrument_id=o.instrument_id, market_id=o.market_id, event_id="E", side=Side(o.side),
            quantity=o.quantity, price=o.price, tif=TimeInForce(o.tif), ts_ns=o.ts_ns,
        )  # fmt: skip
        try:
            await port.submit(intent, o.price)
        except Exception as exc:
            assert getattr(exc, "code", "") == "fok_unfilled", exc
    now[0] = end_ns
    port.on_settlement(yes, payout)
    return port


def by_order(rows):
    """Shares by price and the fee of each order."""
    out = {}
    for cid, price, quantity, fee in rows:
        prices, total = out.setdefault(cid, ({}, []))
        prices[price.normalize()] = prices.get(price.normalize(), D(0)) + quantity
        total.append(fee)
    return {cid: (prices, sum(total)) for cid, (prices, total) in out.items()}


def script_of(seed):
    """Return steps that trade one outcome, and the payout.

    One outcome: the paper venue has one book for both, the engine one each, so what an order in one outcome
    takes is still shown in the other there (docs/parity.md).
    """
    rng = random.Random(seed)
    which = rng.randint(0, 1)
    steps = tuple(
        (rng.choice([0, 1, 1, 2]), which, rng.randint(2, 40), rng.randint(0, 4), rng.random() < 0.5)
        for _ in range(rng.randint(10, 40))
    )
    return steps, rng.choice([D(1), D(0), D("0.5")])


CASES = [(venue, seed) for venue in VENUES for seed in range(8)]


@pytest.mark.parametrize(("venue", "seed"), CASES)
def test_paper_and_engine_give_the_same_taker_fills_fees_and_cash(venue, seed, tmp_path):
    steps, payout = script_of(seed)
    rows = tape(seed, len(steps) + 2)
    end_ns = T0 + (len(steps) + 5) * S
    catalog = write(tmp_path / "tape", venue, rows, payout, end_ns)
    result = run_backtest(
        BacktestSpec(
            strategy=f"{__name__}:Scripted",
            params={"steps": steps, "outcomes": VENUES[venue][1:]},
            catalog=catalog.root,
            capital=CAPITAL,
            latency_ms=LATENCY_NS / 1e6,
            limits="research",
        )
    )
    orders = [o for o in result.orders if o.status != "REFUSED"]
    port = asyncio.run(on_paper(tmp_path, venue, rows, orders, payout, end_ns))
    engine = by_order(
        (f.order_id, f.price, f.quantity, f.fee) for f in result.fills if f.role != "settlement"
    )
    paper = by_order(
        (f.client_order_id, f.price, f.quantity, f.fee)
        for f in map(port.fill, port.exchange.executions)
    )
    assert engine
    assert paper == engine
    assert D(port.exchange.account.cash) / 1_000_000 == result.final_cash
    assert not port.exchange.account.positions()

"""Kalshi 15-minute windows of the sample, priced from the spot path.

The maker quotes the probability that the last minute's average ends at or above the strike, 50 ms after each
spot tick, from that tick and a volatility that is up to 10 % wrong; one requote in thirty is missed. The book
is as quick as spot, and fee and spread eat most of what the wrong volatility leaves.
"""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from adapters.kalshi.loaders.terms import TAPERED
from adapters.sample.draws import Draws, normal_probability
from adapters.sample.ladders import Ladder, cents
from adapters.sample.publish import publish
from adapters.sample.schedule import DAY_S, DAYS, ns
from adapters.sample.spot import STEP_S, Coin, Walk, write_ticks
from core.domain.fees import FeeSchedule
from core.domain.market import Event, Market, Outcome
from core.engine.catalog import CatalogWriter

WINDOW_S, WARM_UP_S, QUOTE_EVERY_S = 900, 300, 10
_MAKER_LATENCY_NS = 50_000_000
#: Hour of the window of each day in turn; every third day has none.
_HOURS = (14, 20, None)
_AVERAGE_STEPS = 60 // STEP_S


def write_windows(writer: CatalogWriter, coin: Coin, path: Walk, draws: Draws) -> None:
    """Generate and write two windows in three days and the spot ticks around them."""
    steps = []
    events = []
    for day in range(DAYS):
        hour = _HOURS[day % len(_HOURS)]
        if hour is None:
            continue
        begin_s = day * DAY_S + hour * 3600
        events.append(_window(writer, coin, path, begin_s, draws.child(day)))
        first, every = (begin_s - WARM_UP_S) // STEP_S, QUOTE_EVERY_S // STEP_S
        last = (begin_s + WINDOW_S) // STEP_S
        steps.append(np.arange(first - 1, last, every, dtype=np.int64))
    writer.events(events)
    write_ticks(writer, coin, path, np.concatenate(steps))


def _window(writer: CatalogWriter, coin: Coin, path: Walk, begin_s: int, draws: Draws) -> Event:
    open_step, close_step = begin_s // STEP_S, (begin_s + WINDOW_S) // STEP_S
    strike = round(path.price[open_step - 1] * 100.0) / 100.0
    total = 0.0
    for price in path.price[close_step - _AVERAGE_STEPS : close_step].tolist():
        total += price
    settled = total / _AVERAGE_STEPS
    ladder = _book(path, open_step, close_step, strike, draws)
    ticker = f"SAMPLE15M-{begin_s // DAY_S:02d}{begin_s % DAY_S // 3600:02d}"
    market = Market(
        venue="KALSHI",
        market_id=ticker,
        question=f"[synthetic] BTC at or above {strike:.2f} in 15 minutes?",
        outcomes=(
            Outcome(f"{ticker}-YES.KALSHI", "Yes", "yes"),
            Outcome(f"{ticker}-NO.KALSHI", "No", "no"),
        ),
        grid=TAPERED,
        fees=FeeSchedule("KALSHI", kind="quadratic"),
        event_id=ticker,
        series="SAMPLE15M",
        category="crypto",
        open_ns=ns(begin_s),
        close_ns=ns(begin_s + WINDOW_S),
        strike=Decimal(f"{strike:.2f}"),
        strike_type="greater_or_equal",
        underlying=coin.pair.instrument_id,
        synthetic=True,
        info={"settlement_value": f"{settled:.2f}"},
    )
    publish(writer, market, ladder, settled >= strike, 15)
    return Event("KALSHI", ticker, market.question, (ticker,), category="crypto", synthetic=True)


def _book(path: Walk, open_step: int, close_step: int, strike: float, draws: Draws) -> Ladder:
    ladder = Ladder(draws.child(1), levels=3, depth=(30, 300))
    error = 1.0 + draws.one(-10, 11) / 100.0
    flow = draws.child(2)
    for step in range(open_step, close_step - 1, QUOTE_EVERY_S // STEP_S):
        if step > open_step and flow.chance(33):
            continue
        seen, left = step - 1, close_step - step  # the tick at this second closes the step before
        # Variance of the average over the last minute (see strategies.window_model).
        effective = max(left - _AVERAGE_STEPS * 2.0 / 3.0, left / 3.0)
        deviation = float(path.vol[seen]) * error * strike * _root(effective)
        p = normal_probability((float(path.price[seen]) - strike) / deviation)
        ladder.quote(ns(step * STEP_S) + _MAKER_LATENCY_NS, *cents(p, 1 if flow.chance(600) else 2))
        if flow.chance(250):
            ladder.trade(ns(step * STEP_S + 7), flow.chance(500), flow.one(5, 120))
    return ladder


def _root(value: float) -> float:
    """Return the square root (correctly rounded everywhere by IEEE 754)."""
    return float(np.sqrt(value))

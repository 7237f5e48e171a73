"""What doing something simpler would have given: the strategy has to beat these to be worth its risk."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from core.domain.money import ONE, ZERO
from core.engine.results import RunResult


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One naive alternative on the same capital.

    Attributes
    ----------
    pnl : Decimal
        Dollars it would have made.
    excess : Decimal
        The strategy's P&L minus `pnl`.
    note : str
        How it is computed.
    """

    name: str
    pnl: Decimal
    excess: Decimal
    note: str


def benchmarks(result: RunResult, pnl: Decimal) -> tuple[Benchmark, ...]:
    """Return the alternatives that this run's rows allow to compute exactly."""
    out = [Benchmark("hold cash", ZERO, pnl, "no trade at all")]
    held = held_to_resolution(result)
    if held is not None:
        out.append(
            Benchmark(
                "same buys held to resolution",
                held,
                pnl - held,
                "every buy paid out at its market's payout, nothing sold; buys that earlier sells paid "
                "for are kept",
            )
        )
    hold = buy_and_hold(result)
    if hold is not None:
        out.append(
            Benchmark(
                "buy and hold",
                hold,
                pnl - hold,
                "capital split equally over the traded pairs at their first ask, valued at their "
                "last bid, no fee",
            )
        )
    return tuple(out)


def payouts(result: RunResult) -> dict[str, Decimal]:
    """Return the payout of every instrument of a traded market that resolved."""
    known: dict[str, Decimal] = {}
    for market in result.markets:
        if market.payout is not None and market.instruments:
            first, *others = market.instruments
            known[first] = market.payout
            if len(others) == 1:
                known[others[0]] = ONE - market.payout
    return known


def held_to_resolution(result: RunResult) -> Decimal | None:
    """Return the P&L of this run's buys if none had been sold; None unless every buy's payout is known."""
    known = payouts(result)
    buys = [f for f in result.fills if f.side == "BUY" and f.role != "settlement"]
    if not buys or any(f.instrument_id not in known for f in buys):
        return None
    return sum(((known[f.instrument_id] - f.price) * f.quantity - f.fee for f in buys), ZERO)


def buy_and_hold(result: RunResult) -> Decimal | None:
    """Return the P&L of holding the traded crypto pairs; None when none was traded."""
    binary = {m.market_id for m in result.markets}
    pairs = {
        f.instrument_id
        for f in result.fills
        if f.market_id not in binary or f.market_id == f.instrument_id
    }
    total, counted = ZERO, 0
    for series in result.prices:
        if series.instrument_id not in pairs or series.ts_ns.size < 2:
            continue
        first, last = float(series.ask[0]), float(series.bid[-1])
        if first > 0 and last == last:
            total += Decimal(str(round(last / first - 1.0, 9)))
            counted += 1
    return result.header.capital * total / counted if counted else None

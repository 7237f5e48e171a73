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
                "every buy of a resolved market paid out at its payout, no sell; later buys that "
                "the sells paid for are kept",
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
    """Return the payout of every traded instrument whose market resolved and that can be told.

    Settlement rows name the instrument; the other outcome of a binary market pays the rest of the
    dollar.
    """
    known = {s.instrument_id: s.payout for s in result.settlements}
    by_market = {s.market_id: s for s in result.settlements}
    first = {m.market_id: m.payout for m in result.markets if m.payout is not None}
    for fill in result.fills:
        if fill.instrument_id in known:
            continue
        if fill.market_id in by_market:
            known[fill.instrument_id] = ONE - by_market[fill.market_id].payout
        elif fill.market_id in first and fill.instrument_id.rpartition(".")[0].endswith(
            ("-YES", "-NO")
        ):
            yes = fill.instrument_id.rpartition(".")[0].endswith("-YES")
            known[fill.instrument_id] = (
                first[fill.market_id] if yes else ONE - first[fill.market_id]
            )
    return known


def held_to_resolution(result: RunResult) -> Decimal | None:
    """Return the P&L of this run's buys if none had been sold; None when nothing resolved."""
    known = payouts(result)
    buys = [
        f
        for f in result.fills
        if f.side == "BUY" and f.role != "settlement" and f.instrument_id in known
    ]
    if not buys:
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

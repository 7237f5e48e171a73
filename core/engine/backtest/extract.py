"""From the session of a finished run to its result: rows, per-market money, warnings. No pandas."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal

from core.domain.clock import iso_from_ns
from core.domain.errors import StrategyError
from core.domain.money import ZERO
from core.engine.backtest.header import Started
from core.engine.backtest.universe import Universe
from core.engine.results import FillRow, ForecastRow, MarketRow, MergeRow, OrderRow, RunResult
from core.engine.session import Session
from core.risk.units import dollars, shares


@dataclass(frozen=True)
class Finished:
    """A run whose engine has stopped and whose money was checked."""

    universe: Universe
    session: Session
    seconds: float
    records: int


@dataclass(slots=True)
class _Account:
    """Money of one market."""

    cash: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0


def extract(started: Started, finished: Finished) -> RunResult:
    """Return the result of a finished run.

    Raises
    ------
    StrategyError
        If the rows do not add up to the account.
    """
    session, journal = finished.session, finished.session.journal
    fills = sorted(journal.fills, key=_fill_order)
    settlements = sorted(
        journal.settlements, key=lambda s: (s.ts_ns, s.instrument_id, s.strategy_id)
    )
    markets = market_rows(finished, fills)
    final_cash, final_equity = session.total_cash(), dollars(session.equity_at_bid)
    total = sum((m.pnl for m in markets), ZERO)
    if total != final_equity - started.spec.capital:
        raise StrategyError(
            "the rows of the run do not add up to its account",
            f"{total} against {final_equity - started.spec.capital}",
            "please report this: no figure of this run can be trusted",
        )
    rules = tuple(sorted({f.fee_rule for f in fills if f.role != "settlement"}))
    header = started.header(finished.records, finished.seconds, rules)
    unresolved = [m for m in markets if m.open_quantity > 0 and not m.resolved]
    return RunResult(
        header=replace(header, interrupted=session.failure.interrupted),
        orders=order_rows(session),
        fills=fills,
        settlements=settlements,
        forecasts=forecast_rows(session),
        markets=markets,
        equity=session.curve.curve(),
        prices=[
            sampler.series()
            for iid, sampler in sorted(session.prices.items())
            if iid in {f.instrument_id for f in fills}
        ],
        warnings=warnings(finished, unresolved),
        decision_hash=journal.hash.hexdigest(),
        final_cash=final_cash,
        final_equity=final_equity,
        fees_paid=sum((f.fee for f in fills), ZERO),
        unresolved=unresolved,
        merged=sum((pairs for _, _, _, pairs, _ in journal.merges), ZERO),
        merges=[MergeRow(*merge) for merge in journal.merges],
    )


def _fill_order(fill: FillRow) -> tuple[int, bool]:
    """Sort by time, settlement legs last; the engine's own order is kept otherwise."""
    return fill.ts_ns, fill.role == "settlement"


def order_rows(session: Session) -> list[OrderRow]:
    """Return all orders, refused ones included, in the order in which they were asked for."""
    arrivals = session.journal.arrivals
    return [a if isinstance(a, OrderRow) else a.row() for a in arrivals]


def forecast_rows(session: Session) -> list[ForecastRow]:
    """Return the forecasts joined to what happened."""
    payouts = {iid: float(p) for iid, p in session.payouts.items()}
    return [
        replace(row, outcome=payouts[row.instrument_id]) if row.instrument_id in payouts else row
        for row in session.journal.forecasts
    ]


def market_rows(finished: Finished, fills: list[FillRow]) -> list[MarketRow]:
    """Return what each traded market did to the account, in exact dollars."""
    session = finished.session
    accounts: dict[str, _Account] = {}
    reasons: dict[str, Counter[str]] = {}
    exits: set[tuple[str, str]] = set()
    for fill in fills:
        account = accounts.setdefault(fill.market_id, _Account())
        account.cash -= fill.signed_quantity * fill.price + fill.fee
        account.fees += fill.fee
        account.fills += fill.role != "settlement"
        if fill.side == "SELL" and (fill.market_id, fill.order_id) not in exits:
            exits.add((fill.market_id, fill.order_id))
            reasons.setdefault(fill.market_id, Counter())[fill.reason or "sold"] += 1
    for _, _, market_id, pairs, _ in session.journal.merges:
        accounts[market_id].cash += pairs
        reasons.setdefault(market_id, Counter())["merge"] += 1
    by_id = {m.market_id: m for m in session.markets.values()}
    open_quantity, open_value = _open(session)
    rows = []
    for market_id in sorted(accounts):
        market, account = by_id[market_id], accounts[market_id]
        paid = [session.payouts.get(o.instrument_id) for o in market.outcomes]
        rows.append(
            MarketRow(
                market_id=market_id,
                venue=market.venue,
                question=market.question,
                fills=account.fills,
                pnl=account.cash + open_value.get(market_id, ZERO),
                fees=account.fees,
                resolved=any(p is not None for p in paid),
                payout=_first_payout(paid),
                open_quantity=open_quantity.get(market_id, ZERO),
                open_value=open_value.get(market_id, ZERO),
                exit_reasons=dict(sorted(reasons.get(market_id, Counter()).items())),
                instruments=tuple(o.instrument_id for o in market.outcomes),
            )
        )
    return rows


def _first_payout(paid: list[Decimal | None]) -> Decimal | None:
    """Return the payout of the first outcome, from the second one where only that is known."""
    if paid[0] is not None or len(paid) != 2 or paid[1] is None:
        return paid[0]
    return Decimal(1) - paid[1]


def _open(session: Session) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Return shares left and their value at the bid, by market."""
    quantity: dict[str, Decimal] = {}
    value: dict[str, Decimal] = {}
    for iid, held in session.gate.book.held.items():
        market_id = session.markets[iid].market_id
        quantity[market_id] = quantity.get(market_id, ZERO) + shares(held)
        value[market_id] = value.get(market_id, ZERO) + dollars(session.values.get(iid, 0))
    return quantity, value


def warnings(finished: Finished, unresolved: list[MarketRow]) -> list[str]:
    """Return what a reader must know, most important first."""
    session, universe = finished.session, finished.universe
    out = []
    if session.failure.interrupted:
        out.append("Interrupted: the run ended before its data did.")
    if unresolved:
        value = sum((m.open_value for m in unresolved), ZERO)
        out.append(
            f"{len(unresolved)} market(s) end unresolved with ${value} of open positions at the bid: "
            "their profit is not final."
        )
    denied = [r for r in session.journal.orders.values() if r.status == "DENIED"]
    if denied:
        out.append(
            f"{len(denied)} order(s) passed the gate but were denied by the engine "
            f"(first: {denied[0].code})."
        )
    rejected = Counter(r.code for r in session.journal.orders.values() if r.status == "REJECTED")
    for reason, count in rejected.most_common(3):
        out.append(f"{count} order(s) rejected by the venue: {reason}")
    for code, count in sorted(session.journal.refusals.items(), key=lambda kv: -kv[1]):
        out.append(f"{count} order(s) refused by the gate: {code}")
    if session.refilled:
        out.append(
            f"{session.refilled} share(s) of crossing GTC orders were filled as maker from levels they "
            "had crossed: send IOC for what is there and rest the remainder at a price of its own."
        )
    out += _about_data(universe, bool(session.journal.orders))
    out.extend(universe.catalog.meta.notes)
    return out


def _about_data(universe: Universe, ordered: bool) -> list[str]:
    """Return what the data lacks, and how orders fill for that reason."""
    out = []
    meta = universe.catalog.meta
    if universe.start_ns < meta.full_from_ns:
        bars = (
            f", before {iso_from_ns(meta.minutes_from_ns)} hourly bars"
            if (universe.start_ns < meta.minutes_from_ns)
            else ""
        )
        out.append(
            f"THINNED: the data before {iso_from_ns(meta.full_from_ns)} was thinned by beta data clean to top of "
            f"book by the minute and trades{bars}: markets with books since have none there, and fills are "
            "coarser than the market was. Run with "
            f"--period {iso_from_ns(meta.full_from_ns)}: for the part that is whole."
        )
    if universe.left_out:
        out.append(
            f"{len(universe.left_out)} instrument(s) of which beta data clean left hourly bars only are not part "
            f"of this run: {', '.join(universe.left_out[:3])}..."
        )
    sources = Counter(
        r.source.value
        for r in universe.references
        if r.venue in universe.venues and r.iid not in universe.at_close
    )
    if "quotes" in sources:
        out.append(
            f"{sources['quotes']} instrument(s) have top of book only: fills are capped at the shown size."
        )
    if "trades" in sources:
        count = sources["trades"]
        out.append(
            f"{count} instrument(s) have trades only: fills are at the last traded price, without a spread, so "
            "taking is cheaper here than it was."
            if ordered
            else f"{count} instrument(s) have trades only: no bid or ask is known and none is made up, so a "
            "strategy that reads them does not act. Use data with quotes or books (docs/backtest.md)."
        )
    if universe.at_close:
        names = ", ".join(sorted(universe.at_close)[:5])
        out.append(
            f"{len(universe.at_close)} spot pair(s) fill at the close of their bars, up to the bar's volume "
            f"and without a spread, because other pairs of the venue have trades: {names}"
        )
    return out

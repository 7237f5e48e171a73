"""Set ``kalshi_trades_2025-11``: every public trade of settled sports, esports and crypto markets.

A trade is written on both outcomes: buying YES at p is selling NO at 1 - p. There are no books in this set,
so a backtest on it fills at traded prices.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.kalshi.loaders.terms import CENT, FEE_NOTE, assumed_fees, outcomes
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.market import Event, Market
from core.engine.catalog import Aggressor, TradeColumns
from core.engine.catalog.replay import Int64

_TRADES: dict[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "ticker": pl.String,
    "yes_price": pl.Float64,
    "count": pl.Float64,
    "taker_side": pl.String,
    "trade_id": pl.String,
}
_MARKETS: dict[str, Any] = {
    "ticker": pl.String,
    "event_ticker": pl.String,
    "category": pl.String,
    "close_time": pl.String,
    "result": pl.String,
    "settlement_value": pl.String,
    "title": pl.String,
    "series_ticker": pl.String,
}
ONE = 10_000
#: The set has no settlement times.
SETTLED_AFTER_NS = 3_600 * NS_PER_SECOND


def load(job: IngestJob) -> None:
    """Import the set into the catalog of `job`."""
    trades = read_frame(job.source, "trades", _TRADES)
    described = read_frame(job.source, "markets", _MARKETS)
    job.read("trades", len(trades))
    job.read("markets", len(described))
    rows = {row["ticker"]: row for row in described.iter_rows(named=True)}
    good, price, size = _check_rows(job, trades)
    ts, _ = nanoseconds(trades, "ts")
    ticker = trades["ticker"].fill_null("").to_numpy()
    buys_yes = (trades["taker_side"] == "yes").fill_null(False).to_numpy()
    ids = trades["trade_id"].to_numpy()
    events: dict[str, list[Market]] = {}
    groups: dict[str, list[int]] = {}
    for row in good.tolist():
        groups.setdefault(str(ticker[row]), []).append(row)
    for name, members in sorted(groups.items()):
        index = np.array(members, dtype=np.int64)
        index = index[np.argsort(ts[index], kind="stable")]
        if name not in rows:
            job.issues.add(
                Issue.UNKNOWN_MARKET,
                Fate.DROPPED,
                file="trades",
                row=int(index.min()),
                subject=name,
                rows=len(index),
            )
            continue
        market = _market(rows[name])
        columns = _columns(ts[index], price[index], size[index], buys_yes[index], ids[index])
        for outcome, own in zip(market.outcomes, columns, strict=True):
            job.writer.trades(outcome.instrument_id, own)
        _finish(job, market, rows[name], ts[index], index)
        events.setdefault(market.event_id, []).append(market)
    for name in sorted(set(rows) - set(groups)):
        job.issues.add(Issue.NO_DATA, Fate.DROPPED, file="markets", subject=name)
    job.writer.events(
        Event(
            "KALSHI",
            key,
            group[0].question,
            tuple(m.market_id for m in group),
            category=group[0].category,
        )
        for key, group in sorted(events.items())
    )
    _lean(job, rows, ticker, price, good)
    job.note(FEE_NOTE)
    job.note(
        "Kalshi trades 2025-11: settlement times were not recorded, one hour after the close is used."
    )


def _check_rows(job: IngestJob, frame: pl.DataFrame) -> tuple[Int64, Int64, Int64]:
    """Return the good rows, prices and sizes; everything else is reported."""
    price, price_nan, price_off = ticks_of(floats(frame, "yes_price"), 4)
    size, size_nan, size_off = ticks_of(floats(frame, "count"), 2)
    _, no_time = nanoseconds(frame, "ts")
    ids = frame["trade_id"]
    bad = np.zeros(len(frame), dtype=bool)
    for code, mask in (
        (Issue.BAD_TIME, no_time),
        (Issue.NOT_A_NUMBER, price_nan | size_nan),
        (Issue.OFF_PRECISION, (price_off & ~price_nan) | (size_off & ~size_nan)),
        (Issue.BAD_PRICE, ~price_nan & ((price <= 0) | (price >= ONE))),
        (Issue.BAD_SIZE, ~size_nan & (size <= 0)),
        (Issue.BAD_SIDE, ~frame["taker_side"].fill_null("").is_in(["yes", "no"]).to_numpy()),
        (Issue.DUPLICATE, ~ids.is_first_distinct().to_numpy()),
    ):
        for at in np.flatnonzero(mask & ~bad).tolist():
            job.issues.add(
                code,
                Fate.DROPPED,
                file="trades",
                row=at,
                subject=str(frame["ticker"][at]),
                seen=str(frame.select("yes_price", "count", "taker_side").row(at)),
            )
        bad |= mask
    off_grid = ~bad & (price % 100 != 0)
    job.issues.mask(
        Issue.OFF_GRID,
        Fate.KEPT,
        off_grid,
        file="trades",
        subject=frame["ticker"].to_list(),
        seen=price,
    )
    return np.flatnonzero(~bad), price, size


def _columns(
    ts: Int64, price: Int64, size: Int64, buys_yes: Any, ids: Any
) -> tuple[TradeColumns, TradeColumns]:
    names = [str(i) for i in ids]
    taker = np.where(buys_yes, np.uint8(Aggressor.BUY), np.uint8(Aggressor.SELL))
    other = np.where(buys_yes, np.uint8(Aggressor.SELL), np.uint8(Aggressor.BUY))
    return (
        TradeColumns(ts_event=ts, price=price, size=size, aggressor=taker, trade_id=names),
        TradeColumns(ts_event=ts, price=ONE - price, size=size, aggressor=other, trade_id=names),
    )


def _market(row: dict[str, Any]) -> Market:
    ticker, close_ns = row["ticker"], _close_ns(row)
    return Market(
        venue="KALSHI",
        market_id=ticker,
        question=row["title"] or ticker,
        outcomes=outcomes(ticker),
        grid=CENT,
        fees=assumed_fees(row["series_ticker"] or ""),
        event_id=row["event_ticker"] or ticker,
        series=row["series_ticker"] or "",
        category=(row["category"] or "").lower(),
        # A game closes when it is over: such a time was not known before. Whole minutes are schedules.
        close_ns=close_ns if close_ns % (60 * NS_PER_SECOND) == 0 else 0,
    )


def _close_ns(row: dict[str, Any]) -> int:
    return ns_from_iso(row["close_time"]) if row["close_time"] else 0


def _finish(job: IngestJob, market: Market, row: dict[str, Any], ts: Int64, index: Int64) -> None:
    close_ns, last_ns = _close_ns(row), int(ts[-1])
    if close_ns:
        job.issues.mask(
            Issue.AFTER_CLOSE,
            Fate.KEPT,
            ts > close_ns,
            file="trades",
            rows=index,
            subject=market.market_id,
            seen=ts,
        )
    for outcome in market.outcomes:
        if close_ns:
            job.writer.statuses(outcome.instrument_id, [(close_ns, "CLOSE", "close time")])
    stated = {"yes": "100", "no": "0"}.get(row["result"] or "")
    if stated is None or row["settlement_value"] not in (stated, None, ""):
        if stated is not None:
            job.issues.add(
                Issue.CONFLICT,
                Fate.DROPPED,
                file="markets",
                subject=market.market_id,
                seen=f"result {row['result']}, value {row['settlement_value']}",
            )
        job.add_market(market)
        return
    settled = max(close_ns, last_ns) + SETTLED_AFTER_NS
    job.settle(market, settled, Decimal(int(row["result"] == "yes")))


def _lean(job: IngestJob, rows: dict[str, Any], ticker: Any, price: Int64, good: Int64) -> None:
    """Note how often the last traded price leaned to the result: a sign that both are of the same market."""
    checked = leaned = 0
    last: dict[str, tuple[int, int]] = {}
    for row in good.tolist():
        count, _ = last.get(str(ticker[row]), (0, 0))
        last[str(ticker[row])] = (count + 1, int(price[row]))
    for name, (count, final) in last.items():
        if count >= 5 and name in rows and rows[name]["result"] in ("yes", "no"):
            checked += 1
            leaned += (final > ONE // 2) == (rows[name]["result"] == "yes")
    if checked:
        job.note(
            f"The last traded price leaned to the result in {leaned} of {checked} markets with five "
            "trades or more."
        )

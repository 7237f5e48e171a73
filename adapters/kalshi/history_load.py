"""A Kalshi download to a catalog: markets with terms and settlements, trades, bars and quotes of candles.

Every row of the venue is about YES; NO is its mirror (price 1 - p, the other aggressor).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from adapters.download import RawStore, StoredRow
from adapters.download.build import building
from adapters.download.rows import (
    Rejected,
    Repairs,
    accepted,
    exact_ticks,
    mapping,
    price_ticks,
    size_ticks,
)
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob, Progress, silent
from adapters.history.report import IngestReport
from adapters.kalshi.history import IDENTITY
from adapters.kalshi.history_markets import event_from_payload, market_from_payload
from adapters.kalshi.history_rows import (
    FINAL,
    events_of,
    markets_of,
    seconds_of,
    series_of_markets,
)
from adapters.kalshi.parsing import payouts
from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import BetaError, UsageError, VenueError
from core.domain.market import Market
from core.engine.catalog import (
    PRICE_PRECISION,
    SIZE_PRECISION,
    Aggressor,
    BarColumns,
    QuoteColumns,
    TradeColumns,
)

ORIGIN = "Kalshi public API, beta data fetch"
ONE = 10**PRICE_PRECISION
SPECS = {"1m": "1-MINUTE", "1h": "1-HOUR", "1d": "1-DAY"}
#: Side of the taker on the YES book, by the words of the payload's generations.
TAKER: dict[str, int] = {
    "bid": Aggressor.BUY,
    "ask": Aggressor.SELL,
    "yes": Aggressor.BUY,
    "no": Aggressor.SELL,
}
EARLY_CLOSE_NOTE = "Kalshi: close times of markets that can close early are the actual ones, known only afterwards."


def build(
    raw: Path, target: Path, *, assumed_size: Decimal, progress: Progress = silent
) -> IngestReport:
    """Make the catalog `target` of everything downloaded into `raw`."""
    with RawStore(raw, IDENTITY) as store:
        return building(
            "kalshi_history",
            ORIGIN,
            raw,
            target,
            progress,
            lambda job: load(job, store, assumed_size),
        )


def load(job: IngestJob, store: RawStore, assumed_size: Decimal) -> None:
    """Write markets, settlements, trades and candles of a download."""
    payloads = markets_of(store)
    series = {
        row.value["ticker"]: row.value
        for row in store.rows("series")
        if isinstance(row.value, dict) and isinstance(row.value.get("ticker"), str)
    }
    changes = [r.value for r in store.rows("fee_changes") if isinstance(r.value, dict)]
    events, series_by_market = events_of(store), series_of_markets(store)
    markets: dict[str, Market] = {}
    for ticker, payload in sorted(payloads.items()):
        own = series.get(series_by_market.get(ticker, ""))
        event = events.get(str(payload.get("event_ticker")))
        if own is None:
            _skip(job, ticker, "its series is not known")
            continue
        try:
            market = market_from_payload(payload, own, event, changes)
        except BetaError as exc:
            _skip(job, ticker, str(exc))
            continue
        markets[ticker] = market
        _settle(job, market, payload)
    for event_ticker, event in sorted(events.items()):
        held = [m.market_id for m in markets.values() if m.event_id == event_ticker]
        if held:
            job.writer.events([event_from_payload(event, held)])
    if any(m.info["can_close_early"] == "true" for m in markets.values()):
        job.note(EARLY_CLOSE_NOTE)
    repairs = Repairs(job)
    _write_trades(job, store, markets, repairs)
    _write_candles(job, store, markets, assumed_size)
    repairs.close()


def _skip(job: IngestJob, ticker: str, why: str) -> None:
    job.issues.add(Issue.UNKNOWN_MARKET, Fate.DROPPED, file="markets", subject=ticker, seen=why)


def _settle(job: IngestJob, market: Market, payload: Mapping[str, Any]) -> None:
    if payload.get("status") not in FINAL or not payload.get("result"):
        job.add_market(market)
        return
    value = payload.get("settlement_value_dollars")
    try:
        first, _ = payouts(str(payload["result"]), None if value is None else Decimal(str(value)))
        ts_ns = ns_from_iso(str(payload.get("settlement_ts")))
    except (VenueError, UsageError, ArithmeticError) as exc:
        job.issues.add(
            Issue.CONFLICT, Fate.KEPT, file="markets", subject=market.market_id, seen=str(exc)
        )
        job.add_market(market)
        return
    ticks, exact = exact_ticks(first, PRICE_PRECISION)
    if not exact:
        job.issues.add(
            Issue.OFF_PRECISION, Fate.REPAIRED, file="markets", subject=market.market_id, seen=first
        )
    job.settle(market, max(ts_ns, market.close_ns), Decimal(ticks).scaleb(-PRICE_PRECISION))


# -- trades -----------------------------------------------------------------------------------


def _write_trades(
    job: IngestJob, store: RawStore, markets: Mapping[str, Market], repairs: Repairs
) -> None:
    keys, blocks = store.keys("trades"), 0
    for done, ticker in enumerate(keys):
        job.progress("trades", done, len(keys))
        market = markets.get(ticker)
        if market is None:
            rows = sum(1 for _ in store.rows("trades", ticker))
            job.issues.add(
                Issue.UNKNOWN_MARKET, Fate.DROPPED, file="trades", subject=ticker, rows=rows
            )
            continue
        found = accepted(job, store.rows("trades", ticker), lambda row: _trade(row, repairs))
        unique = {trade[1]: trade for trade in found}
        if len(unique) < len(found):
            job.issues.add(
                Issue.DUPLICATE,
                Fate.DROPPED,
                file="trades",
                subject=ticker,
                rows=len(found) - len(unique),
            )
        trades = sorted(t for t in unique.values() if t[4] != Aggressor.NONE)
        blocks += len(unique) - len(trades)
        if trades:
            for outcome, columns in zip(market.outcomes, _trade_columns(trades), strict=True):
                job.writer.trades(outcome.instrument_id, columns)
    if blocks:
        job.note(f"Kalshi: {blocks} block trades left out; they never met the book.")


Trade = tuple[int, str, int, int, int]


def _trade(row: StoredRow, repairs: Repairs) -> Trade | None:
    """Return (time, id, YES price, size, aggressor) of a trade row; None outside its period."""
    trade = mapping(row)
    try:
        ts_ns = ns_from_iso(str(trade.get("created_time")))
    except UsageError:
        raise Rejected(Issue.BAD_TIME, trade.get("created_time")) from None
    if not row.start_s <= ts_ns // NS_PER_SECOND < row.end_s:
        return None
    price, fine = price_ticks(trade.get("yes_price_dollars"), PRICE_PRECISION, ONE)
    size, whole = size_ticks(trade.get("count_fp", trade.get("count")), SIZE_PRECISION)
    if not (fine and whole):
        repairs.note(row, trade)
    word = next(
        (trade[n] for n in ("taker_book_side", "taker_outcome_side", "taker_side") if trade.get(n)),
        None,
    )
    if word not in TAKER:
        raise Rejected(Issue.BAD_SIDE, word)
    aggressor = Aggressor.NONE if trade.get("is_block_trade") else TAKER[word]
    identity = trade.get("trade_id")
    if not isinstance(identity, str) or not 0 < len(identity) <= 36:
        raise Rejected(Issue.NOT_A_NUMBER, identity)
    return ts_ns, identity, price, size, int(aggressor)


def _trade_columns(trades: list[Trade]) -> list[TradeColumns]:
    """Return the trades of YES and of NO."""
    ts, price, size = (np.array([t[i] for t in trades], dtype=np.int64) for i in (0, 2, 3))
    side = np.array([t[4] for t in trades], dtype=np.uint8)
    ids = [t[1] for t in trades]
    other = np.where(side == Aggressor.BUY, Aggressor.SELL, Aggressor.BUY).astype(np.uint8)
    return [
        TradeColumns(ts_event=ts, price=price, size=size, aggressor=side, trade_id=ids),
        TradeColumns(ts_event=ts, price=ONE - price, size=size, aggressor=other, trade_id=ids),
    ]


# -- candles ----------------------------------------------------------------------------------


def _write_candles(
    job: IngestJob, store: RawStore, markets: Mapping[str, Market], assumed_size: Decimal
) -> None:
    keys = store.keys("candles")
    size = int(assumed_size.scaleb(SIZE_PRECISION))
    quoted = False
    for done, key in enumerate(keys):
        job.progress("candles", done, len(keys))
        ticker, _, interval = key.rpartition(":")
        market = markets.get(ticker)
        if market is None:
            continue  # reported with the market itself
        found = accepted(job, store.rows("candles", key), _candle)
        candles = [c for _, c in sorted({c[0]: c for c in found}.items())]
        for own, outcome in enumerate(market.outcomes):
            bars = _bars([c for c in candles if c[1] is not None], own)
            if bars is not None:
                job.writer.bars(f"{outcome.instrument_id}-{SPECS[interval]}-LAST-EXTERNAL", bars)
            quotes = _quotes(candles, own, size)
            if quotes is not None:
                job.writer.quotes(outcome.instrument_id, quotes)
                quoted = True
    if quoted:
        job.note(
            f"Kalshi candles give no sizes: every quote at the end of a candle is assumed to hold "
            f"{assumed_size} contracts a side."
        )


Candle = tuple[int, tuple[int, int, int, int, int] | None, int, int]


def _candle(row: StoredRow) -> Candle | None:
    """Return (end, open high low close volume of trades or None, bid, ask) of a candle."""
    candle = mapping(row)
    end_s = seconds_of(candle.get("end_period_ts"))
    if not end_s:
        raise Rejected(Issue.BAD_TIME, candle.get("end_period_ts"))
    if not row.start_s <= end_s <= row.end_s:
        return None
    prices = [dollars(candle.get("price"), name) for name in ("open", "high", "low", "close")]
    bid, ask = (dollars(candle.get(side), "close") for side in ("yes_bid", "yes_ask"))
    quote = (_level(bid, 0), _level(ask, ONE))
    if quote[0] >= quote[1]:
        raise Rejected(Issue.CROSSED, f"{bid} / {ask}")
    volume, _ = exact_ticks(candle.get("volume_fp", candle.get("volume", 0)), SIZE_PRECISION)
    if None in prices or not volume:
        return end_s, None, *quote
    opened, high, low, closed = (price_ticks(p, PRICE_PRECISION, ONE)[0] for p in prices)
    if not low <= min(opened, closed) <= max(opened, closed) <= high:
        raise Rejected(Issue.BAD_PRICE, prices)
    return end_s, (opened, high, low, closed, volume), *quote


def dollars(prices: Any, name: str) -> Any:
    """Return a candle price in dollars: ``close_dollars``, archived ``close`` text, or old cents."""
    if not isinstance(prices, Mapping):
        return None
    value = prices.get(f"{name}_dollars", prices.get(name))
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value).scaleb(-2)
    return value


def _level(value: Any, absent: int) -> int:
    if value is None:
        return absent
    ticks, _ = exact_ticks(value, PRICE_PRECISION)
    if not 0 <= ticks <= ONE:
        raise Rejected(Issue.BAD_PRICE, value)
    return ticks


def _bars(candles: list[Candle], own: int) -> BarColumns | None:
    if not candles:
        return None
    table = np.array([c[1] for c in candles], dtype=np.int64)
    opened, high, low, closed, volume = table.T
    if own:
        opened, high, low, closed = ONE - opened, ONE - low, ONE - high, ONE - closed
    ts = np.array([c[0] for c in candles], dtype=np.int64) * NS_PER_SECOND
    return BarColumns(ts_event=ts, open=opened, high=high, low=low, close=closed, volume=volume)


def _quotes(candles: list[Candle], own: int, size: int) -> QuoteColumns | None:
    if not candles:
        return None
    bid = np.array([c[2] for c in candles], dtype=np.int64)
    ask = np.array([c[3] for c in candles], dtype=np.int64)
    if own:
        bid, ask = ONE - ask, ONE - bid
    return QuoteColumns(
        ts_event=np.array([c[0] for c in candles], dtype=np.int64) * NS_PER_SECOND,
        bid=bid,
        ask=ask,
        bid_size=np.where(bid > 0, size, 0),
        ask_size=np.where(ask < ONE, size, 0),
    )

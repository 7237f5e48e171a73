"""A Polymarket download to a catalog: markets with settlements, trades per token, price points as bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from adapters.download import RawStore, StoredRow
from adapters.download.build import building
from adapters.download.rows import Rejected, Repairs, accepted, mapping, price_ticks, size_ticks
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob, Progress, silent
from adapters.history.report import IngestReport
from adapters.polymarket.history import IDENTITY
from adapters.polymarket.history_rows import events_of, markets_of
from adapters.polymarket.markets import event_from_gamma, market_from_gamma, resolution_of
from core.domain.clock import NS_PER_SECOND
from core.domain.errors import BetaError
from core.domain.market import Market
from core.engine.catalog import (
    PRICE_PRECISION,
    SIZE_PRECISION,
    Aggressor,
    BarColumns,
    TradeColumns,
)

ORIGIN = "Polymarket public API, beta data fetch"
ONE = 10**PRICE_PRECISION
SPECS = {"1m": "1-MINUTE", "5m": "5-MINUTE", "15m": "15-MINUTE", "1h": "1-HOUR", "1d": "1-DAY"}
SIDES: dict[str, int] = {"BUY": Aggressor.BUY, "SELL": Aggressor.SELL}
POINTS_NOTE = (
    "Polymarket price points are written as flat bars (open = high = low = close, no volume) dated to "
    "the point's own time; they are neither bids nor asks."
)
#: Sizes have up to six decimals on chain; the catalog keeps two.
SIZES_NOTE = "Polymarket trade sizes are rounded down to 0.01 shares."


def build(raw: Path, target: Path, *, progress: Progress = silent) -> IngestReport:
    """Make the catalog `target` of everything downloaded into `raw`."""
    with RawStore(raw, IDENTITY) as store:
        return building(
            "polymarket_history", ORIGIN, raw, target, progress, lambda job: load(job, store)
        )


def load(job: IngestJob, store: RawStore) -> None:
    """Write markets, settlements, trades and price points of a download."""
    events = events_of(store)
    markets: dict[str, Market] = {}
    for condition, payload in sorted(markets_of(store).items()):
        own = payload.get("_event") or {}
        try:
            market = market_from_gamma(payload, own)
        except BetaError as exc:
            job.issues.add(
                Issue.UNKNOWN_MARKET, Fate.DROPPED, file="markets", subject=condition, seen=str(exc)
            )
            continue
        markets[condition] = market
        events.setdefault(market.event_id, own)
        _settle(job, market, payload)
    for event_id, event in sorted(events.items()):
        held = [m.market_id for m in markets.values() if event_id and m.event_id == event_id]
        if held:
            job.writer.events([event_from_gamma(event, held)])
    repairs = Repairs(job)
    _write_trades(job, store, markets, repairs)
    _write_points(job, store, markets, repairs)
    repairs.close()


def _settle(job: IngestJob, market: Market, payload: Mapping[str, Any]) -> None:
    resolution = resolution_of(payload)
    if resolution is None or len(market.outcomes) != 2:
        if payload.get("closed"):
            job.issues.add(
                Issue.CONFLICT,
                Fate.KEPT,
                file="markets",
                subject=market.market_id,
                seen=f"closed without a clean payout: {payload.get('outcomePrices')} "
                f"{payload.get('umaResolutionStatus')}",
            )
        job.add_market(market)
        return
    job.settle(market, resolution.ts_ns, resolution.payouts[0])


Trade = tuple[int, str, int, int, int]


def _write_trades(
    job: IngestJob, store: RawStore, markets: Mapping[str, Market], repairs: Repairs
) -> None:
    keys = store.keys("trades")
    for done, condition in enumerate(keys):
        job.progress("trades", done, len(keys))
        market = markets.get(condition)
        if market is None:
            lost = sum(1 for _ in store.rows("trades", condition))
            job.issues.add(
                Issue.UNKNOWN_MARKET, Fate.DROPPED, file="trades", subject=condition, rows=lost
            )
            continue
        found = accepted(job, store.rows("trades", condition), lambda row: _trade(row, repairs))
        # The feed is newest first: of one second, later rows happened earlier.
        found.reverse()
        found.sort(key=lambda trade: trade[0])
        for outcome in market.outcomes:
            own = [trade for trade in found if trade[1] == outcome.token_id]
            if own:
                job.writer.trades(outcome.instrument_id, _trade_columns(own))
        strangers = {t[1] for t in found} - {o.token_id for o in market.outcomes}
        for token in sorted(strangers):
            count = sum(1 for t in found if t[1] == token)
            job.issues.add(
                Issue.UNKNOWN_MARKET,
                Fate.DROPPED,
                file="trades",
                subject=condition,
                seen=token,
                rows=count,
            )
    if keys:
        job.note(SIZES_NOTE)


def _trade(row: StoredRow, repairs: Repairs) -> Trade | None:
    """Return (second, token, price, size, aggressor); None outside its period."""
    trade = mapping(row)
    ts_s = trade.get("timestamp")
    if not isinstance(ts_s, int) or isinstance(ts_s, bool) or ts_s <= 0:
        raise Rejected(Issue.BAD_TIME, ts_s)
    if not row.start_s <= ts_s < row.end_s:
        return None
    side = str(trade.get("side") or "").upper()
    if side not in SIDES:
        raise Rejected(Issue.BAD_SIDE, trade.get("side"))
    price, fine = price_ticks(trade.get("price"), PRICE_PRECISION, ONE)
    size, whole = size_ticks(trade.get("size"), SIZE_PRECISION)
    if not (fine and whole):
        repairs.note(row, f"{trade.get('size')} @ {trade.get('price')}")
    return ts_s, str(trade.get("token_id")), price, size, SIDES[side]


def _trade_columns(trades: list[Trade]) -> TradeColumns:
    ts, price, size = (np.array([t[i] for t in trades], dtype=np.int64) for i in (0, 2, 3))
    side = np.array([t[4] for t in trades], dtype=np.uint8)
    return TradeColumns(ts_event=ts * NS_PER_SECOND, price=price, size=size, aggressor=side)


def _write_points(
    job: IngestJob, store: RawStore, markets: Mapping[str, Market], repairs: Repairs
) -> None:
    tokens = {o.token_id: o.instrument_id for m in markets.values() for o in m.outcomes}
    keys = store.keys("prices")
    for done, key in enumerate(keys):
        job.progress("prices", done, len(keys))
        token, _, interval = key.rpartition(":")
        found = accepted(job, store.rows("prices", key), lambda row: _point(row, repairs))
        points = sorted(dict(found).items())
        if token not in tokens or not points:
            continue
        ts, price = (np.array([p[i] for p in points], dtype=np.int64) for i in (0, 1))
        flat = BarColumns(
            ts_event=ts * NS_PER_SECOND,
            open=price,
            high=price,
            low=price,
            close=price,
            volume=np.zeros(len(points), dtype=np.int64),
        )
        job.writer.bars(f"{tokens[token]}-{SPECS[interval]}-LAST-EXTERNAL", flat)
    if keys:
        job.note(POINTS_NOTE)


def _point(row: StoredRow, repairs: Repairs) -> tuple[int, int] | None:
    """Return (second, price) of a Data v2 (``timestamp``, ``price``) or CLOB (``t``, ``p``) point."""
    point = mapping(row)
    ts_s = point.get("timestamp", point.get("t"))
    if not isinstance(ts_s, int) or isinstance(ts_s, bool) or ts_s <= 0:
        raise Rejected(Issue.BAD_TIME, ts_s)
    if not row.start_s <= ts_s < row.end_s:
        return None
    value = point.get("price", point.get("p"))
    price, fine = price_ticks(value, PRICE_PRECISION, ONE)
    if not fine:
        repairs.note(row, value)
    return ts_s, price

"""Rows of one market in a user's table to catalog columns, kind by kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.history.levels import book_from_sizes, mirrored
from adapters.history.quotes import ONE, crossed, mirrored_quotes, quote_columns
from adapters.history.tabular.read import numbers, times
from core.domain.clock import NS_PER_SECOND
from core.domain.errors import UsageError
from core.domain.market import Market
from core.engine.catalog import (
    Aggressor,
    BarColumns,
    DeltaColumns,
    Pair,
    QuoteColumns,
    TradeColumns,
)
from core.engine.catalog.crosses import without_crosses
from core.engine.catalog.replay import Int64, Mask

Parts = dict[int, pl.DataFrame]
Troubles = Sequence[tuple[Issue, Mask]]
_STEPS = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400}


def write_trades(job: IngestJob, market: Market, parts: Parts, file: str) -> None:
    """Write trades; with rows of one outcome only, the other one gets their mirror image."""
    built: dict[int, TradeColumns] = {}
    for index, rows in parts.items():
        ts, price, size, troubles = _priced(rows, zero_size=False)
        taker = _word(rows, "taker").replace_strict(
            {"buy": 1, "sell": 2, "": 0}, default=9, return_dtype=pl.Int64
        )
        side = taker.to_numpy()
        troubles.append((Issue.BAD_SIDE, side == 9))
        if "id" in rows.columns:
            troubles.append((Issue.DUPLICATE, ~rows["id"].is_first_distinct().to_numpy()))
        order = _good(job, market, rows, ts, troubles, file)
        if len(order):
            ids = rows["id"].gather(order).to_list() if "id" in rows.columns else None
            built[index] = TradeColumns(
                ts_event=ts[order],
                price=price[order],
                size=size[order],
                aggressor=side[order].astype(np.uint8),
                trade_id=ids,
            )
    for index, cols in both(built, _mirrored_trades).items():
        job.writer.trades(market.outcomes[index].instrument_id, cols)


def write_quotes(job: IngestJob, market: Market, parts: Parts, file: str) -> None:
    """Write quotes; an empty price is a side without an order."""
    built: dict[int, QuoteColumns] = {}
    for index, rows in parts.items():
        ts, no_time = times(rows["ts"])
        troubles: list[tuple[Issue, Mask]] = [(Issue.BAD_TIME, no_time)]
        price: dict[str, Int64] = {}
        size: dict[str, Int64] = {}
        for side in ("bid", "ask"):
            price[side], absent, wrong, off = numbers(rows[side], 4)
            size[side], no_size, size_wrong, size_off = numbers(rows[f"{side}_size"], 2)
            present = ~absent
            troubles += [
                (Issue.NOT_A_NUMBER, wrong | (present & (size_wrong | no_size))),
                (Issue.OFF_PRECISION, off | (present & size_off)),
                (Issue.BAD_PRICE, present & ~wrong & ((price[side] <= 0) | (price[side] >= ONE))),
                (Issue.BAD_SIZE, present & ~size_wrong & ~no_size & (size[side] <= 0)),
            ]
            size[side] = np.where(present, size[side], 0)
        both_there = (size["bid"] > 0, size["ask"] > 0)
        troubles.append((Issue.CROSSED, crossed(price["bid"], price["ask"], *both_there)))
        order = _good(job, market, rows, ts, troubles, file)
        if len(order):
            built[index] = quote_columns(
                ts[order],
                price["bid"][order],
                price["ask"][order],
                size["bid"][order],
                size["ask"][order],
            )
    for index, cols in both(built, mirrored_quotes).items():
        job.writer.quotes(market.outcomes[index].instrument_id, cols)


def write_deltas(job: IngestJob, market: Market, parts: Parts, file: str) -> None:
    """Write book changes (absolute sizes); rows of one time are one batch, crossed stretches are cleared."""
    built: dict[int, DeltaColumns] = {}
    for index, rows in parts.items():
        ts, price, size, troubles = _priced(rows, zero_size=True)
        side = _word(rows, "side").replace_strict(
            {"bid": 0, "buy": 0, "ask": 1, "sell": 1}, default=9, return_dtype=pl.Int64
        )
        is_ask = side.to_numpy()
        troubles.append((Issue.BAD_SIDE, is_ask == 9))
        order = _good(job, market, rows, ts, troubles, file)
        if not len(order):
            continue
        snapshot = _flags(rows, order)
        opens = snapshot & np.append(True, ~snapshot[:-1] | (ts[order][1:] != ts[order][:-1]))
        opens[0] = True
        cols = book_from_sizes(
            ts[order],
            is_ask[order],
            price[order],
            size[order],
            opens,
            snapshot=snapshot,
            close_ns=int(ts[order][-1]) + 1,
        )
        name = market.outcomes[index].instrument_id
        built[index], episodes = without_crosses(cols, name)
        for start, end, batches in episodes:
            job.issues.add(
                Issue.CROSSED,
                Fate.REPAIRED,
                file=file,
                subject=name,
                seen=f"{(end - start) / NS_PER_SECOND:.3f} s from {start}",
                rows=batches,
            )
    for index, own in both(built, mirrored).items():
        job.writer.deltas(market.outcomes[index].instrument_id, own)


def write_bars(
    job: IngestJob,
    frame: pl.DataFrame,
    file: str,
    step: str,
    price_decimals: int,
    size_decimals: int,
) -> None:
    """Write bars of spot pairs; ``ts`` is the open, the bar is dated to its close."""
    amount, _, unit = step.partition("-")
    if not amount.isdigit() or int(amount) < 1 or unit not in _STEPS:
        raise UsageError("bars need their step", step or "nothing", "--bar 1-HOUR")
    length = int(amount) * _STEPS[unit] * NS_PER_SECOND
    for (name,), rows in frame.group_by(["instrument"], maintain_order=True):
        ts, no_time = times(rows["ts"])
        read = {n: numbers(rows[n], price_decimals) for n in ("open", "high", "low", "close")}
        volume, no_volume, volume_wrong, _ = numbers(rows["volume"], size_decimals)
        ticks = {n: r[0] for n, r in read.items()}
        missing = (
            no_volume | volume_wrong | np.logical_or.reduce([r[1] | r[2] for r in read.values()])
        )
        shape = (ticks["low"] <= 0) | (ticks["low"] > np.minimum(ticks["open"], ticks["close"]))
        shape |= ticks["high"] < np.maximum(ticks["open"], ticks["close"])
        troubles: list[tuple[Issue, Mask]] = [
            (Issue.BAD_TIME, no_time),
            (Issue.NOT_A_NUMBER, missing),
            (Issue.OFF_PRECISION, np.logical_or.reduce([r[3] for r in read.values()])),
            (Issue.BAD_PRICE, ~missing & shape),
            (Issue.BAD_SIZE, ~missing & (volume < 0)),
            (Issue.DUPLICATE, ~rows["ts"].is_first_distinct().to_numpy()),
        ]
        pair = _pair(str(name or ""), price_decimals, size_decimals)
        order = _good(job, pair.market(), rows, ts, troubles, file)
        if not len(order):
            continue
        jumps = np.diff(ts[order])
        for at in np.flatnonzero(jumps > length).tolist():
            job.issues.add(
                Issue.TIME_GAP,
                Fate.KEPT,
                file=file,
                subject=pair.instrument_id,
                seen=f"after {ts[order][at]}",
                rows=int(jumps[at] // length) - 1,
            )
        job.writer.pairs([pair])
        job.writer.bars(
            f"{pair.instrument_id}-{step}-LAST-EXTERNAL",
            BarColumns(
                ts_event=ts[order] + length,
                price_precision=price_decimals,
                size_precision=size_decimals,
                volume=volume[order],
                **{n: t[order] for n, t in ticks.items()},
            ),
        )


def both[C: (TradeColumns, QuoteColumns, DeltaColumns)](
    built: dict[int, C], mirror: Callable[[C], C]
) -> dict[int, C]:
    """Return the columns of both outcomes: a missing one is the mirror image of the other."""
    out = dict(built)
    for index, other in ((0, 1), (1, 0)):
        if index not in out and other in built:
            out[index] = mirror(built[other])
    return out


def _mirrored_trades(cols: TradeColumns) -> TradeColumns:
    swap = np.array([Aggressor.NONE, Aggressor.SELL, Aggressor.BUY], dtype=np.uint8)
    return TradeColumns(
        ts_event=cols.ts_event,
        price=ONE - cols.price,
        size=cols.size,
        aggressor=swap[cols.aggressor],
        trade_id=cols.trade_id,
    )


def _priced(
    rows: pl.DataFrame, zero_size: bool
) -> tuple[Int64, Int64, Int64, list[tuple[Issue, Mask]]]:
    """Return times, prices, sizes and what is wrong with them."""
    ts, no_time = times(rows["ts"])
    price, no_price, price_wrong, price_off = numbers(rows["price"], 4)
    size, no_size, size_wrong, size_off = numbers(rows["size"], 2)
    known = ~(no_price | price_wrong | no_size | size_wrong)
    least = 0 if zero_size else 1
    troubles: list[tuple[Issue, Mask]] = [
        (Issue.BAD_TIME, no_time),
        (Issue.NOT_A_NUMBER, ~known),
        (Issue.OFF_PRECISION, price_off | size_off),
        (Issue.BAD_PRICE, known & ((price <= 0) | (price >= ONE))),
        (Issue.BAD_SIZE, known & (size < least)),
    ]
    return ts, price, size, troubles


def _good(
    job: IngestJob, market: Market, rows: pl.DataFrame, ts: Int64, troubles: Troubles, file: str
) -> Int64:
    """Report every bad row once and return the good ones in the order of time."""
    number = rows["row"].to_numpy().astype(np.int64)
    bad = np.zeros(len(rows), dtype=bool)
    for code, mask in troubles:
        for at in np.flatnonzero(mask & ~bad).tolist():
            cells = {
                k: v for k, v in rows.row(at, named=True).items() if k not in ("row", "market")
            }
            job.issues.add(
                code,
                Fate.DROPPED,
                file=file,
                row=int(number[at]),
                subject=market.market_id,
                seen=str(cells),
            )
        bad |= mask
    good = np.flatnonzero(~bad)
    late = np.zeros(len(good), dtype=bool)
    late[1:] = ts[good][1:] < np.maximum.accumulate(ts[good])[:-1]
    if late.any():
        job.issues.mask(
            Issue.OUT_OF_ORDER,
            Fate.REPAIRED,
            late,
            file=file,
            rows=number[good],
            subject=market.market_id,
        )
        good = good[np.argsort(ts[good], kind="stable")]
    return good


def _word(rows: pl.DataFrame, name: str) -> pl.Series:
    if name not in rows.columns:
        return pl.Series(name, [""] * len(rows))
    return rows[name].fill_null("").str.strip_chars().str.to_lowercase()


def _flags(rows: pl.DataFrame, order: Int64) -> Mask:
    if "snapshot" not in rows.columns:
        return np.zeros(len(order), dtype=bool)
    return _word(rows, "snapshot").is_in(["1", "true", "yes"]).to_numpy()[order]


def _pair(name: str, price_decimals: int, size_decimals: int) -> Pair:
    symbol, dot, venue = name.rpartition(".")
    if not dot or not symbol or not venue:
        raise UsageError("an instrument of bars is SYMBOL.VENUE", name, "BTCUSDT.BINANCE")
    for quote in ("USDT", "USDC", "USD", "EUR", "BTC"):
        if symbol.endswith(quote) and symbol != quote:
            return Pair(
                name, symbol[: -len(quote)].rstrip("-"), quote, price_decimals, size_decimals
            )
    raise UsageError("cannot tell base from quote currency", name, "name it like BTCUSDT.BINANCE")

"""Set ``crypto_ohlcv``: bars of BTC, ETH and SOL from a minute to a day, and polled spot prices.

Source times are bar opens. A bar is known at its close, so it is dated there: dated to its open it would
show a strategy the future. Every file has its own instrument where its origin differs (futures are not spot).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from core.domain.clock import NS_PER_SECOND
from core.domain.errors import MissingData, UsageError
from core.engine.catalog import BarColumns, Pair, TradeColumns
from core.engine.catalog.replay import Int64, Mask

_BARS: dict[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "open": pl.Float64,
    "high": pl.Float64,
    "low": pl.Float64,
    "close": pl.Float64,
    "volume": pl.Float64,
}
_POLLS: dict[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "asset": pl.String,
    "price": pl.Float64,
}
STEPS = {
    "1m": ("1-MINUTE", 60),
    "5m": ("5-MINUTE", 300),
    "1h": ("1-HOUR", 3_600),
    "1d": ("1-DAY", 86_400),
}


@dataclass(frozen=True, slots=True)
class BarFile:
    """One file of bars."""

    name: str
    pair: Pair
    step: str


_SPOT = {c: Pair(f"{c}USDT.BINANCE", c, "USDT") for c in ("BTC", "ETH", "SOL")}
_PERP = {c: Pair(f"{c}USDT-PERP.BINANCE", c, "USDT", 4, 4) for c in ("BTC", "ETH", "SOL")}
FILES = (
    BarFile("btcusdt_1m_binance", _SPOT["BTC"], "1m"),
    BarFile("btcusdt_5m_binance", _SPOT["BTC"], "5m"),
    BarFile("btcusdt_5m_2026", _SPOT["BTC"], "5m"),
    BarFile("btcusdt_1h_binance", _SPOT["BTC"], "1h"),
    BarFile("btcusdt_1d_binance", _SPOT["BTC"], "1d"),
    BarFile("ethusdt_5m_2026", _SPOT["ETH"], "5m"),
    BarFile("solusdt_5m_2026", _SPOT["SOL"], "5m"),
    BarFile("solusdt_1h_2022_2025", _SPOT["SOL"], "1h"),
    BarFile("btcusdt_1h_2020_2024", _PERP["BTC"], "1h"),
    BarFile("ethusdt_1h_2020_2024", _PERP["ETH"], "1h"),
    BarFile("solusdt_1h_2020_2024", _PERP["SOL"], "1h"),
    BarFile("etheur_1h_2022_2025", Pair("ETHEUR.BINANCE", "ETH", "EUR"), "1h"),
)


def load(job: IngestJob) -> None:
    """Import all bar files that are there, or the polls (``--part polls``).

    The polls have no venue to trade at: add them to a catalog of prediction markets with ``--extend``.
    """
    part = job.options["part"]
    if part not in ("bars", "polls"):
        raise UsageError("the set has no such part", part, "parts: bars, polls")
    found = _write_polls(job) if part == "polls" else _write_files(job)
    if not found:
        raise MissingData("none of the set's files is here", job.source, "check --from")


def _write_files(job: IngestJob) -> int:
    found = 0
    for number, file in enumerate(FILES):
        try:
            frame = read_frame(job.source, file.name, _BARS)
        except MissingData:
            continue
        job.read(file.name, len(frame))
        found += 1
        write_bars(job, file, frame)
        job.progress(file.name, number + 1, len(FILES))
    job.note(
        "Bars are dated to their close. Hourly 2020-2024 files are USDT-margined futures by all signs."
    )
    return found


def write_bars(job: IngestJob, file: BarFile, frame: pl.DataFrame) -> None:
    """Check and write one file of bars; gaps are reported, bad bars dropped."""
    pair, (step, length_s) = file.pair, STEPS[file.step]
    step_ns = length_s * NS_PER_SECOND
    open_ns, no_time = nanoseconds(frame, "ts")
    read = {
        n: ticks_of(floats(frame, n), pair.price_precision)
        for n in ("open", "high", "low", "close")
    }
    volume, volume_nan, _ = ticks_of(floats(frame, "volume"), pair.size_precision)
    missing = volume_nan | np.logical_or.reduce([r[1] for r in read.values()])
    off = np.logical_or.reduce([r[2] & ~r[1] for r in read.values()])
    ticks = {n: r[0] for n, r in read.items()}
    body_low, body_high = (f(ticks["open"], ticks["close"]) for f in (np.minimum, np.maximum))
    shape = (ticks["low"] <= 0) | (ticks["low"] > body_low) | (ticks["high"] < body_high)
    troubles: list[tuple[Issue, Mask]] = [
        (Issue.BAD_TIME, no_time | (open_ns % step_ns != 0)),
        (Issue.NOT_A_NUMBER, missing),
        (Issue.OFF_PRECISION, off),
        (Issue.BAD_PRICE, ~missing & shape),
        (Issue.BAD_SIZE, ~missing & (volume < 0)),
        (Issue.DUPLICATE, ~frame["ts"].is_first_distinct().to_numpy()),
    ]
    bad = np.zeros(len(frame), dtype=bool)
    for code, mask in troubles:
        fresh = mask & ~bad
        if fresh.any():
            seen = frame.select("ts", "open", "high", "low", "close", "volume").rows()
            job.issues.mask(
                code, Fate.DROPPED, fresh, file=file.name, subject=pair.instrument_id, seen=seen
            )
        bad |= mask
    good = np.flatnonzero(~bad)
    if (np.diff(open_ns[good]) < 0).any():
        job.issues.add(
            Issue.OUT_OF_ORDER, Fate.REPAIRED, file=file.name, subject=pair.instrument_id
        )
        good = good[np.argsort(open_ns[good], kind="stable")]
    if not len(good):
        return
    _report_gaps(job, file, open_ns[good], good, step_ns)
    job.writer.pairs([pair])
    job.writer.bars(
        f"{pair.instrument_id}-{step}-LAST-EXTERNAL",
        BarColumns(
            ts_event=open_ns[good] + step_ns,
            price_precision=pair.price_precision,
            size_precision=pair.size_precision,
            volume=volume[good],
            **{n: t[good] for n, t in ticks.items()},
        ),
    )


def _report_gaps(job: IngestJob, file: BarFile, open_ns: Int64, rows: Int64, step_ns: int) -> None:
    jumps = np.diff(open_ns)
    for at in np.flatnonzero(jumps > step_ns).tolist():
        job.issues.add(
            Issue.TIME_GAP,
            Fate.KEPT,
            file=file.name,
            row=int(rows[at + 1]),
            subject=file.pair.instrument_id,
            seen=f"after {open_ns[at]}",
            rows=int(jumps[at] // step_ns) - 1,
        )


def _write_polls(job: IngestJob) -> int:
    """Write polled spot prices as trades of the smallest size; return 1 when the file is there."""
    name = "spot_polls_2026-06"
    try:
        frame = read_frame(job.source, name, _POLLS)
    except MissingData:
        return 0
    job.read(name, len(frame))
    ts, no_time = nanoseconds(frame, "ts")
    price, not_a_number, _ = ticks_of(floats(frame, "price"), 6)
    twice = ~frame.select(pl.struct("asset", "ts").is_first_distinct()).to_series().to_numpy()
    bad = np.zeros(len(frame), dtype=bool)
    for code, mask in (
        (Issue.BAD_TIME, no_time),
        (Issue.NOT_A_NUMBER, not_a_number),
        (Issue.BAD_PRICE, ~not_a_number & (price <= 0)),
        (Issue.DUPLICATE, twice),
    ):
        job.issues.mask(
            code, Fate.DROPPED, mask & ~bad, file=name, subject=frame["asset"].to_list(), seen=price
        )
        bad |= mask
    asset = frame["asset"].fill_null("").to_numpy()
    for coin in sorted(set(asset[~bad].tolist())):
        rows = np.flatnonzero(~bad & (asset == coin))
        rows = rows[np.argsort(ts[rows], kind="stable")]
        pair = Pair(f"{coin}-USD.POLLED", coin, "USD", 6, 2)
        job.writer.pairs([pair])
        job.writer.trades(
            pair.instrument_id,
            TradeColumns(
                ts_event=ts[rows],
                price_precision=6,
                size_precision=2,
                price=price[rows],
                size=np.ones(len(rows), dtype=np.int64),
                aggressor=np.zeros(len(rows), dtype=np.uint8),
            ),
        )
    job.note(
        "Polled spot prices are written as trades of the smallest size: prices, not liquidity."
    )
    return 1

"""Set ``polymarket_bbo_2026``: best bid and ask of thousands of markets, polled about every two minutes.

The set keeps changes only, first row of each day included, and some days are missing. Inside a recorded day
a quote lives until the next row; where the recording stops (missing days, the collector's outage, the last
poll of a market) the quote ends with an empty one. Depth was not recorded: both sides get the assumed size.
Only labels from the venue's API settle a market; labels inferred from convergence are refused.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, nanoseconds, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.history.quotes import (
    ONE,
    crossed,
    mirrored_quotes,
    quote_columns,
    size_ticks,
    with_silences,
)
from adapters.polymarket.grid import grid_from_tick
from core.domain.clock import NS_PER_DAY, NS_PER_SECOND, iso_from_ns
from core.domain.fees import FeeSchedule
from core.domain.market import Event, Market, Outcome
from core.engine.catalog.replay import Int64, Mask

_QUOTES: dict[str, Any] = {
    "ts": pl.Datetime("us", "UTC"),
    "slug": pl.String,
    "bid": pl.Float64,
    "ask": pl.Float64,
}
_MARKETS: dict[str, Any] = {
    "slug": pl.String,
    "question": pl.String,
    "category": pl.String,
    "last_ts": pl.Datetime,
    "resolved_yes": pl.Int64,
    "label_source": pl.String,
}
POLL_NS = 120 * NS_PER_SECOND
#: A market whose next row is this much later than the end of its recorded day was not watched between.
_SILENCE_NS = 1_800 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Rows:
    """Good rows as arrays, sorted by market and time."""

    ts: Int64
    bid: Int64
    ask: Int64
    has_bid: Mask
    has_ask: Mask


@dataclass(frozen=True, slots=True)
class _Watch:
    """When each recorded stretch began and ended."""

    starts: Int64
    ends: Int64


def load(job: IngestJob) -> None:
    """Import the set into the catalog of `job`."""
    quotes = read_frame(job.source, "quotes", _QUOTES)
    described = read_frame(job.source, "markets", _MARKETS)
    job.read("quotes", len(quotes))
    job.read("markets", len(described))
    _report_outages(job, quotes)
    rows, numbers, slugs = _check_rows(job, quotes)
    watch = _watched(rows.ts)
    size = size_ticks(job.options["assumed_size"])
    last_ns, _ = nanoseconds(described, "last_ts")
    events = _event_ids(described)
    fresh = np.append(True, slugs[1:] != slugs[:-1])[: len(slugs)]
    borders = np.flatnonzero(fresh)
    spans = {
        str(slugs[low]): (int(low), int(high))
        for low, high in zip(borders, np.append(borders[1:], len(slugs)), strict=True)
    }
    markets = []
    for number, row in enumerate(described.iter_rows(named=True)):
        span = spans.pop(row["slug"], None)
        if span is None:
            job.issues.add(
                Issue.NO_DATA, Fate.DROPPED, file="markets", row=number, subject=row["slug"]
            )
            continue
        market = _write_market(
            job, row, rows, span, watch, int(last_ns[number]), size, events[row["slug"]]
        )
        markets.append(market)
        if number % 100 == 0:
            job.progress("quotes", span[1], len(slugs))
    for slug, (low, high) in spans.items():
        job.issues.add(
            Issue.UNKNOWN_MARKET,
            Fate.DROPPED,
            file="quotes",
            row=int(numbers[low]),
            subject=slug,
            rows=high - low,
        )
    _write_events(job, markets)
    _notes(job)


def _write_market(
    job: IngestJob,
    row: dict[str, Any],
    rows: _Rows,
    span: tuple[int, int],
    watch: _Watch,
    last_ns: int,
    size: int,
    event_id: str,
) -> Market:
    part = slice(*span)
    ts, bid, ask = rows.ts[part], rows.bid[part], rows.ask[part]
    cols = quote_columns(
        ts,
        bid,
        ask,
        np.where(rows.has_bid[part], size, 0),
        np.where(rows.has_ask[part], size, 0),
    )
    cols = with_silences(cols, *_silences(ts, watch, last_ns))
    fine = bool(((bid % 100 != 0) | (ask % 100 != 0)).any())
    slug = row["slug"]
    labelled = row["label_source"] == "api" and row["resolved_yes"] in (0, 1)
    market = Market(
        venue="POLYMARKET",
        market_id=slug,
        question=row["question"] or slug,
        outcomes=(
            Outcome(f"{slug}-YES.POLYMARKET", "Yes", f"{slug}-yes"),
            Outcome(f"{slug}-NO.POLYMARKET", "No", f"{slug}-no"),
        ),
        grid=grid_from_tick("0.001" if fine else "0.01"),
        fees=FeeSchedule("POLYMARKET", category=row["category"] or ""),
        event_id=event_id,
        category=row["category"] or "",
        min_size=Decimal(5),
        info={"assumed_size": str(Decimal(size) / 100), "label_source": row["label_source"] or ""},
    )
    for outcome, columns in zip(market.outcomes, (cols, mirrored_quotes(cols)), strict=True):
        job.writer.quotes(outcome.instrument_id, columns)
    if labelled:
        job.settle(market, max(last_ns, int(cols.ts[-1])) + POLL_NS, Decimal(row["resolved_yes"]))
    else:
        job.add_market(market)
        if row["resolved_yes"] is not None:
            job.issues.add(
                Issue.UNOFFICIAL_LABEL,
                Fate.DROPPED,
                file="markets",
                subject=slug,
                seen=f"{row['label_source']} {row['resolved_yes']}",
            )
    return market


def _silences(ts: Int64, watch: _Watch, last_ns: int) -> tuple[Int64, Int64]:
    """Return the rows after which nothing is known, and from when."""
    stretch = np.searchsorted(watch.starts, ts, side="right") - 1
    closing = np.flatnonzero(np.append(stretch[1:] != stretch[:-1], True))
    stop = watch.ends[stretch[closing]]
    same_day = last_ns // NS_PER_DAY == ts[closing] // NS_PER_DAY
    stop = np.where(same_day, np.minimum(stop, last_ns + POLL_NS), stop)
    stop = np.maximum(stop, ts[closing] + 1)
    following = np.append(ts[closing[:-1] + 1], np.iinfo(np.int64).max)
    silent = following > stop + _SILENCE_NS
    return closing[silent], stop[silent]


def _watched(ts: Int64) -> _Watch:
    """Return the stretches that were recorded: each ends one poll after its last row anywhere, or at midnight.

    The set repeats every market's quote at the start of a day only: of one that does not change after an
    outage nothing is known until the next day.
    """
    times = np.unique(ts)
    fresh = (np.diff(times) > _SILENCE_NS) | (np.diff(times // NS_PER_DAY) > 0)
    starts, last = times[np.append(True, fresh)], times[np.append(fresh, True)]
    return _Watch(starts, np.minimum(last + POLL_NS, (last // NS_PER_DAY + 1) * NS_PER_DAY))


def _report_outages(job: IngestJob, frame: pl.DataFrame) -> None:
    """Name the stretches in which no market at all was polled: every quote ends there."""
    ts, no_time = nanoseconds(frame, "ts")
    known = np.flatnonzero(~no_time)
    order = known[np.argsort(ts[known], kind="stable")]
    for at in np.flatnonzero(np.diff(ts[order]) > _SILENCE_NS).tolist():
        before, after = int(ts[order[at]]), int(ts[order[at + 1]])
        job.issues.add(
            Issue.TIME_GAP,
            Fate.REPAIRED,
            file="quotes",
            row=int(order[at + 1]),
            subject="all markets",
            seen=f"nothing from {iso_from_ns(before)} to {iso_from_ns(after)}",
        )


def _check_rows(job: IngestJob, frame: pl.DataFrame) -> tuple[_Rows, Int64, Any]:
    frame = frame.with_row_index("row")
    order = frame.select(pl.arg_sort_by("slug", "ts", maintain_order=True)).to_series()
    frame = frame[order]
    number = frame["row"].to_numpy().astype(np.int64)
    ts, no_time = nanoseconds(frame, "ts")
    slugs = frame["slug"].to_numpy()
    bid, no_bid, bid_off = ticks_of(floats(frame, "bid"), 4)
    ask, no_ask, ask_off = ticks_of(floats(frame, "ask"), 4)
    same = np.zeros(len(ts), dtype=bool)
    same[1:] = (slugs[1:] == slugs[:-1]) & (ts[1:] == ts[:-1])
    # A null is a side without an order; NaN, an infinity or a price outside (0, 1) is not a price.
    stated = [frame[c].is_not_null().to_numpy() for c in ("bid", "ask")]
    outside = (~no_bid & ((bid <= 0) | (bid >= ONE))) | (~no_ask & ((ask <= 0) | (ask >= ONE)))
    troubles = [
        (Issue.BAD_TIME, no_time),
        (Issue.NOT_A_NUMBER, (no_bid & stated[0]) | (no_ask & stated[1])),
        (Issue.OFF_PRECISION, (bid_off & ~no_bid) | (ask_off & ~no_ask)),
        (Issue.BAD_PRICE, outside),
        (Issue.CROSSED, crossed(bid, ask, ~no_bid, ~no_ask)),
        (Issue.DUPLICATE, same),
    ]
    bad = np.zeros(len(ts), dtype=bool)
    for code, mask in troubles:
        fresh = np.flatnonzero(mask & ~bad)
        if len(fresh):
            job.issues.mask(
                code,
                Fate.DROPPED,
                np.ones(len(fresh), dtype=bool),
                file="quotes",
                rows=number[fresh],
                subject=slugs[fresh].tolist(),
                seen=[f"{b}/{a}" for b, a in frame[fresh].select("bid", "ask").rows()],
            )
        bad |= mask
    good = ~bad
    arrays = (ts[good], bid[good], ask[good], ~no_bid[good], ~no_ask[good])
    return _Rows(*arrays), number[good], slugs[good]


def _event_ids(described: pl.DataFrame) -> dict[str, str]:
    """Return an event id per slug: markets that share a question and all but the last part of the slug.

    Nothing says that such markets exclude each other, so no event is exclusive.
    """
    keys = {
        slug: (slug.rpartition("-")[0], question)
        for slug, question in described.select("slug", "question").iter_rows()
    }
    shared = Counter(keys.values())
    return {slug: key[0] if shared[key] > 1 and key[0] else slug for slug, key in keys.items()}


def _write_events(job: IngestJob, markets: list[Market]) -> None:
    grouped: dict[str, list[Market]] = {}
    for market in markets:
        grouped.setdefault(market.event_id, []).append(market)
    job.writer.events(
        Event(
            "POLYMARKET",
            event_id,
            group[0].question,
            tuple(m.market_id for m in group),
            category=group[0].category,
        )
        for event_id, group in sorted(grouped.items())
    )


def _notes(job: IngestJob) -> None:
    job.note(
        f"Polymarket BBO: no depth recorded; {job.options['assumed_size']} shares are assumed at each "
        "price shown (--assumed-size)."
    )
    job.note(
        "Polymarket BBO: settled on API labels only, two minutes after the last poll; the true payout "
        "came later, so capital is free too early. Tick sizes are read off the prices. Slugs look like "
        "those of the venue's US exchange, whose fees may differ from the category schedule used."
    )
    job.note(
        "Polymarket BBO: the set holds all non-sports markets of its days, but only the most active sports "
        "markets that later got a label: results on sports are from a selected sample."
    )

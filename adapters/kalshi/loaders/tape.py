"""Set ``kalshi_tape_2026-07``: polled best prices of crypto brackets, sports and economic strikes, with results.

Parts (``--part``): ``crypto`` (default: hourly brackets from their first two-sided quote on), ``crypto_all``
(every bracket), ``sports``, ``econ``. Sizes were not recorded.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.kalshi.loaders.polls import Polls, read_polls, write_quotes
from adapters.kalshi.loaders.settlements import (
    DELAY_NS,
    Result,
    follows_from_strike,
    read_results,
)
from adapters.kalshi.loaders.terms import (
    CENT,
    DECI_CENT,
    FEE_NOTE,
    assumed_fees,
    outcomes,
    series_of,
)
from core.domain.clock import ns_from_datetime
from core.domain.errors import UsageError
from core.domain.market import Event, Market
from core.engine.catalog import Pair, TradeColumns

_TIME = pl.Datetime("us", "UTC")
#: Index behind the crypto series, dated to when its hourly value was published.
INDEXES = {
    "KXBTC": Pair("BTC-USD.CFBENCHMARKS", "BTC", "USD"),
    "KXETH": Pair("ETH-USD.CFBENCHMARKS", "ETH", "USD"),
}


@dataclass(frozen=True, slots=True)
class _Part:
    """One file of the set."""

    file: str
    extra: dict[str, Any]
    category: str
    two_sided_only: bool = False
    exclusive: bool = False


PARTS = {
    "crypto": _Part(
        "crypto_hourly_bbo",
        {
            "open_time": _TIME,
            "close_time": _TIME,
            "strike_type": pl.String,
            "floor_strike": pl.Float64,
            "cap_strike": pl.Float64,
        },
        "crypto",
        two_sided_only=True,
        exclusive=True,
    ),
    "sports": _Part("sports_bbo", {"game_title": pl.String}, "sports"),
    "econ": _Part(
        "econ_bbo",
        {
            "close_time": _TIME,
            "title": pl.String,
            "strike_type": pl.String,
            "floor_strike": pl.Float64,
        },
        "economics",
    ),
}
PARTS["crypto_all"] = _Part(PARTS["crypto"].file, PARTS["crypto"].extra, "crypto", exclusive=True)


def load(job: IngestJob) -> None:
    """Import one part of the set into the catalog of `job`."""
    name = str(job.options["part"])
    if name not in PARTS:
        raise UsageError("the set has no such part", name, f"parts: {', '.join(sorted(PARTS))}")
    part = PARTS[name]
    results = read_results(job)
    first, polls = read_polls(job, part.file, part.extra)
    described = {row["ticker"]: row for row in first.iter_rows(named=True)}
    members: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    index: dict[str, dict[int, Decimal]] = {}
    agree = [0, 0]
    for number, own in enumerate(polls):
        row = described[own.ticker]
        if part.two_sided_only:
            own = _from_two_sided(job, own, part.file)
        if not len(own.ts):
            continue
        market = _market(row, part, bool((own.bid % 100 != 0).any() or (own.ask % 100 != 0).any()))
        own = _before_close(job, own, market, part.file)
        if not len(own.ts):
            continue
        last_ns = write_quotes(job, market, own)
        result = results.get(own.ticker)
        _finish(job, market, result, last_ns)
        members.setdefault(market.event_id, []).append(own.ticker)
        titles[market.event_id] = market.question
        if result is not None and result.value is not None and market.strike_type:
            agree[0] += 1
            agree[1] += follows_from_strike(market, result.value) != result.yes
            index.setdefault(market.series, {})[result.known_ns(market.close_ns, 0)] = result.value
        if number % 200 == 0:
            job.progress("quotes", number, len(described))
    _write_events(job, part, members, titles)
    _write_index(job, index)
    if agree[0]:
        job.check("recorded results follow from strike and index value", agree[0], agree[1])
    _notes(job, name)


def _market(row: dict[str, Any], part: _Part, fine: bool) -> Market:
    ticker, series = row["ticker"], series_of(row["ticker"])
    event = row["event_ticker"] or ticker
    close = row.get("close_time")
    opened = row.get("open_time")
    return Market(
        venue="KALSHI",
        market_id=ticker,
        question=row.get("title") or row.get("game_title") or ticker,
        outcomes=outcomes(ticker),
        grid=DECI_CENT if fine else CENT,
        fees=assumed_fees(series),
        event_id=event,
        neg_risk_id=event if part.exclusive else "",
        series=series,
        category=part.category,
        open_ns=ns_from_datetime(opened) if opened else 0,
        close_ns=ns_from_datetime(close) if close else 0,
        strike=_strike(row, "floor_strike"),
        strike_high=_strike(row, "cap_strike"),
        strike_type=row.get("strike_type") or "",
        underlying=INDEXES[series].instrument_id if series in INDEXES else "",
    )


def _strike(row: dict[str, Any], name: str) -> Decimal | None:
    value = row.get(name)
    return None if value is None else Decimal(str(value))


def _from_two_sided(job: IngestJob, own: Polls, file: str) -> Polls:
    """Return the polls from the first two-sided one on.

    Choosing markets by what was quoted later would show a strategy only the brackets that came alive.
    """
    both = own.has_bid & own.has_ask
    first = int(np.argmax(both)) if both.any() else len(both)
    if first:
        job.issues.add(Issue.ONE_SIDED, Fate.DROPPED, file=file, subject=own.ticker, rows=first)
    return own.select(np.arange(len(both)) >= first)


def _before_close(job: IngestJob, own: Polls, market: Market, file: str) -> Polls:
    """Return the polls before the close: what a page shows afterwards cannot be traded."""
    late = own.ts >= market.close_ns if market.close_ns else np.zeros(len(own.ts), dtype=bool)
    if not late.any():
        return own
    job.issues.add(
        Issue.AFTER_CLOSE, Fate.DROPPED, file=file, subject=own.ticker, rows=int(late.sum())
    )
    return own.select(~late)


def _finish(job: IngestJob, market: Market, result: Result | None, last_ns: int) -> None:
    if result is None:
        job.add_market(market)
    else:
        known = result.known_ns(market.close_ns, max(last_ns, market.close_ns))
        job.settle(market, known, Decimal(int(result.yes)))


def _write_events(
    job: IngestJob, part: _Part, members: dict[str, list[str]], titles: dict[str, str]
) -> None:
    # Brackets of one hour do not overlap, so at most one pays. Completeness is not claimed: markets that
    # nobody quoted may be missing.
    job.writer.events(
        Event(
            "KALSHI",
            event_id,
            titles[event_id],
            tuple(ids),
            neg_risk_id=event_id if part.exclusive else "",
            category=part.category,
        )
        for event_id, ids in sorted(members.items())
    )


def _write_index(job: IngestJob, index: dict[str, dict[int, Decimal]]) -> None:
    """Write the published index values as trades of the smallest size: prices, not liquidity."""
    for series, values in sorted(index.items()):
        if series not in INDEXES:
            continue
        pair = INDEXES[series]
        times = sorted(values)
        job.writer.pairs([pair])
        job.writer.trades(
            pair.instrument_id,
            TradeColumns(
                ts_event=np.array(times, dtype=np.int64),
                price_precision=pair.price_precision,
                size_precision=pair.size_precision,
                price=np.array([int(values[t] * 100) for t in times], dtype=np.int64),
                size=np.ones(len(times), dtype=np.int64),
                aggressor=np.zeros(len(times), dtype=np.uint8),
            ),
        )


def _notes(job: IngestJob, name: str) -> None:
    options = job.options
    job.note(
        f"Kalshi tape ({name}): sizes were not recorded, {options['assumed_size']} contracts are assumed "
        f"(--assumed-size); a poll is a price for {options['hold_s']} s (--hold-s)."
    )
    job.note(
        f"Results without a recorded time are known {DELAY_NS // 10**9} s after the close or the last poll."
    )
    job.note(FEE_NOTE)

"""Set ``polymarket_l2_mlb_2025``: websocket books of both tokens of moneyline games, June 2025.

Rows are in recording order. ``book`` rows that share a hash are one full snapshot and replace the book of
their token; ``price_change`` rows state the new size of a level, 0 removes it. Both kinds at one time are
one batch. Nothing in the set says officially who won: `implied_winner` is read off the last prices, so
every game stays unresolved.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl

from adapters.history.frames import floats, read_frame, ticks_of
from adapters.history.issues import Fate, Issue
from adapters.history.job import IngestJob
from adapters.history.levels import ONE, book_from_sizes
from adapters.polymarket.grid import grid_from_tick
from core.domain.clock import NS_PER_SECOND
from core.domain.fees import FeeSchedule
from core.domain.market import Event, Market, Outcome
from core.engine.catalog import DeltaColumns, QuoteColumns
from core.engine.catalog.crosses import without_crosses
from core.engine.catalog.replay import Int64, Mask
from core.engine.catalog.tops import tops_of

_EVENTS: dict[str, Any] = {
    "market_slug": pl.String,
    "asset_id": pl.String,
    "outcome_name": pl.String,
    "seq": pl.Int64,
    "ts_ms": pl.Int64,
    "event_type": pl.String,
    "side": pl.String,
    "price": pl.Float64,
    "size": pl.Float64,
    "hash": pl.String,
}
_MARKETS: dict[str, Any] = {
    "market_slug": pl.String,
    "asset_id": pl.String,
    "last_best_bid": pl.Float64,
    "last_best_ask": pl.Float64,
    "implied_winner": pl.String,
}
#: A silence this long that ends with a full snapshot is taken for an outage of the recorder.
OUTAGE_NS = 300 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class _Rows:
    """The file as arrays; `bad` rows are already reported."""

    ts: Int64
    seq: Int64
    is_ask: Int64
    price: Int64
    size: Int64
    is_book: Mask
    hash: Any
    bad: Mask


def load(job: IngestJob) -> None:
    """Import the set into the catalog of `job`."""
    frame = read_frame(job.source, "events", _EVENTS)
    described = read_frame(job.source, "markets", _MARKETS)
    job.read("events", len(frame))
    job.read("markets", len(described))
    rows = _check_rows(job, frame)
    last = {r["asset_id"]: r for r in described.iter_rows(named=True)}
    games = (
        frame.with_row_index("row")
        .group_by("market_slug", "asset_id", maintain_order=True)
        .agg(pl.col("row"), pl.col("outcome_name").drop_nulls().first())
        .sort("market_slug", "asset_id")
    )
    by_slug: dict[str, list[tuple[str, str | None, Int64]]] = {}
    for slug, token, name, index in games.select(
        "market_slug", "asset_id", "outcome_name", "row"
    ).iter_rows():
        by_slug.setdefault(slug, []).append((token, name, np.asarray(index, dtype=np.int64)))
    witness = _Witness(job)
    done = 0
    for slug, tokens in by_slug.items():
        done += sum(len(index) for _, _, index in tokens)
        if len(tokens) != 2:
            job.issues.add(
                Issue.UNKNOWN_MARKET,
                Fate.DROPPED,
                file="events",
                row=min(int(index.min()) for _, _, index in tokens),
                subject=slug,
                seen=f"{len(tokens)} tokens",
                rows=sum(len(index) for _, _, index in tokens),
            )
            continue
        _write_game(job, slug, tokens, rows, last, witness)
        job.progress("books", done, len(frame))
    witness.conclude()
    job.note(
        "Polymarket MLB 2025: no official results in the set; implied_winner is not a resolution, "
        "so every game is unresolved. Orders are held to the 0.01 grid, valid before and after the "
        "venue's switch to 0.001. Which token is which team is not recorded."
    )


def _write_game(
    job: IngestJob,
    slug: str,
    tokens: list[tuple[str, str | None, Int64]],
    rows: _Rows,
    last: dict[str, dict[str, Any]],
    witness: _Witness,
) -> None:
    tops = []
    outcomes = tuple(
        Outcome(f"{slug}-{token}.POLYMARKET", name or f"token {token[:8]}", token)
        for token, name, _ in tokens
    )
    for (token, _, index), outcome in zip(tokens, outcomes, strict=True):
        good = index[~rows.bad[index]]
        name = f"{slug} {token[:8]}"
        cols, episodes = without_crosses(token_book(job, name, rows, good), name)
        for start_ns, end_ns, batches in episodes:
            job.issues.add(
                Issue.CROSSED,
                Fate.REPAIRED,
                file="events",
                subject=name,
                seen=f"{(end_ns - start_ns) / NS_PER_SECOND:.3f} s from {start_ns}",
                rows=batches,
            )
        job.writer.deltas(outcome.instrument_id, cols)
        tops.append(tops_of(cols, token))
        witness.ending(slug, token, tops[-1], last.get(token))
        if (stated := last.get(token)) and stated["implied_winner"] in ("0", "1"):
            job.issues.add(
                Issue.UNOFFICIAL_LABEL,
                Fate.DROPPED,
                file="markets",
                subject=f"{slug} {token[:8]}",
                seen=f"implied_winner {stated['implied_winner']}",
            )
    witness.complement(slug, tops[0], tops[1])
    market = Market(
        venue="POLYMARKET",
        market_id=slug,
        question=f"Who wins {slug}?",
        outcomes=outcomes,
        grid=grid_from_tick("0.01"),
        fees=FeeSchedule("POLYMARKET", category="sports"),
        event_id=slug,
        category="sports",
        min_size=Decimal(5),
        info={"resolution": "none recorded"},
    )
    job.add_market(market)
    job.writer.events([Event("POLYMARKET", slug, market.question, (slug,), category="sports")])


def token_book(job: IngestJob, name: str, rows: _Rows, index: Int64) -> DeltaColumns:
    """Return the book of one token from its rows in recording order."""
    ts = np.maximum.accumulate(rows.ts[index])
    backwards = rows.ts[index] < ts
    job.issues.mask(
        Issue.OUT_OF_ORDER, Fate.REPAIRED, backwards, file="events", rows=index, subject=name
    )
    is_book, digest = rows.is_book[index], rows.hash[index]
    opens = is_book.copy()
    opens[1:] &= ~(is_book[:-1] & (digest[1:] == digest[:-1]))
    first = int(np.argmax(opens)) if opens.any() else len(index)
    if first:
        job.issues.add(
            Issue.AFTER_BREAK,
            Fate.DROPPED,
            file="events",
            row=int(index[0]),
            subject=name,
            seen="no snapshot yet",
            rows=first,
        )
    part = slice(first, None)
    cols = book_from_sizes(
        ts[part],
        rows.is_ask[index][part],
        rows.price[index][part],
        rows.size[index][part],
        opens[part],
        snapshot=is_book[part],
        seq=rows.seq[index][part],
        close_ns=int(ts[-1]) + 1,
    )
    return _with_outages(job, name, cols)


def _with_outages(job: IngestJob, name: str, cols: DeltaColumns) -> DeltaColumns:
    """Clear the book one nanosecond after the last row before each outage."""
    ts, action = cols.ts_event, cols.action
    silent = np.flatnonzero((ts[1:] - ts[:-1] > OUTAGE_NS) & (action[1:] == 3)) + 1
    if not len(silent):
        return cols
    for at in silent.tolist():
        job.issues.add(
            Issue.TIME_GAP,
            Fate.REPAIRED,
            file="events",
            subject=name,
            seen=f"{(ts[at] - ts[at - 1]) / NS_PER_SECOND:.0f} s from {ts[at - 1]}",
        )

    def insert(column: Any, values: Any) -> Any:
        return np.insert(column, silent, values)

    return DeltaColumns(
        ts_event=insert(ts, ts[silent - 1] + 1),
        size_precision=cols.size_precision,
        action=insert(action, 3),
        side=insert(cols.side, 0),
        price=insert(cols.price, 0),
        size=insert(cols.size, 0),
        flags=insert(cols.flags, 128),
        sequence=insert(cols.sequence, cols.sequence[silent - 1]),
    )


def _check_rows(job: IngestJob, frame: pl.DataFrame) -> _Rows:
    price, price_nan, price_off = ticks_of(floats(frame, "price"), 4)
    size, size_nan, size_off = ticks_of(floats(frame, "size"), 2)
    kind, side = frame["event_type"].fill_null(""), frame["side"].fill_null("")
    troubles = [
        (Issue.NOT_A_NUMBER, price_nan | size_nan),
        (Issue.OFF_PRECISION, (price_off & ~price_nan) | (size_off & ~size_nan)),
        (Issue.BAD_PRICE, ~price_nan & ((price <= 0) | (price >= ONE))),
        (Issue.BAD_SIZE, ~size_nan & (size < 0)),
        (Issue.BAD_SIDE, ~side.is_in(["bid", "ask"]).to_numpy()),
        (Issue.BAD_SIDE, ~kind.is_in(["book", "price_change"]).to_numpy()),
        (Issue.BAD_TIME, (frame["ts_ms"].fill_null(0) <= 0).to_numpy()),
    ]
    bad = np.zeros(len(frame), dtype=bool)
    for code, mask in troubles:
        fresh = mask & ~bad
        job.issues.mask(
            code,
            Fate.DROPPED,
            fresh,
            file="events",
            subject=frame["market_slug"].to_list() if fresh.any() else "",
            seen=frame.select("side", "price", "size").rows() if fresh.any() else None,
        )
        bad |= mask
    strange = ~bad & (price % 10 != 0)  # ticks of 0.01 and 0.001 were in use in 2025
    job.issues.mask(Issue.OFF_GRID, Fate.KEPT, strange, file="events", seen=price / ONE)
    return _Rows(
        frame["ts_ms"].fill_null(0).to_numpy() * 1_000_000,
        frame["seq"].fill_null(0).to_numpy(),
        (side == "ask").to_numpy().astype(np.int64),
        price,
        size,
        (kind == "book").to_numpy(),
        frame["hash"].fill_null("").to_numpy(),
        bad,
    )


class _Witness:
    """What the set lets us verify: last quotes, mirror images of the two tokens, no crossed book."""

    def __init__(self, job: IngestJob) -> None:
        self.job = job
        self.endings = self.wrong_endings = 0
        self.moments = self.unlike = 0
        self.batches = self.crossed = 0

    def ending(
        self, slug: str, token: str, tops: QuoteColumns, stated: dict[str, Any] | None
    ) -> None:
        """Compare the last quote before the final clear with the one in ``markets``; count crosses."""
        both = (tops.bid_size > 0) & (tops.ask_size > 0)
        self.batches += len(tops)
        self.crossed += int((both & (tops.bid >= tops.ask)).sum())
        if stated is None:
            return
        bid = 0 if stated["last_best_bid"] is None else round(stated["last_best_bid"] * ONE)
        ask = ONE if stated["last_best_ask"] is None else round(stated["last_best_ask"] * ONE)
        self.endings += 1
        at = -2 if len(tops) > 1 else -1
        if (int(tops.bid[at]), int(tops.ask[at])) != (bid, ask):
            self.wrong_endings += 1
            self.job.issues.add(
                Issue.MISMATCH,
                Fate.KEPT,
                file="markets",
                subject=f"{slug} {token[:8]}",
                seen=f"book {tops.bid[at]}/{tops.ask[at]}, stated {bid}/{ask}",
            )

    def complement(self, slug: str, first: QuoteColumns, second: QuoteColumns) -> None:
        """Compare the two tokens at the moments when both changed."""
        _, a, b = np.intersect1d(first.ts_event, second.ts_event, return_indices=True)
        known = (first.bid_size + first.ask_size)[a] * (second.bid_size + second.ask_size)[b] > 0
        a, b = a[known], b[known]
        unlike = (first.bid[a] != ONE - second.ask[b]) | (first.ask[a] != ONE - second.bid[b])
        self.moments += len(a)
        self.unlike += int(unlike.sum())
        if unlike.any():
            at = int(np.argmax(unlike))
            self.job.issues.add(
                Issue.MISMATCH,
                Fate.KEPT,
                file="events",
                subject=slug,
                seen=f"{int(unlike.sum())} moments, first at {first.ts_event[a][at]}",
                rows=int(unlike.sum()),
            )

    def conclude(self) -> None:
        """Put the outcome into the report."""
        check = self.job.check
        check(
            "last best bid and ask equal those stated in markets.csv",
            self.endings,
            self.wrong_endings,
        )
        check(
            "the two tokens mirror each other at the end of every shared moment",
            self.moments,
            self.unlike,
        )
        check(
            "no book is crossed at the end of a batch", self.batches, self.crossed, "after repair"
        )

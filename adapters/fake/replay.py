"""A catalog as a live feed: one market's book, trades and resolution in time order, in YES terms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from core.domain.errors import MissingData
from core.domain.market import Market
from core.engine.catalog import BookAction, Catalog, Kind
from core.engine.catalog import BookSide as CatalogSide
from core.engine.paper.book import PRICE_UNIT, BookSide

Int64 = npt.NDArray[np.int64]
#: Rows turned into Python objects at a time.
CHUNK_ROWS = 50_000


class Step(IntEnum):
    """What happens in a step of the replay; also the order of steps at the same instant."""

    CLEAR = 0
    LEVEL = 1
    TRADE = 2
    SETTLE = 3


class ReplayStep(NamedTuple):
    """One step: prices in ten-thousandths (YES), quantities in hundredths.

    `last` marks the end of an atomic batch of book changes; only then is the book shown to anyone.
    For `Step.SETTLE` the price is the payout of YES.
    """

    ts_ns: int
    market_id: str
    step: Step
    side: BookSide
    price: int
    quantity: int
    last: bool


@dataclass(frozen=True, slots=True)
class Tape:
    """All steps of some markets of one catalog, ready to be played at any speed.

    Attributes
    ----------
    markets : tuple of Market
        As in the catalog; times are the recorded ones. Those of every pass, first pass first.
    passes, pass_ns : int
        How often the rows are played, and the nanoseconds from one pass to the next.
    """

    markets: tuple[Market, ...]
    ts_ns: Int64
    market: Int64
    step: Int64
    side: Int64
    price: Int64
    quantity: Int64
    last: Int64
    passes: int = 1
    pass_ns: int = 0

    def __len__(self) -> int:
        return len(self.ts_ns) * self.passes

    def __iter__(self) -> Iterator[ReplayStep]:
        ids, count = [m.market_id for m in self.markets], len(self.markets) // self.passes
        columns = (self.ts_ns, self.market, self.step, self.side, self.price, self.quantity, self.last)  # fmt: skip
        for n in range(self.passes):
            shift, names = n * self.pass_ns, ids[n * count : (n + 1) * count]
            for start in range(0, len(self.ts_ns), CHUNK_ROWS):
                rows = zip(*(c[start : start + CHUNK_ROWS].tolist() for c in columns), strict=True)
                for ts, market, step, side, price, quantity, last in rows:
                    yield ReplayStep(
                        ts + shift,
                        names[market],
                        Step(step),
                        "bid" if side == 1 else "ask",
                        price,
                        quantity,
                        bool(last),
                    )


def squeezed(tape: Tape, max_gap_ns: int) -> Tape:
    """Return the tape with every quiet stretch longer than `max_gap_ns` cut to it; hours of markets move along."""
    if len(tape) < 2 or max_gap_ns <= 0:
        return tape
    steps = np.minimum(np.diff(tape.ts_ns), max_gap_ns)
    played = replace(tape, ts_ns=np.concatenate([tape.ts_ns[:1], tape.ts_ns[0] + np.cumsum(steps)]))

    def moved(when_ns: int) -> int:
        """Return a recorded time on the squeezed clock."""
        at = int(np.searchsorted(tape.ts_ns, when_ns, side="right")) - 1
        if at < 0:
            return int(played.ts_ns[0])
        return int(played.ts_ns[at]) + min(when_ns - int(tape.ts_ns[at]), max_gap_ns)

    markets = tuple(
        replace(
            m,
            open_ns=moved(m.open_ns) if m.open_ns else 0,
            close_ns=moved(m.close_ns) if m.close_ns else 0,
        )
        for m in tape.markets
    )
    return replace(played, markets=markets)


def moved_times(raw: Tape, played: Tape, times: Int64) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """Return recorded times on the clock of `played`, and which of them lie in no stretch that was cut away."""
    found = np.searchsorted(raw.ts_ns, times, side="right") - 1
    at = np.maximum(found, 0)
    out = played.ts_ns[at] + (times - raw.ts_ns[at])
    after = np.minimum(at + 1, len(raw.ts_ns) - 1)
    return out, (found >= 0) & ((at == after) | (out <= played.ts_ns[after]))


def repeated(tape: Tape, times: int, pause_ns: int = 1_000_000_000) -> Tape:
    """Return the tape played `times` times in a row; each further pass has markets of its own (``...-R2``)."""
    if times <= 1 or not len(tape):
        return tape
    first, span = int(tape.ts_ns[0]), int(tape.ts_ns[-1] - tape.ts_ns[0])
    # A market may close after its last row; the next pass begins when all of this one is over.
    span = max([span, *(m.close_ns - first for m in tape.markets)]) + pause_ns
    markets = tuple(
        replace(
            m,
            market_id=f"{m.market_id}-R{n + 1}" if n else m.market_id,
            open_ns=m.open_ns + n * span if m.open_ns else 0,
            close_ns=m.close_ns + n * span if m.close_ns else 0,
        )
        for n in range(times)
        for m in tape.markets
    )
    return replace(tape, markets=markets, passes=times, pass_ns=span)


def load_tape(
    catalog: Catalog,
    market_ids: Sequence[str] | None = None,
    max_markets: int = 50,
    venue: str = "",
) -> Tape:
    """Return the tape of some markets; by default the ones with the most rows, of one venue or of all.

    Raises
    ------
    MissingData
        If none of the markets has a book, quotes or trades.
    """
    markets = [m for m in catalog.markets().values() if len(m.outcomes) == 2]
    if venue:
        markets = [m for m in markets if m.venue == venue]
    if market_ids is not None:
        markets = [m for m in markets if m.market_id in set(market_ids)]
    size = {m.market_id: _rows(catalog, m) for m in markets}
    markets = sorted((m for m in markets if size[m.market_id]), key=lambda m: -size[m.market_id])
    markets = sorted(markets[:max_markets], key=lambda m: m.market_id)
    if not markets:
        seen = ", ".join(market_ids) if market_ids is not None else venue or "any venue"
        name = catalog.meta.name
        raise MissingData(f"no market to replay in {name}", seen, f"beta data ls {name}")
    parts = [_columns(catalog, market, index) for index, market in enumerate(markets)]
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.lexsort((joined[7], joined[2] == Step.SETTLE, joined[0]))
    ts, index, step, side, price, quantity, last = (column[order] for column in joined[:7])
    return Tape(tuple(markets), ts, index, step, side, price, quantity, last)


def _rows(catalog: Catalog, market: Market) -> int:
    iid = market.outcomes[0].instrument_id
    return sum(catalog.rows(kind, iid) for kind in (Kind.DELTAS, Kind.QUOTES))


def _columns(catalog: Catalog, market: Market, index: int) -> list[Int64]:
    """Return ts, market, step, side, price, quantity, last and original order of one market."""
    iid = market.outcomes[0].instrument_id
    kinds = catalog.kinds(iid)
    blocks: list[list[Int64]] = []
    if Kind.DELTAS in kinds:
        blocks.append(_deltas(catalog, iid))
    elif Kind.QUOTES in kinds:
        blocks.append(_quotes(catalog, iid))
    if Kind.TRADES in kinds:
        blocks.append(_trades(catalog, iid))
    if market.resolved and blocks:
        end = max(int(b[0][-1]) for b in blocks if len(b[0]))
        payout = market.outcomes[0].payout
        assert payout is not None
        at = max(end, market.close_ns) + 1
        blocks.append(
            [
                np.array([v], dtype=np.int64)
                for v in (at, Step.SETTLE, 1, int(payout * PRICE_UNIT), 0, 1)
            ]
        )
    ts, step, side, price, quantity, last = (np.concatenate(c) for c in zip(*blocks, strict=True))
    n = len(ts)
    return [ts, np.full(n, index), step, side, price, quantity, last, np.arange(n)]


def _scale(values: Int64, decimals: int, unit_decimals: int) -> Int64:
    scaled: Int64 = (
        values // 10 ** (decimals - unit_decimals)
        if decimals >= unit_decimals
        else values * 10 ** (unit_decimals - decimals)
    )
    return scaled


def _deltas(catalog: Catalog, iid: str) -> list[Int64]:
    cols = catalog.deltas(iid)
    action = cols.action.astype(np.int64)
    clear = action == int(BookAction.CLEAR)
    gone = action == int(BookAction.DELETE)
    step = np.where(clear, int(Step.CLEAR), int(Step.LEVEL))
    side = np.where(cols.side.astype(np.int64) == int(CatalogSide.SELL), 2, 1)
    quantity = np.where(gone | clear, 0, _scale(cols.size, cols.size_precision, 2))
    price = np.where(clear, 0, _scale(cols.price, cols.price_precision, 4))
    last = (cols.flags.astype(np.int64) & 128) // 128
    return [cols.ts, step, side, price, quantity, last]


def _quotes(catalog: Catalog, iid: str) -> list[Int64]:
    """Top of book as three steps: clear, bid, ask."""
    cols = catalog.quotes(iid)
    n = len(cols)
    ts = np.repeat(cols.ts, 3)
    step = np.tile(np.array([Step.CLEAR, Step.LEVEL, Step.LEVEL], dtype=np.int64), n)
    side = np.tile(np.array([1, 1, 2], dtype=np.int64), n)
    price, quantity = np.zeros(3 * n, dtype=np.int64), np.zeros(3 * n, dtype=np.int64)
    price[1::3], price[2::3] = (_scale(v, cols.price_precision, 4) for v in (cols.bid, cols.ask))
    quantity[1::3], quantity[2::3] = (
        _scale(v, cols.size_precision, 2) for v in (cols.bid_size, cols.ask_size)
    )
    last = np.tile(np.array([0, 0, 1], dtype=np.int64), n)
    return [ts, step, side, price, quantity, last]


def _trades(catalog: Catalog, iid: str) -> list[Int64]:
    cols = catalog.trades(iid)
    n = len(cols)
    return [
        cols.ts,
        np.full(n, int(Step.TRADE)),
        np.where(cols.aggressor.astype(np.int64) == 2, 2, 1),
        _scale(cols.price, cols.price_precision, 4),
        _scale(cols.size, cols.size_precision, 2),
        np.ones(n, dtype=np.int64),
    ]

"""What of a catalog a run sees: instruments with their markets, venues with their capital, the period."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal

from nautilus_trader.model import InstrumentId, Price

from core.domain.errors import MissingData, UsageError
from core.domain.fees import FeeSchedule
from core.domain.grid import Band, TickGrid
from core.domain.market import Event, Market, Outcome
from core.domain.money import MICRO, ZERO
from core.engine.backtest.closing import filled_at_close
from core.engine.backtest.spec import BacktestSpec
from core.engine.catalog import Catalog, Kind
from core.engine.catalog.instruments import precision_of
from core.engine.catalog.reader import read_table
from core.engine.references import InstrumentRef, PriceSource, References
from core.engine.venues import VENUE_PATHS, Venue, load_venue

#: Upper end of the price grid of a spot pair, in quote currency.
SPOT_CEILING = Decimal(10) ** 9
#: Decimals of crypto currencies in the engine: price times size must not be finer.
SPOT_MONEY_DECIMALS = 8
#: Only these: turning a nanosecond timestamp into a Python value would import pandas.
_PAIR_COLUMNS = ["id", "price_precision", "size_precision", "base_currency", "quote_currency"]


@dataclass(frozen=True)
class Universe:
    """The part of a catalog that one run uses.

    Attributes
    ----------
    markets : dict
        Market by instrument id, spot pairs included as markets with one outcome.
    venues : dict
        Venue by code; a venue whose data is only reference (spot behind prediction markets) is absent.
    capital : dict
        Starting money by venue code.
    start_ns, end_ns : int
        First time that strategies act, and last time of data, both inclusive.
    data_start_ns : int
        First time that is streamed: before `start_ns` when books have to be built up.
    mixed : bool
        Whether a venue has books of some instruments and only quotes of others (these are then books of
        one level).
    left_out : tuple of str
        Instruments of which a clean-up left bars only, beside books of their venue.
    at_close : frozenset of str
        Spot pairs that are filled at the closes of their bars (see `closing`).
    records : int
        Rows of data in the period, as far as files tell (the first and last file may be partial).
    """

    catalog: Catalog
    references: References
    markets: Mapping[str, Market]
    events: Mapping[str, Event]
    venues: Mapping[str, Venue]
    all_venues: tuple[str, ...]
    quotes_in: Mapping[str, str]
    capital: Mapping[str, Decimal]
    kinds: Mapping[str, frozenset[Kind]]
    start_ns: int
    end_ns: int
    data_start_ns: int
    records: int
    mixed: bool = False
    at_close: frozenset[str] = frozenset()
    left_out: tuple[str, ...] = ()


def load_universe(
    catalog: Catalog,
    spec: BacktestSpec,
    traded: Sequence[Sequence[str]] = (),
    spot_only: bool = False,
) -> Universe:
    """Return what `spec` asks of `catalog`.

    Parameters
    ----------
    traded : sequence of sequence of str
        Venues that each strategy trades; an empty one means the prediction venues of the data, or all
        of its venues when there is none.
    spot_only : bool
        Leave prediction markets out, so that the spot pairs are traded. With prediction markets in the
        run, spot prices are only read.

    Raises
    ------
    UsageError
        For an instrument, market or venue that is not there.
    MissingData
        If the period holds no data.
    """
    if not spec.capital.is_finite() or spec.capital <= 0:
        raise UsageError("capital must be positive", spec.capital, "use --capital 100")
    by_market = catalog.markets()
    by_instrument = {o.instrument_id: m for m in by_market.values() for o in m.outcomes}
    spot, quotes_in = _spot_markets(catalog)
    by_instrument.update(spot)
    if spot_only:
        by_market, by_instrument = {}, dict(spot)
    ids = _chosen(catalog, spec, by_market, by_instrument)
    ids, left_out = _without_thinned(catalog, ids)
    markets = {iid: by_instrument[iid] for iid in ids}
    kinds = {iid: catalog.kinds(iid) for iid in ids}
    refs = References(_reference(catalog, iid, markets[iid], kinds[iid]) for iid in ids)
    mixed = _mixed_venues(refs)
    predicted = {m.venue for iid, m in markets.items() if iid not in spot}
    trading = _trading(predicted or {m.venue for m in markets.values()}, markets, traded)
    venues = {code: load_venue(code, _paths(spec)) for code in trading}
    start, end = _period(catalog, spec, ids)
    used = {m.market_id for m in markets.values()}
    events = {eid: e for eid, e in sorted(catalog.events().items()) if used & set(e.market_ids)}
    return Universe(
        catalog=catalog,
        references=refs,
        markets=markets,
        events=events,
        venues=venues,
        all_venues=tuple(sorted({m.venue for m in markets.values()})),
        quotes_in=quotes_in,
        capital=_split(spec.capital, trading),
        kinds=kinds,
        start_ns=start,
        end_ns=end,
        data_start_ns=_warm_start(catalog, refs, start),
        records=_records(catalog, ids, start, end),
        mixed=mixed,
        at_close=filled_at_close(refs, quotes_in, trading),
        left_out=left_out,
    )


def _without_thinned(catalog: Catalog, ids: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Leave out what `beta data clean` has thinned to bars, where its venue still has books.

    Such instruments ended before the books begin: they cannot be matched beside them, and must not stand in
    the way of what is whole.
    """
    if not catalog.meta.full_from_ns:
        return ids, ()
    source = {iid: _source(catalog.kinds(iid)) for iid in ids}
    deep = {iid.rsplit(".", 1)[1] for iid in ids if source[iid] is PriceSource.BOOK}
    gone = {
        iid
        for iid in ids
        if iid.rsplit(".", 1)[1] in deep and source[iid] in (PriceSource.BARS, PriceSource.NONE)
    }
    return [iid for iid in ids if iid not in gone], tuple(sorted(gone))


def _mixed_venues(refs: References) -> bool:
    """Make one-level books of quotes where the venue also has whole books; return whether there were any.

    Raises
    ------
    UsageError
        For an instrument with trades or bars only beside whole books: the venue can match only one way.
    """
    deep = {r.venue for r in refs if r.source is PriceSource.BOOK}
    mixed = False
    for ref in refs:
        if ref.venue in deep and ref.source is not PriceSource.BOOK:
            if ref.source is not PriceSource.QUOTES:
                kind = "no prices" if ref.source is PriceSource.NONE else ref.source
                whole = sorted({r.market.market_id for r in refs if r.source is PriceSource.BOOK})
                raise UsageError(
                    f"books and {kind} of one venue cannot be run together",
                    ref.iid,
                    f"name the markets with books: --market {whole[0]} ({len(whole)} have them)",
                )
            ref.source, mixed = PriceSource.BOOK, True
    return mixed


def _trading(
    default: set[str], markets: Mapping[str, Market], traded: Sequence[Sequence[str]]
) -> list[str]:
    """Return the venues that get capital: the ones the strategies name, as far as the data has them."""
    there = {m.venue for m in markets.values()}
    named = {code for codes in traded for code in codes}
    whole = default if not traded or not all(traded) else set()
    if not there & named and not whole:
        raise UsageError(
            "the data has no venue that this strategy trades",
            f"{', '.join(sorted(there))} (it trades {', '.join(sorted(named))})",
            "choose other data: beta data ls",
        )
    return sorted(whole | (there & named))


def _paths(spec: BacktestSpec) -> dict[str, str]:
    return {**VENUE_PATHS, **(spec.venue_paths or {})}


def _split(capital: Decimal, venues: list[str]) -> dict[str, Decimal]:
    """Return the starting money of each venue: equal parts, cut to a millionth; the first takes the rest."""
    part = (capital / len(venues)).quantize(MICRO, rounding=ROUND_DOWN)
    out = dict.fromkeys(venues, part)
    out[venues[0]] = capital - part * (len(venues) - 1)
    return out


def _spot_markets(catalog: Catalog) -> tuple[dict[str, Market], dict[str, str]]:
    """Return each spot pair of the catalog as a market with one outcome, and its quote currency."""
    out: dict[str, Market] = {}
    quotes: dict[str, str] = {}
    for entry in catalog.manifest():
        if entry.kind is not Kind.PAIRS:
            continue
        row = read_table(catalog.root / entry.path).select(_PAIR_COLUMNS).to_pylist()[0]
        iid, price = str(row["id"]), int(row["price_precision"])
        venue = iid.rsplit(".", 1)[1]
        # Finer sizes would make amounts finer than the quote currency, which the engine rounds.
        size = min(int(row["size_precision"]), max(0, SPOT_MONEY_DECIMALS - price))
        step = Decimal(1).scaleb(-price)
        out[iid] = Market(
            venue=venue,
            market_id=iid,
            question=f"{row['base_currency']}/{row['quote_currency']} spot",
            outcomes=(Outcome(iid, str(row["base_currency"])),),
            grid=TickGrid((Band(ZERO, SPOT_CEILING, step),)),
            fees=FeeSchedule(venue=venue, kind="notional"),
            size_step=Decimal(1).scaleb(-size),
            underlying=str(row["base_currency"]),
        )
        quotes[iid] = str(row["quote_currency"])
    return out, quotes


def _chosen(
    catalog: Catalog,
    spec: BacktestSpec,
    by_market: Mapping[str, Market],
    by_instrument: Mapping[str, Market],
) -> list[str]:
    """Return the instrument ids of the run, sorted."""
    have = [iid for iid in catalog.instrument_ids() if iid in by_instrument]
    if not have:
        raise MissingData(
            "the catalog holds no data that this strategy can trade",
            catalog.root,
            f"beta data ls {catalog.root}",
        )
    known = set(have)
    if spec.markets is None and spec.instruments is None:
        return have
    wanted: set[str] = set()
    for market_id in spec.markets or ():
        market = by_market.get(market_id) or by_instrument.get(market_id)
        if market is None:
            raise UsageError(
                "no such market in the catalog",
                market_id,
                _near(market_id, [*by_market, *by_instrument], catalog),
            )
        wanted |= {o.instrument_id for o in market.outcomes} & known
    for iid in spec.instruments or ():
        if iid not in known:
            raise UsageError(
                "no data of this instrument in the catalog", iid, _near(iid, have, catalog)
            )
        wanted.add(iid)
    if spec.instruments is None and any(len(by_instrument[i].outcomes) > 1 for i in wanted):
        # Prediction markets were named: keep the spot prices behind them.
        wanted |= {iid for iid in have if len(by_instrument[iid].outcomes) == 1}
    return sorted(wanted)


def _near(name: str, known: Iterable[str], catalog: Catalog) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"beta data ls {catalog.root}"


def _reference(catalog: Catalog, iid: str, market: Market, kinds: frozenset[Kind]) -> InstrumentRef:
    if len(market.outcomes) == 1 and market.underlying and market.market_id == iid:
        step = market.grid.finest.as_tuple().exponent
        price, size = -int(step), _spot_size_precision(catalog, iid)
        top = SPOT_CEILING
    else:
        precision = precision_of(market)
        price, size, top = precision.price, precision.size, Decimal(1)
    index = next(n for n, o in enumerate(market.outcomes) if o.instrument_id == iid)
    return InstrumentRef(
        iid=iid,
        native=InstrumentId.from_str(iid),
        market=market,
        index=index,
        price_precision=price,
        size_precision=size,
        source=_source(kinds),
        top_price=Price.from_decimal_dp(top, price),
        low_price=Price.from_decimal_dp(ZERO, price),
        bar_types=catalog.bar_types(iid) if Kind.BARS in kinds else (),
    )


def _spot_size_precision(catalog: Catalog, iid: str) -> int:
    path = catalog.files(Kind.PAIRS, iid)[0]
    return int(read_table(path)["size_precision"][0].as_py())


def _source(kinds: frozenset[Kind]) -> PriceSource:
    if Kind.DELTAS in kinds:
        return PriceSource.BOOK
    if Kind.QUOTES in kinds:
        return PriceSource.QUOTES
    if Kind.TRADES in kinds:
        return PriceSource.TRADES
    return PriceSource.BARS if Kind.BARS in kinds else PriceSource.NONE


def _period(catalog: Catalog, spec: BacktestSpec, ids: list[str]) -> tuple[int, int]:
    if spec.start_ns is not None and spec.end_ns is not None and spec.start_ns >= spec.end_ns:
        raise UsageError(
            "the period ends before it begins",
            (spec.start_ns, spec.end_ns),
            "--period 2026-07-03:2026-07-10",
        )
    spans = [_span(catalog, iid) for iid in ids]
    first, last = min(s[0] for s in spans), max(s[1] for s in spans)
    start = first if spec.start_ns is None else max(first, spec.start_ns)
    end = last if spec.end_ns is None else min(last, spec.end_ns - 1)
    if start > end:
        raise MissingData(
            "no data in this period", f"data from {first} to {last} ns", "beta data ls"
        )
    return start, end


def _span(catalog: Catalog, iid: str) -> tuple[int, int]:
    """Return the first and last time of an instrument's data, both inclusive."""
    files = [e for e in catalog.manifest_of(iid) if e.kind not in (Kind.OPTIONS, Kind.PAIRS)]
    return min(e.start_ns for e in files), max(e.end_ns for e in files)


def _warm_start(catalog: Catalog, refs: References, start_ns: int) -> int:
    """Return where streaming must begin so that every book is whole at `start_ns`.

    A book is whole after a CLEAR (snapshot). Without one before `start_ns` all earlier changes count.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    warm = start_ns
    for ref in refs:
        if ref.source is not PriceSource.BOOK:
            continue
        first = _span(catalog, ref.iid)[0]
        if first >= start_ns:
            continue
        since = first
        for path in catalog.files(Kind.DELTAS, ref.iid):
            table = pq.ParquetFile(path).read(columns=["action", "ts_init"])
            ts = table["ts_init"].cast(pa.int64()).to_numpy()
            clear = np.asarray(table["action"].cast(pa.string()).to_pylist()) == "CLEAR"
            before = ts[clear & (ts < start_ns)]
            if len(before):
                since = max(since, int(before[-1]))
            if ts[-1] >= start_ns:
                break
        warm = min(warm, since)
    return warm


def _records(catalog: Catalog, ids: list[str], start: int, end: int) -> int:
    wanted = set(ids)
    total = 0
    for entry in catalog.manifest():
        if entry.kind in (Kind.OPTIONS, Kind.PAIRS) or entry.end_ns < start or entry.start_ns > end:
            continue
        key = entry.key.rsplit("-", 4)[0] if entry.kind is Kind.BARS else entry.key
        if key in wanted:
            total += entry.rows
    return total

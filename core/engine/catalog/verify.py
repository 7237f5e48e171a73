"""Verify a catalog: every file unharmed, every row sound, every market able to settle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from core.domain.errors import DataError
from core.domain.market import Market
from core.engine.catalog.columns import QuoteColumns
from core.engine.catalog.instruments import is_spot
from core.engine.catalog.layout import DEFINITIONS, Kind
from core.engine.catalog.meta import FileEntry
from core.engine.catalog.reader import Catalog, read_table
from core.engine.catalog.tops import tops_of

#: ``progress(stage, files_done, files_total)``.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be.

    Attributes
    ----------
    level : {"error", "warning"}
        An error makes results wrong; a warning must be known.
    """

    level: str
    code: str
    subject: str
    detail: str


@dataclass(slots=True)
class Verification:
    """Outcome of `verify_catalog`."""

    catalog: str
    files: int = 0
    rows: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether there is no error."""
        return all(f.level != "error" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "schema_version": 1,
            "catalog": self.catalog,
            "passed": self.passed,
            "files": self.files,
            "rows": self.rows,
            "findings": [asdict(f) for f in self.findings],
        }

    def error(self, code: str, subject: str, detail: object) -> None:
        """Add an error."""
        self.findings.append(Finding("error", code, subject, str(detail)))

    def warn(self, code: str, subject: str, detail: object) -> None:
        """Add a warning."""
        self.findings.append(Finding("warning", code, subject, str(detail)))


def verify_catalog(catalog: Catalog, progress: Progress | None = None) -> Verification:
    """Check hashes, schemas, order, prices, books and settlements of `catalog`.

    Never raises for bad data: every trouble is a `Finding`.
    """
    out = Verification(str(catalog.root))
    try:
        entries, markets = catalog.manifest(), catalog.markets()
    except DataError as exc:
        out.error("unreadable", exc.what, exc.seen)
        return out
    known = {e.path for e in entries}
    for path in sorted((catalog.root / "data").rglob("*.parquet")):
        relative = path.relative_to(catalog.root).as_posix()
        if relative not in known:
            out.error("stray_file", relative, "not in the manifest; the engine would read it")
    for number, entry in enumerate(entries):
        if progress is not None and number % 50 == 0:
            progress("verify", number, len(entries))
        out.files += 1
        if _unharmed(catalog, entry, out) and entry.kind not in DEFINITIONS:
            out.rows += entry.rows
    _check_columns(catalog, out)
    for market in markets.values():
        _check_market(catalog, market, out)
    if progress is not None:
        progress("verify", len(entries), len(entries))
    return out


def _unharmed(catalog: Catalog, entry: FileEntry, out: Verification) -> bool:
    path = catalog.root / entry.path
    try:
        blob = path.read_bytes()
    except OSError as exc:
        out.error("missing_file", entry.path, exc)
        return False
    if hashlib.sha256(blob).hexdigest() != entry.sha256:
        out.error("changed_file", entry.path, "sha256 differs from the manifest")
        return False
    try:
        table = read_table(path)
    except DataError as exc:
        out.error("unreadable", entry.path, exc.seen)
        return False
    if table.num_rows != entry.rows:
        out.error("row_count", entry.path, f"{table.num_rows}, manifest says {entry.rows}")
        return False
    return True


def _check_columns(catalog: Catalog, out: Verification) -> None:
    """Read every series and run its invariants; crossed books are found here."""
    broken = {f.subject for f in out.findings if f.level == "error"}
    readers: dict[Kind, Callable[[str], Any]] = {
        Kind.DELTAS: catalog.deltas,
        Kind.QUOTES: catalog.quotes,
        Kind.TRADES: catalog.trades,
        Kind.BARS: catalog.bars,
    }
    precisions = catalog.precisions()
    series: dict[tuple[Kind, str], list[str]] = {}
    for entry in catalog.manifest():
        if entry.kind in readers:
            series.setdefault((entry.kind, entry.key), []).append(entry.path)
    for (kind, key), paths in sorted(series.items()):
        if broken.intersection(paths):
            continue
        try:
            cols = readers[kind](key)
            cols.check(f"{kind} of {key}")
        except DataError as exc:
            out.error("bad_rows", key, exc)
            continue
        instrument = key if kind is not Kind.BARS else key.rsplit("-", 4)[0]
        defined = precisions.get(instrument)
        if defined is None or (defined.price, defined.size) != (
            cols.price_precision,
            cols.size_precision,
        ):
            out.error("precision", key, f"defined {defined}")
        if kind is Kind.DELTAS:
            _check_book(key, tops_of(cols, key), out)


def _check_book(key: str, tops: QuoteColumns, out: Verification) -> None:
    both = (tops.bid_size > 0) & (tops.ask_size > 0)
    crossed = both & (tops.bid >= tops.ask)
    if crossed.any():
        at = int(np.argmax(crossed))
        detail = f"{int(crossed.sum())} times, first {tops.bid[at]}/{tops.ask[at]} at {tops.ts[at]}"
        out.error("crossed_book", key, detail)


def _check_market(catalog: Catalog, market: Market, out: Verification) -> None:
    if is_spot(market):
        return
    kinds = [catalog.kinds(o.instrument_id) for o in market.outcomes]
    if not any(kinds):
        out.warn("no_data", market.market_id, "market without data")
        return
    closed = [Kind.CLOSES in k for k in kinds]
    if not any(closed):
        out.warn("unresolved", market.market_id, "no settlement: positions stay open")
    elif not all(closed):
        out.error("half_settled", market.market_id, "settlement of one outcome only")
    elif not market.resolved:
        out.error("half_settled", market.market_id, "settlement rows, but no payout in the market")
    for outcome, own in zip(market.outcomes, kinds, strict=True):
        if Kind.CLOSES in own:
            _check_after_close(catalog, outcome.instrument_id, own, out)


def _check_after_close(
    catalog: Catalog, iid: str, kinds: frozenset[Kind], out: Verification
) -> None:
    spans = [e for e in catalog.manifest_of(iid) if e.kind in kinds]
    settled = min(e.start_ns for e in spans if e.kind is Kind.CLOSES)
    late = [e for e in spans if e.kind is not Kind.CLOSES and e.end_ns > settled]
    for entry in late:
        out.warn("after_settlement", iid, f"{entry.kind} rows after the settlement")

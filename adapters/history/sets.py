"""The recorded sets we know how to import, by name; an importer is loaded when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.history.job import IngestJob, Progress, silent
from adapters.history.report import IngestReport
from core.domain.errors import MissingData, UsageError
from core.engine.catalog import catalog_path
from core.engine.catalog.writer import Mode
from core.engine.venues import load_object

#: Size of each side of a quote in sets that recorded none (ADR 0033): small against what these
#: venues show at the top, so that a backtest cannot take more than was surely there.
ASSUMED_SIZE = Decimal(25)


@dataclass(frozen=True, slots=True)
class RecordedSet:
    """One importable set.

    Attributes
    ----------
    importer : str
        Import string of ``load(job)``.
    options : dict
        Options that the importer understands, with their defaults.
    """

    name: str
    title: str
    importer: str
    licence: str
    options: Mapping[str, Any]


_NO_LICENCE = "no licence file at the source: market facts, internal testing only"
SETS: dict[str, RecordedSet] = {
    s.name: s
    for s in (
        RecordedSet(
            "kalshi_btc15m_l2",
            "Kalshi 15-minute bitcoin windows: full books, spot, settlements (May 2026)",
            "adapters.kalshi.loaders.btc15m_l2:load",
            _NO_LICENCE,
            {"official_only": False},
        ),
        RecordedSet(
            "polymarket_l2_mlb_2025",
            "Polymarket baseball games: full books of both tokens, unresolved (June 2025)",
            "adapters.polymarket.loaders.mlb_l2:load",
            _NO_LICENCE,
            {},
        ),
        RecordedSet(
            "polymarket_bbo_2026",
            "Polymarket top of book of thousands of markets (July and August 2026)",
            "adapters.polymarket.loaders.bbo:load",
            "CC BY 4.0, Polymarket Order Book Dataset (2026), Dinesh Gopalakrishnan",
            {"assumed_size": ASSUMED_SIZE},
        ),
        RecordedSet(
            "kalshi_trades_2025-11",
            "Kalshi public trades of settled markets (November 2025)",
            "adapters.kalshi.loaders.trades:load",
            _NO_LICENCE,
            {},
        ),
        RecordedSet(
            "kalshi_tape_2026-07",
            "Kalshi polls of crypto brackets, sports and economic strikes, with results (July 2026)",
            "adapters.kalshi.loaders.tape:load",
            _NO_LICENCE,
            {"part": "crypto", "assumed_size": ASSUMED_SIZE, "hold_s": 60},
        ),
        RecordedSet(
            "crypto_ohlcv",
            "Bars of BTC, ETH and SOL from a minute to a day, 2020 to 2026, and polled spot",
            "adapters.crypto.loaders.ohlcv:load",
            "MIT (Binance public data) and files without a licence: internal testing only",
            {"part": "bars"},
        ),
    )
}


def ingest(
    name: str,
    source: Path,
    target: str | Path | None = None,
    *,
    mode: Mode = "create",
    options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> IngestReport:
    """Import a recorded set into a catalog.

    Parameters
    ----------
    name : str
        One of `SETS`.
    source : Path
        Folder with the set's files.
    target : str or Path, optional
        Catalog name or folder; None = the set's own name.
    options : mapping, optional
        Options of the importer; an unknown one is refused.

    Returns
    -------
    IngestReport
        Also written beside the catalog as ``NAME.report.json``.

    Raises
    ------
    UsageError
        Unknown set or option.
    MissingData, CorruptData, OverlappingData
        If files are absent or unreadable, or the period is in the catalog already.
    """
    if name not in SETS:
        raise UsageError("unknown set", name, f"known sets: {', '.join(sorted(SETS))}, csv")
    chosen = SETS[name]
    given = dict(options or {})
    unknown = sorted(set(given) - set(chosen.options))
    if unknown:
        raise UsageError(
            f"set {name} has no such option",
            ", ".join(unknown),
            f"its options: {', '.join(chosen.options) or 'none'}",
        )
    if not source.is_dir():
        raise MissingData("no such folder", source, "give the folder of the set with --from")
    job = IngestJob(
        name,
        source,
        catalog_path(target or name),
        origin=chosen.title,
        licence=chosen.licence,
        mode=mode,
        options={**chosen.options, **given},
        progress=progress,
    )
    with job:
        load_object(chosen.importer, "importer")(job)
    return job.report

"""What to run: one strategy, one catalog, one period, one account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.engine.arrivals import Arrivals, Ending, Merge
from core.risk.limits import DEFAULT_PROFILE, Limits

#: ``progress(records_done, records_total, simulated_ns)``; total 0 = unknown.
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True, kw_only=True)
class BacktestSpec:
    """One backtest, complete: two equal specs on equal data give equal decisions.

    Attributes
    ----------
    strategy : str
        Import string ``"strategies.polymarket_arb:PolymarketArb"``, or several joined by commas.
    params : mapping
        Parameters of the strategy's config model; unknown names are refused.
    catalog : Path or str
        Catalog folder, or the name of a catalog (`sample`).
    start_ns, end_ns : int, optional
        Period, nanoseconds since 1970, start inclusive, end exclusive; None = all data.
    capital : Decimal
        Starting dollars, shared by all strategies of the run (per venue).
    latency_ms : float, optional
        Order latency; None = the venue's default.
    queue_position : bool
        Whether a resting order waits behind the size that was there before it.
    merge_pairs : bool
        Whether a pair of both outcomes becomes a dollar at once where the venue merges; else it is held to its
        settlement. (Where the venue nets, it always does.)
    instruments, markets : tuple of str, optional
        Restrict the universe; None = everything in the catalog.
    ledger : Path, optional
        Folder of the ledger to write; None = none.
    limits : str, Path or Limits
        Risk limits: a profile (``usd100``, ``usd10000``, ``campaign``, ``research``), a TOML file, or
        limits as they are. ``research`` switches size, rate and loss limits off.
    seed : int
        Seed of every random source of the run.
    arrivals : Arrivals, optional
        When the orders of a recorded run reached the venue; `latency_ms` is then only what is reported.
    merges : tuple of Merge, optional
        Pairs that a recorded run turned into dollars, and when: these are merged, then, in the place of `merge_pairs`.
    ending : Ending, optional
        When the strategies of a recorded run were stopped: here they stop at the same event.
    look_ns : int
        Step on which the volatility governor sees prices; 0 = a minute, wider over a long period.
    """

    strategy: str
    params: Mapping[str, Any] = field(default_factory=dict)
    catalog: Path | str
    start_ns: int | None = None
    end_ns: int | None = None
    capital: Decimal = Decimal("100")
    latency_ms: float | None = None
    queue_position: bool = True
    merge_pairs: bool = True
    instruments: tuple[str, ...] | None = None
    markets: tuple[str, ...] | None = None
    ledger: Path | None = None
    limits: str | Path | Limits = DEFAULT_PROFILE
    seed: int = 0
    arrivals: Arrivals | None = None
    merges: tuple[Merge, ...] | None = None
    ending: Ending | None = None
    look_ns: int = 0
    venue_paths: Mapping[str, str] | None = None

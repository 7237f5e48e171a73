"""What a run leaves behind, as plain rows: no pandas, no engine objects, exact money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.domain.money import ZERO

#: Upper bounds of the sampled series, so that a report never grows with the number of records.
MAX_EQUITY_POINTS = 20_000
MAX_PRICE_POINTS = 2_000


class FillRow(msgspec.Struct, frozen=True, gc=False):
    """One execution, or one settlement leg.

    Attributes
    ----------
    ts_ns : int
        Simulated time of the fill.
    side : str
        ``"BUY"`` or ``"SELL"`` of the outcome itself.
    role : str
        ``"maker"``, ``"taker"`` or ``"settlement"``.
    price, quantity : Decimal
        Dollars per share, shares.
    fee : Decimal
        Dollars taken (negative: rebate). Always 0 on a settlement leg.
    fee_rule : str
        Name of the dated rule that charged it.
    reason : str
        Why the strategy sent the order; ``"settlement"`` for a settlement leg.
    ledger_seq : int
        Row of the ledger that holds the fill; 0 without a ledger.
    """

    ts_ns: int
    order_id: str
    strategy_id: str
    venue: str
    market_id: str
    instrument_id: str
    side: str
    role: str
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_rule: str
    reason: str
    ledger_seq: int = 0

    @property
    def signed_quantity(self) -> Decimal:
        """Shares added to the position (negative for a sell)."""
        return self.quantity if self.side == "BUY" else -self.quantity


class OrderRow(msgspec.Struct, frozen=True, gc=False):
    """One order with its end.

    Attributes
    ----------
    status : str
        Engine status (``"FILLED"``, ``"CANCELED"``, ...) or ``"REFUSED"`` when the gate said no.
    code : str
        Refusal, denial or rejection code; empty when there was none.
    reason : str
        Why the strategy sent it.
    """

    order_id: str
    ts_ns: int
    strategy_id: str
    venue: str
    market_id: str
    instrument_id: str
    side: str
    quantity: Decimal
    price: Decimal | None
    tif: str
    status: str
    filled: Decimal
    avg_price: Decimal | None
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """One forecast joined to what the market said then and to what happened.

    Attributes
    ----------
    probability : float
        Probability that the instrument pays 1.
    market_price : float, optional
        Mid of the instrument at the same moment; None without a two-sided book.
    outcome : float, optional
        Payout of the instrument (1, 0, 0.5, scalar); None while unresolved.
    """

    ts_ns: int
    instrument_id: str
    market_id: str
    event_id: str
    probability: float
    market_price: float | None
    outcome: float | None
    model_id: str


@dataclass(frozen=True, slots=True)
class SettlementRow:
    """One position of one strategy paid out at resolution: ``proceeds = payout * quantity``."""

    ts_ns: int
    market_id: str
    instrument_id: str
    payout: Decimal
    quantity: Decimal
    proceeds: Decimal
    strategy_id: str = ""


@dataclass(frozen=True, slots=True)
class MergeRow:
    """Pairs of one strategy's YES and NO turned back into a dollar each."""

    ts_ns: int
    strategy_id: str
    market_id: str
    pairs: Decimal
    ledger_seq: int = 0


@dataclass(frozen=True, slots=True)
class MarketRow:
    """What one market did to the account.

    Attributes
    ----------
    pnl : Decimal
        Cash in minus cash out plus the marked value of what is still open, fees included.
    payout : Decimal, optional
        Payout of the first outcome once resolved.
    open_quantity, open_value : Decimal
        Shares left at the end over all outcomes, and their marked value in dollars.
    exit_reasons : dict
        Closing orders (and ``"settlement"``) counted by reason.
    instruments : tuple of str
        Instrument of each outcome, first outcome first.
    """

    market_id: str
    venue: str
    question: str
    fills: int
    pnl: Decimal
    fees: Decimal
    resolved: bool
    payout: Decimal | None
    open_quantity: Decimal
    open_value: Decimal
    exit_reasons: dict[str, int] = field(default_factory=dict)
    instruments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EquityCurve:
    """Account through time: a point at every fill and on a time grid, at most `MAX_EQUITY_POINTS`.

    Attributes
    ----------
    ts_ns : int64[n]
    equity, cash, exposure : float64[n]
        Dollars; ``equity = cash + exposure`` with positions marked at the bid.
    """

    ts_ns: NDArray[np.int64]
    equity: NDArray[np.float64]
    cash: NDArray[np.float64]
    exposure: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Top of book of one traded instrument, at most `MAX_PRICE_POINTS` points.

    Attributes
    ----------
    ts_ns : int64[n]
    bid, ask : float64[n]
        Dollars; NaN where the side is empty.
    """

    instrument_id: str
    ts_ns: NDArray[np.int64]
    bid: NDArray[np.float64]
    ask: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RunHeader:
    """What was run, on what, and how fast.

    Attributes
    ----------
    strategy_version : str
        sha256 over the strategy's source files.
    config_hash : str
        sha256 over everything that decides the result: strategy version, parameters, data, capital,
        latency, queue position, seed.
    catalog_sha : str
        Content hash of the data.
    synthetic : bool
        True when the data was generated, not recorded.
    start_ns, end_ns : int
        Span of the data that was run, nanoseconds since 1970.
    read_from_ns : int
        First time that was read: before `start_ns` when books had to be built up. `records` counts from here.
    engine_seconds : float
        Wall time inside the engine (the only field that differs between two equal runs, with `run_id`).
    fee_rules : tuple of str
        Every dated rule that charged a fill.
    versions : dict
        Package name to version.
    limits : str
        Risk profile the gate held the run to.
    merge_pairs : bool
        Whether pairs of both outcomes became dollars at once.
    """

    run_id: str
    strategy: str
    strategy_version: str
    params: dict[str, Any]
    config_hash: str
    catalog: str
    catalog_sha: str
    synthetic: bool
    start_ns: int
    end_ns: int
    read_from_ns: int
    capital: Decimal
    currency: str
    latency_ms: float
    queue_position: bool
    records: int
    engine_seconds: float
    fee_rules: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    venues: tuple[str, ...] = ()
    interrupted: bool = False
    limits: str = ""
    merge_pairs: bool = True


@dataclass(frozen=True, slots=True)
class RunResult:
    """Everything a report, a notebook or a replay needs of one run.

    Attributes
    ----------
    decision_hash : str
        Canonical hash of every decision, order event, fill and settlement; equal across runs,
        processes and machines.
    final_cash, final_equity : Decimal
        Dollars; equal to the engine's account to the micro-dollar (asserted when the run ends).
    fees_paid : Decimal
        Sum of the fees of all fills.
    unresolved : list of MarketRow
        Markets that end with an open position and no payout.
    warnings : list of str
        Sentences for the reader, most important first.
    """

    header: RunHeader
    orders: list[OrderRow]
    fills: list[FillRow]
    settlements: list[SettlementRow]
    forecasts: list[ForecastRow]
    markets: list[MarketRow]
    equity: EquityCurve
    prices: list[PriceSeries]
    warnings: list[str]
    decision_hash: str
    final_cash: Decimal
    final_equity: Decimal
    fees_paid: Decimal
    unresolved: list[MarketRow]
    merged: Decimal = ZERO
    merges: list[MergeRow] = field(default_factory=list)

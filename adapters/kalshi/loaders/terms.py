"""Kalshi markets as domain values for recorded sets: ids, grids and fee terms, with what is assumed."""

from __future__ import annotations

from decimal import Decimal

from adapters.kalshi.terms import schedule_of_series
from core.domain.errors import FeeError
from core.domain.fees import FeeSchedule
from core.domain.grid import Band, TickGrid
from core.domain.market import Outcome

CENT = TickGrid.uniform(Decimal("0.01"))
#: ``tapered_deci_cent``: a tenth of a cent below 0.10 and above 0.90. Recorded KXBTC15M books never leave it.
TAPERED = TickGrid(
    (
        Band(Decimal(0), Decimal("0.1"), Decimal("0.001")),
        Band(Decimal("0.1"), Decimal("0.9"), Decimal("0.01")),
        Band(Decimal("0.9"), Decimal(1), Decimal("0.001")),
    )
)
DECI_CENT = TickGrid.uniform(Decimal("0.001"))

FEE_NOTE = (
    "Fee terms of series without a recorded payload are assumed: quadratic, multiplier 1 "
    "(the general schedule)."
)


def outcomes(ticker: str) -> tuple[Outcome, Outcome]:
    """Return the YES and NO outcomes of a market."""
    return (
        Outcome(f"{ticker}-YES.KALSHI", "Yes", "yes"),
        Outcome(f"{ticker}-NO.KALSHI", "No", "no"),
    )


def series_of(ticker: str) -> str:
    """Return the series of a market or event ticker (the text before the first dash)."""
    return ticker.split("-", 1)[0]


def assumed_fees(series: str) -> FeeSchedule:
    """Return the recorded fee terms of `series`, else the general schedule (see `FEE_NOTE`)."""
    try:
        return schedule_of_series(series)
    except FeeError:
        return FeeSchedule("KALSHI", kind="quadratic")

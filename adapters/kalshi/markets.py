"""Kalshi payloads to domain markets: grid from price ranges, fees from series and event, hours, strikes."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from adapters.kalshi.grid import grid_from_price_ranges
from adapters.kalshi.parsing import NO, YES, dollars, instrument_id, payouts
from adapters.kalshi.port import venue_time_ns
from adapters.kalshi.schemas import EventMsg, MarketMsg, SeriesMsg
from adapters.kalshi.terms import schedule_from_payload
from core.domain.market import Market, MarketStatus, Outcome

#: Assets whose spot price a window may be about, and the series that are such windows.
ASSETS = ("BTC", "ETH", "SOL", "XRP", "DOGE")
_WINDOW_SERIES = re.compile(rf"KX({'|'.join(ASSETS)})(?:D|15M|1H)?")
STATUSES = {
    "initialized": MarketStatus.UNOPENED,
    "unopened": MarketStatus.UNOPENED,
    "active": MarketStatus.ACTIVE,
    "open": MarketStatus.ACTIVE,
    "inactive": MarketStatus.PAUSED,
    "paused": MarketStatus.PAUSED,
}


def market_of(msg: MarketMsg, series: SeriesMsg, event: EventMsg | None = None) -> Market:
    """Return the domain market.

    A status word that is not known counts as closed: nothing is traded on a guess.

    Raises
    ------
    MarketError, FeeError, CorruptData
        If the grid, the fee terms or a number cannot be read.
    """
    status = STATUSES.get(msg.status, MarketStatus.CLOSED)
    market = Market(
        venue="KALSHI",
        market_id=msg.ticker,
        question=msg.title or msg.yes_sub_title or msg.ticker,
        outcomes=(
            Outcome(instrument_id(msg.ticker, YES), "Yes", "yes"),
            Outcome(instrument_id(msg.ticker, NO), "No", "no"),
        ),
        grid=grid_from_price_ranges([msgspec.to_builtins(r) for r in msg.price_ranges]),
        fees=schedule_from_payload(
            msgspec.to_builtins(series),
            msgspec.to_builtins(event) if event is not None else None,
            {"fee_waiver_expiration_time": msg.fee_waiver_expiration_time},
        ),
        event_id=msg.event_ticker,
        neg_risk_id=msg.event_ticker if event is not None and event.mutually_exclusive else "",
        series=series.ticker,
        category=series.category,
        min_size=Decimal("0.01"),
        open_ns=venue_time_ns(msg.open_time),
        close_ns=venue_time_ns(msg.close_time),
        status=status,
        strike=_strike(
            msg.floor_strike if msg.strike_type not in ("less", "less_or_equal") else msg.cap_strike
        ),
        strike_high=_strike(msg.cap_strike),
        strike_type=msg.strike_type,
        underlying=underlying_of(series),
        info={"title": msg.title, "yes": msg.yes_sub_title},
    )
    if msg.result:
        value = (
            dollars(msg.settlement_value_dollars, "settlement")
            if msg.settlement_value_dollars
            else None
        )
        return market.resolved_as(payouts(msg.result, value))
    return market


def underlying_of(series: SeriesMsg) -> str:
    """Return the asset that a crypto window is about (``"BTC"``), empty for any other series."""
    named = [t.upper() for t in series.tags or () if t.upper() in ASSETS]
    found = _WINDOW_SERIES.fullmatch(series.ticker)
    return named[0] if len(named) == 1 else found[1] if found else ""


def _strike(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None

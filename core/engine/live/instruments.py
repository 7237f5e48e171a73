"""One outcome of a live market as the engine's instrument, the same shape as in a catalog (ADR 0030)."""

from __future__ import annotations

from typing import Any

from nautilus_trader.model import AssetClass, BinaryOption, InstrumentId, Price, Quantity, Symbol

from core.domain.market import Market, Outcome
from core.engine.catalog.instruments import FAR_FUTURE_NS, precision_of
from core.engine.currency import currency


def engine_instrument(market: Market, outcome: Outcome, code: str, now_ns: int) -> Any:
    """Return `outcome` as a binary option that never expires by itself: settlement comes from data."""
    precision = precision_of(market)
    return BinaryOption(
        instrument_id=InstrumentId.from_str(outcome.instrument_id),
        raw_symbol=Symbol(outcome.instrument_id.rsplit(".", 1)[0]),
        asset_class=AssetClass.ALTERNATIVE,
        currency=currency(code),
        activation_ns=market.open_ns,
        expiration_ns=FAR_FUTURE_NS,
        price_precision=precision.price,
        size_precision=precision.size,
        price_increment=Price(10.0**-precision.price, precision.price),
        size_increment=Quantity(10.0**-precision.size, precision.size),
        ts_event=now_ns,
        ts_init=now_ns,
        outcome=outcome.name,
        description=market.question,
        event_id=market.event_id or None,
        info={
            "market_id": market.market_id,
            "token_id": outcome.token_id,
            "neg_risk_id": market.neg_risk_id,
        },
    )

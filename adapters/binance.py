"""Binance spot as the engine's registry sees it."""

from __future__ import annotations

from adapters.crypto.fees import BINANCE_SPOT, NotionalFeeBook
from adapters.venue import VenueSpec

VENUE = VenueSpec(
    code="BINANCE",
    currency="USDT",
    fee_book=lambda: NotionalFeeBook(BINANCE_SPOT),
    default_latency_ms=50.0,
)

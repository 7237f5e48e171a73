"""Polymarket as the engine's registry sees it."""

from __future__ import annotations

from adapters.polymarket.fees import PolymarketFeeBook
from adapters.venue import VenueSpec

VENUE = VenueSpec(
    code="POLYMARKET",
    currency="USD",
    fee_book=PolymarketFeeBook,
    merge_pairs=True,
    default_latency_ms=200.0,
)

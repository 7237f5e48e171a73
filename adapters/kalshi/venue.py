"""Kalshi as the engine's registry sees it."""

from __future__ import annotations

from adapters.kalshi.fees import KalshiFeeBook
from adapters.venue import VenueSpec

VENUE = VenueSpec(
    code="KALSHI",
    currency="USD",
    fee_book=KalshiFeeBook,
    nets_outcomes=True,
    merge_pairs=True,
    default_latency_ms=100.0,
    stamps_orders=True,
)

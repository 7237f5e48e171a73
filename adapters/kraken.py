"""Kraken spot as the engine's registry sees it."""

from __future__ import annotations

from adapters.crypto.fees import KRAKEN_SPOT, NotionalFeeBook
from adapters.venue import VenueSpec

VENUE = VenueSpec(
    code="KRAKEN",
    currency="USD",
    fee_book=lambda: NotionalFeeBook(KRAKEN_SPOT),
    default_latency_ms=50.0,
)

"""Kraken as the engine's registry sees it: fees for the backtest, the engine's own client for live data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.crypto.fees import KRAKEN_SPOT, NotionalFeeBook
from adapters.crypto.wiring import revealed, settings_of
from adapters.venue import VenueSpec
from core.engine.catalog.instruments import Pair

VENUE = VenueSpec(
    code="KRAKEN",
    currency="USD",
    fee_book=lambda: NotionalFeeBook(KRAKEN_SPOT),
    default_latency_ms=50.0,
)
#: Decimals of price and size that we keep of each pair (the venue's own may be fewer).
DECIMALS = {"BTC": (2, 6), "ETH": (2, 6), "SOL": (3, 5), "XRP": (5, 3), "DOGE": (7, 1)}


def spot_pair(base: str) -> Pair | None:
    """Return the dollar pair of an asset, None for one that is not followed."""
    found = DECIMALS.get(base)
    return Pair(f"{base}/USD.KRAKEN", base, "USD", *found) if found else None


def wire(builder: Any, settings: Mapping[str, Any]) -> Any:
    """Add Kraken's clients to a node builder and return it.

    Parameters
    ----------
    settings : mapping
        Fields of `CryptoSettings`.

    Raises
    ------
    ConfigError
        See `settings_of`.
    """
    from nautilus_trader.adapters import kraken
    from nautilus_trader.model import AccountId

    chosen = settings_of("KRAKEN", settings, {"spot": ("live",), "futures": ("live", "demo")})
    where: dict[str, Any] = {
        "product_type": getattr(kraken.KrakenProductType, chosen.product.upper()),
        "environment": getattr(kraken.KrakenEnvironment, chosen.environment.upper()),
        "base_url": chosen.base_url or None,
        "api_key": revealed(chosen.api_key),
        "api_secret": revealed(chosen.api_secret),
    }
    data = kraken.KrakenDataClientConfig(
        **where,
        ws_public_url=chosen.ws_url or None,
        ws_private_url=chosen.ws_private_url or chosen.ws_url or None,
    )
    builder = builder.add_data_client("KRAKEN", kraken.KrakenDataClientFactory(), data)
    if chosen.execution:
        execution = kraken.KrakenExecutionClientConfig(
            AccountId(f"KRAKEN-{chosen.account}"),
            **where,
            ws_url=chosen.ws_private_url or chosen.ws_url or None,
        )
        builder = builder.add_exec_client(
            "KRAKEN", kraken.KrakenExecutionClientFactory(), execution
        )
    return builder

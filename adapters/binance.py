"""Binance as the engine's registry sees it: fees for the backtest, the engine's own client for live data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from adapters.crypto.fees import BINANCE_SPOT, NotionalFeeBook
from adapters.crypto.wiring import revealed, settings_of
from adapters.venue import VenueSpec
from core.engine.catalog.instruments import Pair

VENUE = VenueSpec(
    code="BINANCE",
    currency="USDT",
    fee_book=lambda: NotionalFeeBook(BINANCE_SPOT),
    default_latency_ms=50.0,
)
PRODUCTS = {"spot": "SPOT", "futures": "USD_M"}
#: Decimals of price and size that we keep of each pair (the venue's own may be fewer).
DECIMALS = {"BTC": (2, 6), "ETH": (2, 6), "SOL": (2, 6), "XRP": (4, 4), "DOGE": (5, 3)}


def spot_pair(base: str) -> Pair | None:
    """Return the tether pair of an asset, None for one that is not followed."""
    found = DECIMALS.get(base)
    return Pair(f"{base}USDT.BINANCE", base, "USDT", *found) if found else None


def wire(builder: Any, settings: Mapping[str, Any]) -> Any:
    """Add Binance's clients to a node builder and return it.

    Parameters
    ----------
    settings : mapping
        Fields of `CryptoSettings`.

    Raises
    ------
    ConfigError
        See `settings_of`.
    """
    from nautilus_trader.adapters import binance
    from nautilus_trader.model import AccountId

    every: tuple[Any, ...] = ("live", "testnet", "demo")
    chosen = settings_of("BINANCE", settings, {"spot": every, "futures": every})
    where: dict[str, Any] = {
        "product_type": getattr(binance.BinanceProductType, PRODUCTS[chosen.product]),
        "environment": getattr(binance.BinanceEnvironment, chosen.environment.upper()),
        "base_url_http": chosen.base_url or None,
        "base_url_ws": chosen.ws_url or None,
        "api_key": revealed(chosen.api_key),
        "api_secret": revealed(chosen.api_secret),
    }
    data = binance.BinanceDataClientConfig(
        **where,
        # The binary stream needs an Ed25519 key; JSON does not.
        spot_market_data_mode=binance.BinanceSpotMarketDataMode.Json,
    )
    builder = builder.add_data_client("BINANCE", binance.BinanceDataClientFactory(), data)
    if chosen.execution:
        execution = binance.BinanceExecutionClientConfig(
            AccountId(f"BINANCE-{chosen.account}"),
            **where,
            base_url_ws_trading=chosen.ws_private_url or chosen.ws_url or None,
        )
        builder = builder.add_exec_client(
            "BINANCE", binance.BinanceExecutionClientFactory(), execution
        )
    return builder

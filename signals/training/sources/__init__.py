"""Where training samples come from: benchmarks, resolved markets, bars."""

from signals.training.sources.base import Raw, Source, redraw_after
from signals.training.sources.crypto import CryptoBars
from signals.training.sources.forecasting import Ett, M4Hourly
from signals.training.sources.markets import KalshiBtc15m, PolymarketBbo, PolymarketDaily

SOURCES: dict[str, Source] = {
    "ett": Ett(),
    "m4_hourly": M4Hourly(),
    "crypto_bars": CryptoBars(),
    "kalshi_btc15m": KalshiBtc15m(),
    "polymarket_bbo": PolymarketBbo(),
    "polymarket_daily": PolymarketDaily(),
}

__all__ = ["SOURCES", "Raw", "Source", "redraw_after"]

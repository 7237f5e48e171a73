"""Where training samples come from: benchmarks, resolved markets, bars."""

from signals.errors import TrainingError
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


def source_named(name: str) -> Source:
    """
    Return the source that a configuration names.

    Raises
    ------
    TrainingError
        There is none of this name.
    """
    if name not in SOURCES:
        raise TrainingError("unknown data source", seen=name, mend=f"one of {', '.join(SOURCES)}")
    return SOURCES[name]


__all__ = ["SOURCES", "Raw", "Source", "redraw_after", "source_named"]

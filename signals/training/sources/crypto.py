"""Crypto bars: will the close be higher `ahead` bars later, from indicators on several timeframes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from signals.features import FeatureSet, FeatureSpec, compute, segments
from signals.training.samples import MarketSamples
from signals.training.sources.base import Raw, Unfitted, recording

HOUR_NS = 3_600_000_000_000
BAR_FEATURES = FeatureSet(
    features=(
        FeatureSpec(name="return_1", kind="log_return"),
        FeatureSpec(name="return_24", kind="log_return", params={"period": 24}),
        FeatureSpec(name="volatility", kind="realized_volatility", params={"period": 48}),
        FeatureSpec(name="rsi", kind="rsi"),
        FeatureSpec(name="adx", kind="adx"),
        FeatureSpec(name="di_difference", kind="di_difference"),
        FeatureSpec(name="macd_histogram", kind="macd_histogram"),
        FeatureSpec(name="bollinger_position", kind="bollinger_position"),
        FeatureSpec(name="atr_ratio", kind="atr_ratio"),
        FeatureSpec(name="obv_slope", kind="obv_slope"),
        FeatureSpec(name="supertrend_gap", kind="supertrend_gap"),
        FeatureSpec(name="volatility_regime", kind="volatility_regime"),
        FeatureSpec(name="trend_regime", kind="trend_regime"),
        FeatureSpec(name="rsi_day", kind="rsi", every=24),
        FeatureSpec(name="return_day", kind="log_return", every=24),
    ),
    interval_ns=HOUR_NS,
)
FILES = {s: f"crypto_ohlcv/{s.lower()}usdt_1h_2020_2024.parquet" for s in ("BTC", "ETH", "SOL")}


class CryptoBars(Unfitted):
    """
    Hourly BTC, ETH and SOL; the outcome is 1 when the close is higher `ahead` hours later.

    There is no market price for that question; the reference is 0.5. One day of all symbols is
    one event, because the coins move together. Options: ``symbols``, ``ahead`` (24),
    ``lookback`` (24), ``stride`` (6 hours between decisions).
    """

    features = BAR_FEATURES

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read the bars; `ts_ns` is the close of a bar, not its open."""
        parts = [
            pl.read_parquet(recording(root, FILES[symbol])).select(
                pl.lit(symbol).alias("symbol"),
                (pl.col("ts").dt.epoch("ns") + HOUR_NS).alias("ts_ns"),
                "open",
                "high",
                "low",
                "close",
                "volume",
            )
            for symbol in options.get("symbols", tuple(FILES))
        ]
        return {"bars": pl.concat(parts)}

    def build(self, raw: Raw, options: Mapping[str, Any]) -> MarketSamples:
        """Compute features per symbol and gap-free segment, and cut windows."""
        ahead, lookback = int(options.get("ahead", 24)), int(options.get("lookback", 24))
        stride = int(options.get("stride", 6))
        x, decided, outcome, group = [], [], [], []
        for (symbol,), bars in (
            raw["bars"].partition_by("symbol", as_dict=True, maintain_order=True).items()
        ):
            for part in segments(bars, HOUR_NS):
                if part.height < self.features.warmup + lookback + ahead:
                    continue
                values = compute(part, self.features)
                close = part["close"].to_numpy()[part.height - values.height :]
                table = values.select(self.features.names).to_numpy().astype(np.float32)
                last = np.arange(lookback - 1, len(close) - ahead, stride)
                windows = table[last[:, None] + np.arange(1 - lookback, 1)]
                good = np.isfinite(windows).all(axis=(1, 2))
                x.append(windows[good])
                decided.append(values["ts_ns"].to_numpy()[last][good])
                outcome.append((close[last + ahead] > close[last])[good])
                group.append(np.full(int(good.sum()), str(symbol)))
        times = np.concatenate(decided)
        return MarketSamples(
            decided_ns=times,
            label_end_ns=times + ahead * HOUR_NS,
            event=times // (24 * HOUR_NS),
            x=np.concatenate(x),
            outcome=np.concatenate(outcome).astype(np.float64),
            price=np.full(times.size, 0.5),
            horizon=np.full(times.size, f"{ahead}h").astype(np.str_),
            group=np.concatenate(group).astype(np.str_),
            names=self.features.names,
        )

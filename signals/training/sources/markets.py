"""Resolved prediction markets: what was known at a decision time, the price then, the outcome."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from signals.features import FeatureSet, FeatureSpec
from signals.training.samples import MarketSamples
from signals.training.sources.base import Raw, Unfitted, recording

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
QUOTE_FEATURES = FeatureSet(
    features=(
        FeatureSpec(name="market_log_odds", kind="market_log_odds"),
        FeatureSpec(name="spread", kind="spread"),
        FeatureSpec(name="book_imbalance", kind="book_imbalance"),
        FeatureSpec(name="log_time_to_close", kind="log_time_to_close"),
    ),
    interval_ns=10 * SECOND_NS,
)
PRICE_FEATURES = FeatureSet(
    features=(
        FeatureSpec(name="market_log_odds", kind="market_log_odds"),
        FeatureSpec(name="log_time_to_close", kind="log_time_to_close"),
    )
)
BOOK_FEATURES = FeatureSet(
    features=(
        FeatureSpec(name="market_log_odds", kind="market_log_odds"),
        FeatureSpec(name="spread", kind="spread"),
        FeatureSpec(name="log_time_to_close", kind="log_time_to_close"),
    )
)


def grid_samples(
    observations: pl.DataFrame,
    markets: pl.DataFrame,
    key: str,
    features: FeatureSet,
    *,
    steps: int,
    step_ns: int,
    horizons: Mapping[str, int],
    tolerance_ns: int,
    max_spread: float = 1.0,
) -> MarketSamples:
    """
    Sample every market at fixed times before its end, with `steps` looks back at its quotes.

    Parameters
    ----------
    observations
        Quotes with `key`, `ts_ns`, `mid` and the input columns of the features; sorted by time.
    markets
        `key`, `end_ns`, `outcome` (0 or 1), `event`, `group`.
    steps, step_ns
        Length and spacing of the window. Each look takes the newest quote at that time, not
        older than `tolerance_ns`; a market without one at any look is left out.
    horizons
        Label to nanoseconds before `end_ns`.
    max_spread
        Leave out decisions at which the spread was wider: there the mid is no market price.
    """
    grid = _grid(markets, key, horizons, steps, step_ns)
    joined = grid.join_asof(
        observations.sort("ts_ns"),
        on="ts_ns",
        by=key,
        strategy="backward",
        tolerance=tolerance_ns,
        check_sortedness=False,
    ).with_columns(((pl.col("end_ns") - pl.col("ts_ns")) / SECOND_NS).alias("seconds_to_close"))
    values = _computed(joined, key, features)
    names = ["x_" + n for n in features.names]
    kept = _whole(values, key, names, steps)
    x = kept.select(names).to_numpy().astype(np.float32).reshape(-1, steps, len(names))
    last = kept.filter(pl.col("step") == steps - 1)
    if "spread" in last.columns:
        narrow = (last["spread"] <= max_spread).to_numpy() & (last["spread"] >= 0).to_numpy()
        x, last = x[narrow], last.filter(pl.Series(narrow))
    return MarketSamples(
        decided_ns=last["decided_ns"].to_numpy(),
        label_end_ns=last["end_ns"].to_numpy(),
        event=last["event"].to_numpy().astype(np.int64),
        x=x,
        outcome=last["outcome"].to_numpy().astype(np.float64),
        price=last["mid"].to_numpy().astype(np.float64),
        horizon=last["label"].to_numpy().astype(np.str_),
        group=last["group"].to_numpy().astype(np.str_),
        names=features.names,
    )


def _computed(joined: pl.DataFrame, key: str, features: FeatureSet) -> pl.DataFrame:
    """Return the feature columns beside what a sample needs, in a fixed order of rows."""
    return joined.select(
        key,
        "label",
        "step",
        "ts_ns",
        "decided_ns",
        "end_ns",
        "outcome",
        "event",
        "group",
        "mid",
        *(["spread"] if "spread" in joined.columns else []),
        *(
            f.definition.expr(f.settings).alias("x_" + f.name)
            for f in features.features
            if f.definition.expr
        ),
    ).sort("decided_ns", key, "label", "step")


def _whole(values: pl.DataFrame, key: str, names: list[str], steps: int) -> pl.DataFrame:
    """Keep the decisions whose every look has every feature."""
    good = (
        values.group_by(key, "label", maintain_order=True)
        .agg(
            pl.all_horizontal(pl.col(n).is_finite().fill_null(False).all() for n in names).alias(
                "good"
            ),
            pl.len().alias("count"),
        )
        .filter(pl.col("good") & (pl.col("count") == steps))
        .select(key, "label")
    )
    return values.join(good, on=[key, "label"], how="semi", maintain_order="left")


def _grid(
    markets: pl.DataFrame, key: str, horizons: Mapping[str, int], steps: int, step_ns: int
) -> pl.DataFrame:
    labels = pl.DataFrame(
        {"label": list(horizons), "lead_ns": list(horizons.values())},
        schema={"label": pl.String, "lead_ns": pl.Int64},
    )
    looks = pl.DataFrame({"step": range(steps)}, schema={"step": pl.Int64})
    return (
        markets.join(labels, how="cross")
        .join(looks, how="cross")
        .with_columns((pl.col("end_ns") - pl.col("lead_ns")).alias("decided_ns"))
        .with_columns(
            (pl.col("decided_ns") - (steps - 1 - pl.col("step")) * step_ns).alias("ts_ns")
        )
        .sort("ts_ns")
    )


class KalshiBtc15m(Unfitted):
    """
    Kalshi KXBTC15M: 15-minute up/down windows, quotes of the ticker stream, recorded results.

    One market is one event. Decisions every 30 s from 14 minutes to 30 s before the close.
    """

    features = QUOTE_FEATURES
    labels: tuple[str, str] | None = ("markets", "result")

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read ticker stream and results."""
        quotes = pl.read_parquet(recording(root, "kalshi_btc15m_l2/ticker.parquet")).select(
            "ticker",
            pl.col("exchange_ts").dt.epoch("ns").alias("ts_ns"),
            pl.col("yes_bid").alias("bid_px_0"),
            pl.col("yes_ask").alias("ask_px_0"),
            pl.col("yes_bid_size").alias("bid_sz_0"),
            pl.col("yes_ask_size").alias("ask_sz_0"),
        )
        markets = pl.read_csv(recording(root, "kalshi_btc15m_l2/markets.csv")).select(
            "ticker", "result", "close_time", "close_ts"
        )
        return {"quotes": quotes, "markets": markets}

    def build(self, raw: Raw, options: Mapping[str, Any]) -> MarketSamples:
        """Sample each window every 30 seconds."""
        quotes = (
            raw["quotes"]
            .filter(
                (pl.col("bid_px_0") > 0)
                & (pl.col("ask_px_0") < 1)
                & (pl.col("ask_px_0") > pl.col("bid_px_0"))
            )
            .with_columns(
                ((pl.col("bid_px_0") + pl.col("ask_px_0")) / 2).alias("mid"),
                (pl.col("ask_px_0") - pl.col("bid_px_0")).alias("spread"),
            )
        )
        markets = (
            raw["markets"]
            .filter(pl.col("result").is_in(["yes", "no"]) & pl.col("close_time").is_not_null())
            .sort("ticker")
            .select(
                "ticker",
                pl.col("close_time")
                .str.to_datetime(time_zone="UTC")
                .dt.epoch("ns")
                .alias("end_ns"),
                (pl.col("result") == "yes").cast(pl.Float64).alias("outcome"),
                pl.int_range(pl.len()).alias("event"),
                pl.lit("BTC").alias("group"),
            )
        )
        horizons = {f"{s}s": s * SECOND_NS for s in range(30, 841, 30)}
        return grid_samples(
            quotes,
            markets,
            "ticker",
            self.features,
            steps=int(options.get("lookback", 8)),
            step_ns=10 * SECOND_NS,
            horizons=horizons,
            tolerance_ns=60 * SECOND_NS,
            max_spread=float(options.get("max_spread", 0.1)),
        )


class PolymarketBbo(Unfitted):
    """
    Polymarket top of book with labels of the venue's API only (`convergence` labels are biased).

    The end of a market is its last poll, which no one knew beforehand: the model and the price
    are compared at the same moment, but the moment itself is chosen with hindsight. Markets of
    one game or tournament (slug without its first word, up to the date) are one event.
    """

    features = BOOK_FEATURES
    labels: tuple[str, str] | None = ("markets", "resolved_yes")

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read quotes and labels."""
        quotes = pl.read_parquet(recording(root, "polymarket_bbo_2026/quotes.parquet")).select(
            "slug",
            pl.col("ts").dt.epoch("ns").alias("ts_ns"),
            pl.col("bid").alias("bid_px_0"),
            pl.col("ask").alias("ask_px_0"),
        )
        markets = pl.read_parquet(recording(root, "polymarket_bbo_2026/markets.parquet"))
        return {"quotes": quotes, "markets": markets.drop("first_ts")}

    def build(self, raw: Raw, options: Mapping[str, Any]) -> MarketSamples:
        """Sample each market at several leads before its last poll."""
        quotes = (
            raw["quotes"]
            .filter(pl.col("bid_px_0").is_not_null() & pl.col("ask_px_0").is_not_null())
            .with_columns(
                ((pl.col("bid_px_0") + pl.col("ask_px_0")) / 2).alias("mid"),
                (pl.col("ask_px_0") - pl.col("bid_px_0")).alias("spread"),
            )
            .filter(pl.col("spread") > 0)
        )
        name = (
            pl.col("slug").str.extract(r"^[^-]+-(.*?\d{4}-\d{2}-\d{2})").fill_null(pl.col("slug"))
        )
        markets = (
            raw["markets"]
            .filter((pl.col("label_source") == "api") & pl.col("resolved_yes").is_not_null())
            .sort("slug")
            .select(
                "slug",
                pl.col("last_ts").dt.epoch("ns").alias("end_ns"),
                pl.col("resolved_yes").cast(pl.Float64).alias("outcome"),
                name.rank("dense").cast(pl.Int64).alias("event"),
                pl.col("category").alias("group"),
            )
        )
        hour = 3600 * SECOND_NS
        horizons = {f"{h}h": h * hour for h in options.get("hours", (1, 3, 6, 12, 24, 48))}
        return grid_samples(
            quotes,
            markets,
            "slug",
            self.features,
            steps=int(options.get("lookback", 6)),
            step_ns=hour // 2,
            horizons=horizons,
            tolerance_ns=12 * hour,
            max_spread=float(options.get("max_spread", 0.1)),
        )


class PolymarketDaily(Unfitted):
    """
    Polymarket daily price samples with resolutions, one outcome per market.

    The outcome is the one labelled Yes, else the first by its id: never chosen by its payoff.
    Markets that resolved in the same hour count as one event, because the set does not say which
    markets belong together. Decision times are days before the resolution, known only afterwards.
    """

    features = PRICE_FEATURES
    labels: tuple[str, str] | None = ("instruments", "payoff_on_resolve")

    def load(self, root: Path, options: Mapping[str, Any]) -> Raw:
        """Read bars, instruments and resolutions."""
        folder = "polymarket_daily_bars"
        bars = pl.read_parquet(recording(root, f"{folder}/bars_1d.parquet")).select(
            "instrument_id",
            pl.col("ts").dt.epoch("ns").alias("ts_ns"),
            pl.col("close").alias("mid"),
        )
        instruments = pl.read_parquet(recording(root, f"{folder}/instruments.parquet"))
        resolutions = pl.read_parquet(recording(root, f"{folder}/resolutions.parquet"))
        return {
            "bars": bars,
            "instruments": instruments.select(
                "instrument_id", "market_id", "label", "payoff_on_resolve"
            ),
            "resolutions": resolutions.select("market_id", "resolved_ts"),
        }

    def build(self, raw: Raw, options: Mapping[str, Any]) -> MarketSamples:
        """Sample each market at several leads before its resolution."""
        chosen = (
            raw["instruments"]
            .with_columns((pl.col("label") != "Yes").alias("other"))
            .sort("market_id", "other", "instrument_id")
            .unique("market_id", keep="first", maintain_order=True)
            .filter(pl.col("payoff_on_resolve").is_in([0.0, 1.0]))
        )
        markets = (
            chosen.join(
                raw["resolutions"].unique("market_id", keep="first", maintain_order=True),
                on="market_id",
            )
            .sort("instrument_id")
            .select(
                "instrument_id",
                pl.col("resolved_ts").dt.epoch("ns").alias("end_ns"),
                pl.col("payoff_on_resolve").alias("outcome"),
                pl.col("resolved_ts").dt.truncate("1h").rank("dense").cast(pl.Int64).alias("event"),
                pl.col("label")
                .eq("Yes")
                .replace_strict({True: "yes_no", False: "named"})
                .alias("group"),
            )
        )
        horizons = {f"{d}d": d * DAY_NS for d in options.get("days", (1, 2, 3, 7, 14, 30))}
        return grid_samples(
            raw["bars"],
            markets,
            "instrument_id",
            self.features,
            steps=int(options.get("lookback", 4)),
            step_ns=DAY_NS,
            horizons=horizons,
            tolerance_ns=DAY_NS + DAY_NS // 8,
        )

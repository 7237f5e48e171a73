"""Order-book and prediction-market features: functions of one row, written once for both paths.

Each function sees the row as a mapping and a small set of maths: floats when streaming, polars
expressions in batch. There is no second implementation that could drift away.

Columns of a book: ``bid_px_0, bid_sz_0, ask_px_0, ask_sz_0, bid_px_1, ...`` from best to worst,
prices in dollars or quote currency, sizes in contracts or base units. Columns of a prediction
market: ``mid`` (0..1), ``seconds_to_close``, ``spot``, ``strike``, ``sigma`` (standard deviation
of the log spot price over one second), ``other_mid`` (the same proposition on another venue).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import Any

import polars as pl

from signals.features.registry import Kind, Settings, columns, memory, register

_INVERSE = NormalDist().inv_cdf
PROBABILITY_FLOOR = 1e-3


class FloatMaths:
    """Maths on floats."""

    log = staticmethod(math.log)
    sqrt = staticmethod(math.sqrt)

    @staticmethod
    def clip(value: float, low: float, high: float) -> float:
        """Limit a value to [low, high]."""
        return min(max(value, low), high)

    @staticmethod
    def quantile(p: float) -> float:
        """Standard normal quantile (Wichura's AS 241)."""
        return _INVERSE(p)


class PolarsMaths:
    """The same maths on polars expressions."""

    @staticmethod
    def log(value: pl.Expr) -> pl.Expr:
        """Natural logarithm."""
        return value.log()

    @staticmethod
    def sqrt(value: pl.Expr) -> pl.Expr:
        """Square root."""
        return value.sqrt()

    @staticmethod
    def clip(value: pl.Expr, low: float, high: float) -> pl.Expr:
        """Limit a value to [low, high]."""
        return value.clip(low, high)

    @staticmethod
    def quantile(p: pl.Expr) -> pl.Expr:
        """Standard normal quantile (Wichura's AS 241)."""
        return p.map_batches(
            lambda s: pl.Series(
                [_INVERSE(v) if v is not None and 0 < v < 1 else math.nan for v in s.to_list()],
                dtype=pl.Float64,
            ),
            return_dtype=pl.Float64,
        )


RowFunction = Callable[[Mapping[str, Any], Any, Settings], Any]


class RowStream:
    """Evaluate a row function on floats; a division by zero or a bad logarithm is NaN."""

    __slots__ = ("_function", "_names", "_settings")

    def __init__(self, function: RowFunction, names: tuple[str, ...], settings: Settings) -> None:
        self._function, self._names, self._settings = function, names, settings

    def update(self, *values: float) -> float:
        """Take the input columns in order."""
        row = dict(zip(self._names, values, strict=True))
        try:
            return float(self._function(row, FloatMaths, self._settings))
        except (ZeroDivisionError, ValueError):
            return math.nan


def _add(
    name: str,
    inputs: tuple[str, ...] | Callable[[Settings], tuple[str, ...]],
    defaults: dict[str, float],
    function: RowFunction,
) -> None:
    wanted = inputs if callable(inputs) else columns(*inputs)

    def expression(s: Settings) -> pl.Expr:
        row = {n: pl.col(n).cast(pl.Float64) for n in wanted(s)}
        result: pl.Expr = function(row, PolarsMaths, s)
        return result

    register(
        name,
        Kind(
            wanted,
            defaults,
            memory(lambda _: 1),
            lambda s: RowStream(function, wanted(s), s),
            expression,
        ),
    )


def _levels(*stems: str) -> Callable[[Settings], tuple[str, ...]]:
    return lambda s: tuple(f"{stem}_{i}" for i in range(int(s["levels"])) for stem in stems)


def _total(row: Mapping[str, Any], stem: str, s: Settings) -> Any:
    total = row[f"{stem}_0"]
    for i in range(1, int(s["levels"])):
        total = total + row[f"{stem}_{i}"]
    return total


def _imbalance(row: Mapping[str, Any], _: Any, s: Settings) -> Any:
    bid, ask = _total(row, "bid_sz", s), _total(row, "ask_sz", s)
    return (bid - ask) / (bid + ask)


def _microprice_gap(row: Mapping[str, Any], _: Any, s: Settings) -> Any:
    bid, ask = row["bid_px_0"], row["ask_px_0"]
    weight = row["bid_sz_0"] / (row["bid_sz_0"] + row["ask_sz_0"])
    return weight * ask + (1.0 - weight) * bid - (bid + ask) / 2.0


def _spread(row: Mapping[str, Any], _: Any, s: Settings) -> Any:
    return row["ask_px_0"] - row["bid_px_0"]


def _depth_slope(row: Mapping[str, Any], _: Any, s: Settings) -> Any:
    """Contracts per dollar between best and last level: (bid - ask) / (bid + ask), -1..1."""
    last = int(s["levels"]) - 1
    bid = _total(row, "bid_sz", s) / (row["bid_px_0"] - row[f"bid_px_{last}"])
    ask = _total(row, "ask_sz", s) / (row[f"ask_px_{last}"] - row["ask_px_0"])
    return (bid - ask) / (bid + ask)


def _log_odds(row: Mapping[str, Any], m: Any, s: Settings) -> Any:
    p = m.clip(row["mid"], PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return m.log(p / (1.0 - p))


def _sigmas(row: Mapping[str, Any], m: Any, s: Settings) -> Any:
    """Distance of spot above strike in standard deviations left to run."""
    return m.log(row["spot"] / row["strike"]) / (row["sigma"] * m.sqrt(row["seconds_to_close"]))


def _implied_volatility_ratio(row: Mapping[str, Any], m: Any, s: Settings) -> Any:
    """
    Volatility at which the digital option is worth its mid, over the given sigma.

    P(S_T > K) = Phi(ln(S / K) / (v sqrt(T))) with the drift left out (it is below 1e-4 sigmas at
    15 minutes), so v = ln(S / K) / (sqrt(T) Phi^-1(mid)). At the money the price carries no
    volatility and the ratio is limited to [0, 5].
    """
    p = m.clip(row["mid"], PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    implied = m.log(row["spot"] / row["strike"]) / (m.sqrt(row["seconds_to_close"]) * m.quantile(p))
    return m.clip(implied / row["sigma"], 0.0, 5.0)


BOOK = ("bid_px", "bid_sz", "ask_px", "ask_sz")
_add("book_imbalance", _levels("bid_sz", "ask_sz"), {"levels": 1}, _imbalance)
_add("microprice_gap", ("bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0"), {}, _microprice_gap)
_add("spread", ("bid_px_0", "ask_px_0"), {}, _spread)
_add("depth_slope", _levels(*BOOK), {"levels": 3}, _depth_slope)
_add("market_log_odds", ("mid",), {}, _log_odds)
_add(
    "log_time_to_close",
    ("seconds_to_close",),
    {},
    lambda r, m, s: m.log(1.0 + r["seconds_to_close"] / 60.0),
)
_add("sigmas_to_strike", ("spot", "strike", "sigma", "seconds_to_close"), {}, _sigmas)
_add(
    "implied_volatility_ratio",
    ("mid", "spot", "strike", "sigma", "seconds_to_close"),
    {},
    _implied_volatility_ratio,
)
_add("cross_venue_gap", ("mid", "other_mid"), {}, lambda r, m, s: r["other_mid"] - r["mid"])

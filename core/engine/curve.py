"""Equity and prices through time, sampled on a grid and at every fill, in bounded memory."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np

from core.engine.results import MAX_EQUITY_POINTS, MAX_PRICE_POINTS, EquityCurve, PriceSeries
from core.risk.units import ATTO


class EquitySampler:
    """Points of (time, equity, cash); when full, every other point is dropped and the rest go on."""

    def __init__(self, limit: int = MAX_EQUITY_POINTS) -> None:
        self._limit = limit
        self._points: list[tuple[int, int, int]] = []
        self._skip = 1
        self._count = 0

    def add(self, ts_ns: int, equity: int, cash: int, *, keep: bool = False) -> None:
        """Add a point in the gate's 1e-18 dollars; `keep` forces it past the thinning (the last point)."""
        self._count += 1
        if not keep and self._count % self._skip:
            return
        points = self._points
        if points and points[-1][0] == ts_ns:
            points[-1] = (ts_ns, equity, cash)
            return
        points.append((ts_ns, equity, cash))
        if len(points) >= self._limit:
            self._points = points[:1] + points[1:-1:2] + points[-1:]
            self._skip *= 2

    def curve(self) -> EquityCurve:
        """Return the points as arrays."""
        ts = np.array([p[0] for p in self._points], dtype=np.int64)
        equity = np.array([p[1] / ATTO for p in self._points], dtype=np.float64)
        cash = np.array([p[2] / ATTO for p in self._points], dtype=np.float64)
        return EquityCurve(ts, equity, cash, equity - cash)


class PriceSampler:
    """Top of book of one instrument through time."""

    def __init__(self, iid: str, limit: int = MAX_PRICE_POINTS) -> None:
        self.iid = iid
        self._limit = limit
        self._points: list[tuple[int, Decimal | None, Decimal | None]] = []
        self._skip = 1
        self._count = 0

    def add(self, ts_ns: int, bid: Decimal | None, ask: Decimal | None) -> None:
        """Add a point."""
        self._count += 1
        if self._count % self._skip:
            return
        points = self._points
        if points and points[-1][0] == ts_ns:
            points[-1] = (ts_ns, bid, ask)
            return
        points.append((ts_ns, bid, ask))
        if len(points) >= self._limit:
            self._points = points[::2]
            self._skip *= 2

    def series(self) -> PriceSeries:
        """Return the points as arrays."""
        ts = np.array([p[0] for p in self._points], dtype=np.int64)
        bid = np.array([_float(p[1]) for p in self._points], dtype=np.float64)
        ask = np.array([_float(p[2]) for p in self._points], dtype=np.float64)
        return PriceSeries(self.iid, ts, bid, ask)


def _float(price: Decimal | None) -> float:
    return math.nan if price is None else float(price)

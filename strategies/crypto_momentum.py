"""Crypto momentum: buy a pair that trends, size by volatility, leave by cross or trailing stop.

**Edge.** Returns of the large coins over weeks have been positively autocorrelated: a fast average above a
slow one has paid more than cash in most years. Nothing promises that it goes on.

**Risk.** Spot, long only, no leverage. The position is sized so that the distance to the stop costs
`risk_fraction` of equity, capped at `max_weight` of equity; the stop trails the highest close by
`stop_atr` average true ranges. The profile's own sizing caps it (`sizing.risk_per_trade`, `sizing.atr_multiple`): in a
wild market the average true range shrinks the position, whatever the parameters say.

**When it loses money.** In ranges (many small losses, each with two fees), and through gaps, when the bar
closes far below the stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar

from nautilus_trader.model import Bar
from pydantic import Field

from core.domain.fees import Role, Side
from core.domain.money import ONE, ZERO, decimal_of, floor_to
from core.engine.results import FillRow
from core.engine.strategy import BetaStrategy, StrategyConfig


class CryptoMomentumConfig(StrategyConfig):
    """Parameters of the momentum strategy.

    Attributes
    ----------
    bar : str
        Bar step of the data, as in the catalog (``"1-DAY"``, ``"1-HOUR"``).
    fast, slow, atr : int
        Lengths in bars.
    risk_fraction, max_weight : Decimal
        Part of equity lost if the stop is hit, and largest part of equity in one pair.
    stop_atr : float
        Distance of the trailing stop in average true ranges.
    slippage : Decimal
        How far through the close a market-taking limit may go, as a part of the price.
    """

    bar: str = "1-DAY"
    fast: int = Field(default=10, ge=2)
    slow: int = Field(default=40, ge=3)
    atr: int = Field(default=14, ge=2)
    risk_fraction: Decimal = Field(default=Decimal("0.02"), gt=0, le=Decimal("0.05"))
    max_weight: Decimal = Field(default=Decimal("0.5"), gt=0, le=1)
    stop_atr: float = Field(default=3.0, gt=0)
    slippage: Decimal = Field(default=Decimal("0.002"), ge=0, lt=Decimal("0.1"))
    cooldown_bars: int = Field(default=3, ge=0)


@dataclass(slots=True)
class _Trend:
    """Averages, range and stop of one pair. Standard recursions: EMA alpha 2/(n+1), ATR alpha 1/n (Wilder)."""

    fast: float = 0.0
    slow: float = 0.0
    atr: float = 0.0
    close: float = 0.0
    high: float = 0.0
    bars: int = 0
    quiet_until: int = 0

    def update(self, bar: Bar, cfg: CryptoMomentumConfig) -> None:
        """Take a closed bar."""
        high, low, close = float(bar.high), float(bar.low), float(bar.close)
        if self.bars == 0:
            self.fast = self.slow = close
            self.atr = high - low
        else:
            true_range = max(high - low, abs(high - self.close), abs(low - self.close))
            self.atr += (true_range - self.atr) / cfg.atr
            self.fast += (close - self.fast) * 2.0 / (cfg.fast + 1)
            self.slow += (close - self.slow) * 2.0 / (cfg.slow + 1)
        self.close = close
        self.bars += 1


class CryptoMomentum(BetaStrategy):
    """Follow the trend of each pair in the universe, long only."""

    family: ClassVar[str] = "momentum"
    config_type: ClassVar[type[StrategyConfig]] = CryptoMomentumConfig
    trades_spot: ClassVar[bool] = True
    config: CryptoMomentumConfig

    def on_start(self) -> None:
        """Watch the bars of every pair."""
        self._trends: dict[str, _Trend] = {}
        for iid in self.universe:
            market = self.markets.get(iid)
            if market is not None and len(market.outcomes) == 1:
                self._trends[iid] = _Trend()
                self.watch_bars(f"{iid}-{self.config.bar}-LAST-EXTERNAL")

    def on_bar(self, bar: Bar) -> None:
        """Update the trend, then leave or enter."""
        iid = str(bar.bar_type.instrument_id)
        trend = self._trends.get(iid)
        if trend is None:
            return
        trend.update(bar, self.config)
        if trend.bars <= self.config.slow:
            return
        held = self.position(iid)
        if held > 0:
            trend.high = max(trend.high, trend.close)
            if trend.close <= trend.high - self.config.stop_atr * trend.atr:
                trend.quiet_until = trend.bars + self.config.cooldown_bars
                self._leave(iid, held, trend, "stop")
            elif trend.fast < trend.slow:
                self._leave(iid, held, trend, "cross")
        elif trend.fast > trend.slow and trend.bars >= trend.quiet_until:
            self._enter(iid, trend)

    def _enter(self, iid: str, trend: _Trend) -> None:
        market, cfg = self.markets[iid], self.config
        limit = market.grid.snap_up(decimal_of(trend.close) * (ONE + cfg.slippage))
        stop_distance = decimal_of(round(cfg.stop_atr * trend.atr, 8))
        if limit is None or stop_distance <= 0 or self.barred(iid) is not None:
            return
        equity = self.equity()
        fee = self.fee(iid, Side.BUY, Role.TAKER, limit, ONE).fee
        by_risk = equity * cfg.risk_fraction / stop_distance
        by_weight = min(equity * cfg.max_weight, self.cash(), self.room(iid)) / (limit + fee)
        atr = decimal_of(round(trend.atr, 8))
        allowed = self.sized(iid, limit, stop=limit - stop_distance, atr=atr).quantity
        quantity = floor_to(min(by_risk, by_weight, allowed), market.size_step)
        if quantity <= 0 or quantity < market.min_size:
            return
        trend.high = trend.close
        self.buy(iid, quantity, limit, reason="cross up")

    def _leave(self, iid: str, held: Decimal, trend: _Trend, reason: str) -> None:
        limit = self.markets[iid].grid.snap_down(
            decimal_of(trend.close) * (ONE - self.config.slippage)
        )
        if limit is not None and held > ZERO:
            self.sell(iid, held, limit, reason=reason)

    def on_fill(self, fill: FillRow) -> None:
        """Begin the trailing stop at the entry."""
        trend = self._trends.get(fill.instrument_id)
        if trend is not None and fill.side == Side.BUY:
            trend.high = max(trend.close, float(fill.price))

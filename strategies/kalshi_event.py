"""Kalshi event: crypto windows valued from spot, time to close and volatility, traded against the book.

**Edge.** A 15-minute or hourly window pays a dollar when the index closes above its strike. Its value follows
from spot, the time that is left and the volatility of the last minutes (`strategies.window_model`). The book
lags spot at times; the strategy buys the side that is cheap by more than the exact fee plus `min_edge`.

**Risk.** Long outcomes only: the cost of a position (`risk_fraction` of equity) is the most it can lose. There is no
price stop by default: minutes before close the price of a fair window swings through any stop, and each exit
pays the spread and a fee. No entry in the last seconds, none without fresh spot, one position a market.

**When it loses money.** Spot here is one exchange's trades, settlement is an index: near the strike the basis
decides. Volatility jumps make the model too sure of itself. And the book often knows better: other traders
see the same spot sooner. Read the Brier score against the market, not the profit of a short sample.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import ClassVar

from nautilus_trader.model import QuoteTick, TradeTick
from pydantic import Field

from core.domain.clock import NS_PER_SECOND
from core.domain.market import Market
from core.engine.strategy import Level, StrategyConfig
from strategies.base_predictor import BasePredictor, Estimate, PredictorConfig, log_odds
from strategies.window_model import RealisedVolatility, TrailingMean, prob_above, prob_between


class KalshiEventConfig(PredictorConfig):
    """Parameters of the window strategy.

    Attributes
    ----------
    spot : dict of str to str
        Underlying to the instrument that carries its spot trades; empty = the instrument or the asset
        that ``Market.underlying`` names.
    vol_half_life_s, vol_step_s : float
        Memory and sampling step of the realised volatility.
    vol_scale : float
        Multiplier on volatility: above 1 admits fat tails.
    market_weight : float
        Part of the market's log-odds in the estimate; 1 = believe the market.
    max_spot_age_s : float
        Spot older than this gives no estimate.
    max_window_s : float
        Markets that close later than this are not looked at yet.
    averaging_s : float
        Seconds of index averaging at settlement.
    """

    market_time: ClassVar[tuple[str, ...]] = (
        *PredictorConfig.market_time,
        "vol_half_life_s",
        "vol_step_s",
        "max_window_s",
        "averaging_s",
    )

    spot: dict[str, str] = Field(default_factory=dict)
    vol_half_life_s: float = Field(default=900.0, gt=0)
    vol_step_s: float = Field(default=5.0, gt=0)
    vol_scale: float = Field(default=1.15, gt=0, le=5)
    market_weight: float = Field(default=0.5, ge=0, le=1)
    max_spot_age_s: float = Field(default=10.0, gt=0)
    max_window_s: float = Field(default=3600.0, gt=0)
    averaging_s: float = Field(default=60.0, ge=0)
    forecast_every_s: float = Field(default=60.0, gt=0)
    cooldown_s: float = Field(default=60.0, ge=0)
    stop_loss: Decimal = Field(default=Decimal(1), gt=0, le=1)


class KalshiEvent(BasePredictor):
    """Value crypto windows from spot and trade the difference to the book."""

    config_type: ClassVar[type[StrategyConfig]] = KalshiEventConfig
    reads_spot: ClassVar[bool] = True
    venues: ClassVar[tuple[str, ...]] = ("KALSHI",)
    config: KalshiEventConfig

    def on_start(self) -> None:
        """Watch the windows of the universe and the spot behind them."""
        super().on_start()
        self._spot_of: dict[str, str] = {}
        self._spot: dict[str, tuple[float, int]] = {}
        self._volatility: dict[str, RealisedVolatility] = {}
        self._means: dict[str, TrailingMean] = {}
        for iid in self.universe:
            market = self.markets.get(iid)
            if market is None or len(market.outcomes) < 2 or market.strike is None:
                continue
            source = self._source_of(market)
            if source is None:
                continue
            self._spot_of[iid] = source
            if source not in self._volatility:
                self._volatility[source] = RealisedVolatility(
                    self.config.vol_half_life_s, self.config.vol_step_s
                )
                self._means[source] = TrailingMean(self.config.averaging_s)
                self.watch_trades(source)
                self.watch_quotes(source)

    def _source_of(self, market: Market) -> str | None:
        """Return the instrument of the universe that carries the spot price of a window.

        Recordings name that instrument; a live venue names the asset (``BTC``), and any pair of it serves.
        """
        named = self.config.spot.get(market.underlying, market.underlying)
        for source in (named, named.replace("/", "-")):  # a recording has no slash in a name
            if source in self.universe:
                return source
        pairs = [i for i in self.universe if len(self.markets[i].outcomes) == 1]
        return next((i for i in pairs if named and self.markets[i].underlying == named), None)

    def on_trade(self, trade: TradeTick) -> None:
        """Take spot from trades."""
        self._on_spot(trade.instrument_id.value, float(trade.price))

    def on_quote(self, quote: QuoteTick) -> None:
        """Take spot from its quotes, or look at the window that moved."""
        iid = quote.instrument_id.value
        if iid in self._volatility:
            bid, ask = float(quote.bid_price), float(quote.ask_price)
            no_ask = float(quote.bid_size) > 0 and float(quote.ask_size) == 0
            if bid > 0 and not no_ask:  # an empty side is no price
                self._on_spot(iid, (bid + ask) / 2.0)
        else:
            self.look(iid, quote.ts_init)

    def _on_spot(self, iid: str, price: float) -> None:
        vol = self._volatility.get(iid)
        if vol is not None and price > 0:
            vol.update(price, self.now_ns)
            self._means[iid].update(price, self.now_ns)
            self._spot[iid] = (price, self.now_ns)

    def estimate(self, iid: str, bid: Level, ask: Level) -> Estimate | None:
        """Return P(outcome pays), a mix in log-odds of the window model and the market."""
        source, market = self._spot_of.get(iid), self.markets[iid]
        if source is None or source not in self._spot or not market.close_ns:
            return None
        spot, seen_ns = self._spot[source]
        sigma, now = self._volatility[source].per_sqrt_s, self.now_ns
        left_s = (market.close_ns - now) / NS_PER_SECOND
        if sigma is None or sigma <= 0 or not 0 < left_s <= self.config.max_window_s:
            return None
        if now - seen_ns > self.config.max_spot_age_s * NS_PER_SECOND:
            return None
        known = None
        if left_s < (averaging_s := self.config.averaging_s):
            begin_ns = market.close_ns - int(averaging_s * NS_PER_SECOND)
            known = self._means[source].since(begin_ns, now)
            if known is None and now > begin_ns:  # what counts already was not seen
                return None
        p_yes = self._model(market, spot, sigma * self.config.vol_scale, left_s, known)
        if p_yes is None:
            return None
        p = p_yes if iid == market.outcomes[0].instrument_id else 1.0 - p_yes
        p = min(max(p, 1e-4), 1.0 - 1e-4)
        mid = min(max(float(bid.price + ask.price) / 2.0, 1e-4), 1.0 - 1e-4)
        weight = self.config.market_weight
        mixed = weight * log_odds(mid) + (1.0 - weight) * log_odds(p)
        fair = 1.0 / (1.0 + math.exp(-mixed))
        return Estimate(fair, abs(p - mid) / 2.0)

    def _model(
        self, market: Market, spot: float, sigma: float, left_s: float, known: float | None
    ) -> float | None:
        """Return P(YES) by the strike type; None for a type the model does not know."""
        low = float(market.strike) if market.strike is not None else 0.0
        if low <= 0:
            return None
        kind, averaging_s = market.strike_type, self.config.averaging_s
        if kind in {"", "greater", "greater_or_equal"}:
            return prob_above(spot, low, sigma, left_s, averaging_s, known)
        if kind in {"less", "less_or_equal"}:
            return 1.0 - prob_above(spot, low, sigma, left_s, averaging_s, known)
        if kind == "between" and market.strike_high is not None:
            return prob_between(
                low,
                float(market.strike_high),
                spot=spot,
                sigma_per_sqrt_s=sigma,
                seconds_left=left_s,
                averaging_s=averaging_s,
                known_mean=known,
            )
        return None

"""Base predictor: estimate, edge after exact fees, fractional Kelly, order, exit.

**Edge.** The strategy believes its estimate more than the price. The default estimate pulls the market's
log-odds a part of the way back to their own slow average: a bet that quick moves overshoot. Subclass and
override `BasePredictor.estimate` to bring a better one; everything else (exact fees, sizing, one order at
a time, stops, exits, records) stays.

**Risk.** Each position is a long outcome: it can lose what it cost, no more. `risk_fraction` of equity
bounds that cost per entry, `market_fraction` the cost per market, and a stop sells when the bid has fallen
by `stop_loss` of the entry.

**When it loses money.** When the estimate is wrong in the direction it trades; when the spread and the fee
are wider than the edge; and in jumps, when the stop finds no bid. The default estimate has no proven skill:
read the Brier score against the market before trusting it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple

from nautilus_trader.model import QuoteTick
from pydantic import Field

from core.domain.clock import NS_PER_SECOND
from core.domain.decision import Forecast, OrderIntent, Proposal
from core.domain.fees import Role, Side
from core.domain.money import ONE, ZERO, floor_to
from core.engine.results import FillRow
from core.engine.strategy import Adopted, BetaStrategy, Level, StrategyConfig
from strategies.parts import affordable

PROBABILITY_STEP = Decimal("0.000001")


class Estimate(NamedTuple):
    """A probability that the outcome pays, and half the width of its interval."""

    probability: float
    half_width: float


class PredictorConfig(StrategyConfig):
    """Parameters of every predictor.

    Attributes
    ----------
    min_edge : Decimal
        Dollars per share that must be left after the exact fee.
    kelly_fraction : Decimal
        Part of the full Kelly stake.
    risk_fraction, market_fraction : Decimal
        Largest cost of one entry, and of all entries in one market, as parts of equity.
    stop_loss : Decimal
        Sell when the bid is this part below the average entry price; 1 = no stop.
    exit_edge : Decimal
        Sell when the bid after fee pays this much more than the estimate says it is worth.
    max_hold_s, cooldown_s : float
        Longest holding time (0 = to settlement) and pause in a market after an exit.
    entry_cutoff_s : float
        No entries in the last seconds before the market closes.
    order_wait_s : float
        Time in which an order that is on its way forbids another in the same market.
    look_every_s : float
        Shortest time between two looks at one outcome; books change far more often than opinions.
    forecast_every_s : float
        How often a forecast is recorded per market, traded or not, for the Brier score.
    """

    market_time: ClassVar[tuple[str, ...]] = (
        "max_hold_s",
        "cooldown_s",
        "entry_cutoff_s",
        "forecast_every_s",
        "forecast_life_s",
        "half_life_s",
        "look_every_s",
    )

    min_edge: Decimal = Field(default=Decimal("0.03"), ge=0, lt=1)
    kelly_fraction: Decimal = Field(default=Decimal("0.25"), gt=0, le=Decimal("0.5"))
    risk_fraction: Decimal = Field(default=Decimal("0.02"), gt=0, le=Decimal("0.1"))
    market_fraction: Decimal = Field(default=Decimal("0.10"), gt=0, le=1)
    stop_loss: Decimal = Field(default=Decimal("0.5"), gt=0, le=1)
    exit_edge: Decimal = Field(default=Decimal("0.01"), ge=0, lt=1)
    min_price: Decimal = Field(default=Decimal("0.03"), gt=0, lt=1)
    max_price: Decimal = Field(default=Decimal("0.97"), gt=0, lt=1)
    max_spread: Decimal = Field(default=Decimal("0.06"), gt=0, le=1)
    max_hold_s: float = Field(default=0.0, ge=0)
    cooldown_s: float = Field(default=300.0, ge=0)
    entry_cutoff_s: float = Field(default=30.0, ge=0)
    order_wait_s: float = Field(default=2.0, gt=0)
    forecast_every_s: float = Field(default=3600.0, gt=0)
    forecast_life_s: float = Field(default=60.0, gt=0)
    half_life_s: float = Field(default=7200.0, gt=0, description="slow average of the log-odds")
    pull: float = Field(default=0.5, ge=0, le=1, description="part of the way back to the average")
    warmup_quotes: int = Field(default=20, ge=1)
    look_every_s: float = Field(default=0.25, ge=0)


@dataclass(slots=True)
class Holding:
    """What is held of one instrument: shares, dollars paid with fees, when it began."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    since_ns: int = 0

    @property
    def average(self) -> Decimal:
        """Dollars per share paid, fees included."""
        return self.cost / self.quantity if self.quantity > 0 else ZERO


@dataclass(slots=True)
class _Average:
    """Exponentially weighted log-odds of the mid."""

    value: float = 0.0
    ts_ns: int = 0
    count: int = 0


def log_odds(p: float) -> float:
    """Return ``ln(p / (1 - p))`` of a probability strictly between 0 and 1."""
    return math.log(p / (1.0 - p))


def kelly_cost(fair: Decimal, cost: Decimal, fraction: Decimal) -> Decimal:
    """Return the part of equity to spend on shares that cost `cost` all in and are worth `fair`.

    Full Kelly of a binary payoff is ``(fair - cost) / (1 - cost)`` (Kelly 1956, even-money form with
    odds ``(1 - cost) / cost``); the result is scaled by `fraction` and never negative.
    """
    if not ZERO < cost < ONE or fair <= cost:
        return ZERO
    return (fair - cost) / (ONE - cost) * fraction


class BasePredictor(BetaStrategy):
    """Trade the difference between an estimate and the book. Override `estimate`."""

    config_type: ClassVar[type[StrategyConfig]] = PredictorConfig
    config: PredictorConfig

    def on_start(self) -> None:
        """Watch the top of book of every outcome in the universe."""
        self.holdings: dict[str, Holding] = {}
        self._averages: dict[str, _Average] = {}
        self._busy_until: dict[str, int] = {}
        self._quiet_until: dict[str, int] = {}
        self._next_record: dict[str, int] = {}
        self._next_look: dict[str, int] = {}
        self._least_edge = float(self.config.min_edge) - 1e-6
        self._look_every_ns = int(self.config.look_every_s * NS_PER_SECOND)
        for iid in self.universe:
            market = self.markets.get(iid)
            if market is not None and len(market.outcomes) > 1:
                self.watch_quotes(iid)

    # -- the part to override ---------------------------------------------------------------
    def estimate(self, iid: str, bid: Level, ask: Level) -> Estimate | None:
        """Return the estimate for `iid` now, or None for "no opinion".

        Parameters
        ----------
        iid : str
            Instrument of the outcome.
        bid, ask : Level
            Top of book at this moment.
        """
        mid = float(bid.price + ask.price) / 2.0
        if not 0.0 < mid < 1.0:
            return None
        here, avg, now = log_odds(mid), self._averages.get(iid), self.now_ns
        if avg is None:
            avg = self._averages[iid] = _Average()
        gap_s = (now - avg.ts_ns) / NS_PER_SECOND if avg.count else 0.0
        weight = 1.0 - 0.5 ** (gap_s / self.config.half_life_s) if avg.count else 1.0
        slow = avg.value
        avg.value += weight * (here - avg.value)
        avg.ts_ns, avg.count = now, avg.count + 1
        if avg.count <= self.config.warmup_quotes:
            return None
        fair = 1.0 / (1.0 + math.exp(-(here + self.config.pull * (slow - here))))
        return Estimate(fair, float(ask.price - bid.price) / 2.0)

    # -- the machine ------------------------------------------------------------------------
    def on_quote(self, quote: QuoteTick) -> None:
        """Look at one outcome when its top of book changes, not more often than asked."""
        self.look(quote.instrument_id.value, quote.ts_init)

    def look(self, iid: str, now: int) -> None:
        """Consider `iid` unless it was looked at a moment ago."""
        if now >= self._next_look.get(iid, 0):
            self._next_look[iid] = now + self._look_every_ns
            self.consider(iid)

    def consider(self, iid: str) -> None:
        """Estimate, record, then manage the position or look for an entry."""
        bid, ask = self.top(iid)
        if bid is None or ask is None or bid.price >= ask.price:
            return
        estimate = self.estimate(iid, bid, ask)
        if estimate is None or not math.isfinite(estimate.probability):
            return
        now = self.now_ns
        if now >= self._next_record.get(iid, 0):
            self._next_record[iid] = now + int(self.config.forecast_every_s * NS_PER_SECOND)
            self.record_forecast(self._forecast(iid, estimate, now))
        if now < self._busy_until.get(iid, 0):
            return
        held = self.holdings.get(iid)
        if held is not None and held.quantity > 0:
            self._manage(iid, held, bid, self._forecast(iid, estimate, now), now)
        elif estimate.probability - float(ask.price) > self._least_edge:  # fees only take from it
            self._enter(iid, ask, ask.price - bid.price, self._forecast(iid, estimate, now), now)

    def _forecast(self, iid: str, estimate: Estimate, now: int) -> Forecast:
        p = min(max(estimate.probability, 0.0), 1.0)
        low, high = max(p - estimate.half_width, 0.0), min(p + estimate.half_width, 1.0)
        exact = [Decimal(repr(x)).quantize(PROBABILITY_STEP) for x in (low, p, high)]
        return Forecast(
            iid,
            exact[1],
            exact[0],
            exact[2],
            now,
            now + int(self.config.forecast_life_s * NS_PER_SECOND),
            f"{type(self).__name__}",
        )

    def _enter(self, iid: str, ask: Level, spread: Decimal, forecast: Forecast, now: int) -> None:
        cfg, market = self.config, self.markets[iid]
        if now < self._quiet_until.get(market.market_id, 0) or spread > cfg.max_spread:
            return
        if market.close_ns and now > market.close_ns - int(cfg.entry_cutoff_s * NS_PER_SECOND):
            return
        if not cfg.min_price <= ask.price <= cfg.max_price:
            return
        if any(self._held(o.instrument_id) > 0 for o in market.outcomes):
            return
        rough = self.fee(iid, Side.BUY, Role.TAKER, ask.price, ONE).fee
        edge = forecast.probability - ask.price - rough
        if edge < cfg.min_edge or self.barred(iid) is not None:
            return
        quantity = self._size(iid, ask, forecast.probability)
        if quantity <= 0:
            return
        fee = self.fee(iid, Side.BUY, Role.TAKER, ask.price, quantity).fee / quantity
        edge = forecast.probability - ask.price - fee
        if edge < cfg.min_edge:
            return
        seq = self.record_forecast(forecast)
        self.record_proposal(
            Proposal(
                str(self.strategy_id),
                iid,
                Side.BUY,
                quantity,
                ask.price,
                forecast.probability,
                edge,
                "edge",
                now,
                seq,
            )
        )
        self._wait(market.market_id, iid, now)
        self.buy(iid, quantity, ask.price, reason="edge", forecast=forecast)

    def _size(self, iid: str, ask: Level, fair: Decimal) -> Decimal:
        """Return shares: fractional Kelly, capped by risk, by the market's share and by the shown size."""
        cfg, market = self.config, self.markets[iid]
        cost = ask.price + self.fee(iid, Side.BUY, Role.TAKER, ask.price, ONE).fee
        equity = self.equity()
        part = min(
            kelly_cost(fair, cost, cfg.kelly_fraction), cfg.risk_fraction, cfg.market_fraction
        )
        budget = min(equity * part, self.cash(), self.room(iid))
        wanted = floor_to(min(budget / cost, ask.size), market.size_step)
        # The fee of one share is no bound of the fee of many: the gate counts the worst case of the whole.
        shares = affordable(self, iid, wanted, ask.price, market.size_step)
        return shares if shares >= max(market.min_size, market.size_step) else ZERO

    def _manage(self, iid: str, held: Holding, bid: Level, forecast: Forecast, now: int) -> None:
        """Exit on a stop, on time, or when the bid pays more than the outcome is worth."""
        cfg = self.config
        fee = self.fee(iid, Side.SELL, Role.TAKER, bid.price, held.quantity).fee / held.quantity
        if cfg.stop_loss < 1 and bid.price <= held.average * (ONE - cfg.stop_loss):
            reason = "stop"
        elif cfg.max_hold_s and now - held.since_ns >= cfg.max_hold_s * NS_PER_SECOND:
            reason = "time"
        elif bid.price - fee >= forecast.probability + cfg.exit_edge:
            reason = "edge gone"
        else:
            return
        market_id = self.markets[iid].market_id
        self._quiet_until[market_id] = now + int(cfg.cooldown_s * NS_PER_SECOND)
        self._wait(market_id, iid, now)
        self.exit(iid, reason)

    def _wait(self, market_id: str, iid: str, now: int) -> None:
        until = now + int(self.config.order_wait_s * NS_PER_SECOND)
        for outcome in self.markets[iid].outcomes:
            self._busy_until[outcome.instrument_id] = until

    def _held(self, iid: str) -> Decimal:
        held = self.holdings.get(iid)
        return held.quantity if held is not None else ZERO

    # -- what happened ----------------------------------------------------------------------
    def on_adopted(self, held: Mapping[str, Adopted]) -> None:
        """Manage what an earlier run has bought like what this one buys: stop, time and edge hold for it too."""
        for iid, one in held.items():
            self.holdings[iid] = Holding(one.quantity, one.cost, one.since_ns)

    def on_fill(self, fill: FillRow) -> None:
        """Keep the average cost of what is held."""
        held = self.holdings.setdefault(fill.instrument_id, Holding(since_ns=fill.ts_ns))
        if fill.side == Side.BUY:
            if held.quantity == 0:
                held.since_ns, held.cost = fill.ts_ns, ZERO
            held.quantity += fill.quantity
            held.cost += fill.quantity * fill.price + fill.fee
        else:
            held.cost -= held.average * min(fill.quantity, held.quantity)
            held.quantity = max(held.quantity - fill.quantity, ZERO)

    def on_refused(self, intent: OrderIntent, refusal: Any) -> None:
        """Leave the market alone for a while: asking again at the next quote gets the same answer."""
        pause = int(max(self.config.cooldown_s, self.config.order_wait_s) * NS_PER_SECOND)
        self._quiet_until[intent.market_id] = intent.ts_ns + pause

    def on_settlement(self, iid: str, payout: Decimal) -> None:
        """Forget what has been paid out."""
        self.holdings.pop(iid, None)

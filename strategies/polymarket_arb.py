"""Polymarket arbitrage: neg-risk baskets taken at the ask, and passive pairs that merge.

**Edge.** In an exclusive event at most one market resolves YES, so ``m`` NOs pay at least ``m - 1`` dollars; when
they cost less, fees included, the difference is locked. A complete set of YES that costs less than a dollar
is the same from the other side. In a single market, bids rested on both outcomes for less than a dollar
together earn the rest when both fill.

**Risk.** A basket is several orders without atomicity: legs go fill-or-kill, thinnest first; what is missing is
completed if the whole still pays, otherwise the filled legs are sold at the bid. Budget per event is
`event_fraction` of equity. A pair with one leg filled is completed or sold within `pair_timeout_s`.

**When it loses money.** When a leg fails and the bid has gone; when a lone pair leg was filled because the price was
leaving (adverse selection); when capital is locked to resolution for a fraction of a percent. Books of
different age never count: a taker sum below one dollar in a *single* market is stale data, not money.
Exclusive is not exhaustive: a YES basket is only bought on an event known to be complete and not augmented.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import Field

from core.domain.clock import NS_PER_SECOND
from core.domain.fees import Role, Side
from core.domain.market import Event, Market
from core.domain.money import ONE, ZERO, floor_to
from core.engine.results import FillRow
from core.engine.strategy import Adopted, BetaStrategy, StrategyConfig
from strategies import basket_runner, pair_runner
from strategies.basket_runner import BasketAttempt
from strategies.baskets import Basket, LegQuote, Shape, best_basket, equal_age
from strategies.pair_runner import Pair, PairRules, PairStage

#: Pause after a close look at an event that led to nothing.
LOOK_AGAIN_NS = 250_000_000


class PolymarketArbConfig(StrategyConfig):
    """Parameters of both arbitrage forms.

    Attributes
    ----------
    baskets, pairs : bool
        Which forms are on.
    min_edge : Decimal
        Locked profit per dollar spent on a basket.
    event_fraction, pair_fraction : Decimal
        Largest part of equity in the legs of one event, and in the bids of one pair.
    max_book_age_s, max_book_skew_s : float
        Oldest book that counts, and largest difference in age between legs.
    leg_wait_s : float
        Time given to the orders of a round before the next decision.
    max_completion_loss : Decimal
        Part of the payout that completing a basket may lose; beyond it legs are sold.
    pair_margin, pair_max_loss : Decimal
        Dollars per share: what two bids must leave of a dollar, and what completing may lose.
    pair_stop : Decimal
        A lone leg is closed at once when its bid has fallen this far below what was paid.
    """

    market_time: ClassVar[tuple[str, ...]] = (
        "cooldown_s",
        "pair_timeout_s",
        "pair_cooldown_s",
        "pair_entry_cutoff_s",
    )

    baskets: bool = True
    pairs: bool = True
    min_edge: Decimal = Field(default=Decimal("0.004"), ge=0, lt=1)
    event_fraction: Decimal = Field(default=Decimal("0.20"), gt=0, le=1)
    pair_fraction: Decimal = Field(default=Decimal("0.10"), gt=0, le=1)
    max_book_age_s: float = Field(default=30.0, gt=0)
    max_book_skew_s: float = Field(default=10.0, gt=0)
    levels: int = Field(default=5, ge=1, le=50)
    leg_wait_s: float = Field(default=2.0, gt=0)
    max_completion_loss: Decimal = Field(default=Decimal("0.0"), ge=0, lt=1)
    max_unwind_tries: int = Field(default=10, ge=1)
    cooldown_s: float = Field(default=60.0, ge=0)
    pair_margin: Decimal = Field(default=Decimal("0.02"), gt=0, lt=1)
    pair_max_loss: Decimal = Field(default=Decimal("0.02"), ge=0, lt=1)
    pair_stop: Decimal = Field(default=Decimal("0.02"), gt=0, lt=1)
    pair_timeout_s: float = Field(default=120.0, gt=0)
    pair_cooldown_s: float = Field(default=60.0, ge=0)
    pair_entry_cutoff_s: float = Field(default=600.0, ge=0)
    min_price: Decimal = Field(default=Decimal("0.05"), gt=0, lt=1)
    max_price: Decimal = Field(default=Decimal("0.95"), gt=0, lt=1)


class PolymarketArb(BetaStrategy):
    """Baskets over neg-risk events, and passive pairs in single markets."""

    family: ClassVar[str] = "arbitrage"
    config_type: ClassVar[type[StrategyConfig]] = PolymarketArbConfig
    venues: ClassVar[tuple[str, ...]] = ("POLYMARKET",)
    config: PolymarketArbConfig

    def on_start(self) -> None:
        """Group the universe by event, and watch the books that the two forms need."""
        cfg = self.config
        by_market = {m.market_id: m for m in self.markets.values() if len(m.outcomes) == 2}
        self._event_of: dict[str, str] = {}
        self._legs: dict[tuple[str, Shape], tuple[str, ...]] = {}
        self._attempts: dict[str, BasketAttempt] = {}
        self._quiet_until: dict[str, int] = {}
        self._alarm = 0
        self._alarms: dict[str, str] = {}
        self._pairs: dict[str, Pair] = {}
        self._ask: dict[str, float] = {}
        self._bid: dict[str, float] = {}
        self._least_margin = float(self.config.pair_margin) - 1e-9
        self._rules = PairRules(
            cfg.pair_margin,
            cfg.pair_max_loss,
            cfg.pair_stop,
            int(cfg.pair_timeout_s * NS_PER_SECOND),
            int(cfg.leg_wait_s * NS_PER_SECOND),
            int(cfg.pair_cooldown_s * NS_PER_SECOND),
            cfg.min_price,
            cfg.max_price,
        )
        for event_id in sorted(self.events):
            self._plan_event(self.events[event_id], by_market)
        for market in sorted(by_market.values(), key=lambda m: m.market_id):
            ids = [o.instrument_id for o in market.outcomes]
            mergeable = market.venue == "POLYMARKET"  # other venues net the two outcomes
            if cfg.pairs and mergeable and all(iid in self.universe for iid in ids):
                self._pairs[market.market_id] = Pair(market)
        watched = set(self._event_of) | {
            o.instrument_id for p in self._pairs.values() for o in p.market.outcomes
        }
        for iid in sorted(watched):
            self.watch_book(iid)

    def _plan_event(self, event: Event, by_market: dict[str, Market]) -> None:
        markets = [by_market[m] for m in event.market_ids if m in by_market]
        whole = len(markets) == len(event.market_ids)
        if not self.config.baskets or len(markets) < 2:
            return
        shapes: list[tuple[Shape, int, bool]] = [
            ("NO", 1, event.no_basket_allowed),
            ("YES", 0, event.yes_basket_allowed and whole),
        ]
        for shape, side, allowed in shapes:
            ids = tuple(m.outcomes[side].instrument_id for m in markets)
            if allowed and all(iid in self.universe for iid in ids):
                self._legs[event.event_id, shape] = ids
                self._event_of.update(dict.fromkeys(ids, event.event_id))

    def on_adopted(self, held: Mapping[str, Adopted]) -> None:
        """Close the lone legs of pairs that an earlier run has left; whole pairs and baskets are held."""
        for pair in self._pairs.values():
            ids = [o.instrument_id for o in pair.market.outcomes]
            if any(iid in held for iid in ids) and not any(iid in self._event_of for iid in ids):
                pair_runner.take_over(pair, held)

    # -- books ------------------------------------------------------------------------------
    def on_book(self, iid: str) -> None:  # type: ignore[override]
        """Look for a basket in the event and step the pair of the market that moved."""
        bid, ask = self.top(iid)
        self._ask[iid] = float(ask.price) if ask is not None else 1.0
        self._bid[iid] = float(bid.price) if bid is not None else 1.0
        event_id = self._event_of.get(iid)
        if event_id is not None and event_id not in self._attempts:
            self._look(event_id)
        pair = self._pairs.get(self.markets[iid].market_id)
        if pair is not None:
            self._tend(pair, iid)

    def _look(self, event_id: str) -> None:
        now, cfg = self.now_ns, self.config
        if now < self._quiet_until.get(event_id, 0):
            return
        for shape in ("NO", "YES"):
            legs = self._legs.get((event_id, shape))
            if legs is None or not self._promising(shape, legs):
                continue
            quotes = [self._quote(iid, now) for iid in legs]
            live = [q for q in quotes if q.asks]
            age, skew = (
                int(cfg.max_book_age_s * NS_PER_SECOND),
                int(cfg.max_book_skew_s * NS_PER_SECOND),
            )
            if not equal_age(live if shape == "NO" else quotes, now, age, skew):
                continue
            if not self._enter(event_id, shape, quotes, now):
                self._quiet_until[event_id] = now + LOOK_AGAIN_NS
            return

    def _promising(self, shape: str, legs: tuple[str, ...]) -> bool:
        """Return whether the best asks alone, without fees, would pay: cheap test before exact work."""
        asks = [self._ask.get(iid, 1.0) for iid in legs]
        if shape == "YES":
            return sum(asks) < 1.0
        return sum(1.0 - a for a in asks) > 1.0

    def _quote(self, iid: str, now: int) -> LegQuote:
        asks = tuple((lv.price, lv.size) for lv in self.depth(iid, Side.BUY, self.config.levels))
        return LegQuote(iid, asks, now - self.book_age_ns(iid))

    def _enter(self, event_id: str, shape: Shape, quotes: list[LegQuote], now: int) -> bool:
        """Send the best basket the budget allows; return whether orders left."""
        cfg = self.config
        markets = [self.markets[q.instrument_id] for q in quotes]
        budget = min(self.equity() * cfg.event_fraction - self._committed(event_id), self.cash())
        whole = len(quotes)
        quotes = [q for q in quotes if self.barred(q.instrument_id) is None]
        if budget <= 0 or (shape == "YES" and len(quotes) < whole):
            return False
        basket = best_basket(
            shape,
            quotes,
            lambda iid, price, size: self.fee(iid, Side.BUY, Role.TAKER, price, size).fee,
            budget=budget,
            room_for=self._basket_room,
            size_step=max(m.size_step for m in markets),
            min_shares=max(m.min_size for m in markets),
            min_edge=cfg.min_edge,
        )
        if basket is None:
            return False
        attempt = basket_runner.start(self, basket)
        self._quiet_until[event_id] = now + int(cfg.cooldown_s * NS_PER_SECOND)
        if not attempt.done:
            self._attempts[event_id] = attempt
            self._wake(event_id, now)
        return True

    def _committed(self, event_id: str) -> Decimal:
        """Return dollars in the event at the price of the present bids."""
        total = ZERO
        for iid, owner in self._event_of.items():
            held = self.position(iid) if owner == event_id else ZERO
            if held > 0:
                bid = self.best_bid(iid)
                total += held * (bid.price if bid is not None else ZERO)
        return total

    # -- time -------------------------------------------------------------------------------
    def _wake(self, event_id: str, now: int) -> None:
        """Ask to be called when the answers of this round must be in."""
        self._alarm += 1
        name = f"basket-{self._alarm}"
        self._alarms[name] = event_id
        self.clock.set_time_alert_ns(name, now + int(self.config.leg_wait_s * NS_PER_SECOND))

    def on_time_event(self, event: Any) -> None:
        """Take the next step of the basket whose time has come."""
        event_id = self._alarms.pop(event.name, None)
        attempt = self._attempts.get(event_id) if event_id is not None else None
        if attempt is None or event_id is None:
            return
        now = self.now_ns
        asks = {
            leg.instrument_id: self._quote(leg.instrument_id, now) for leg in attempt.basket.legs
        }
        basket_runner.advance(
            self, attempt, asks, self.config.max_completion_loss, self.config.max_unwind_tries
        )
        if attempt.done:
            del self._attempts[event_id]
        else:
            self._wake(event_id, now)

    # -- pairs ------------------------------------------------------------------------------
    def _tend(self, pair: Pair, iid: str) -> None:
        now = self.now_ns
        if pair.stage is not PairStage.IDLE:
            pair_runner.step(self, pair, self._rules, now)
            return
        market, cfg = pair.market, self.config
        if now < pair.act_after_ns or self._event_of.get(iid) in self._attempts:
            return
        first, second = market.outcomes
        bids = self._bid.get(first.instrument_id, 1.0) + self._bid.get(second.instrument_id, 1.0)
        if 1.0 - bids < self._least_margin:
            return
        pair.act_after_ns = now + self._rules.wait_ns  # whatever follows, not at every change
        if market.close_ns and now > market.close_ns - int(cfg.pair_entry_cutoff_s * NS_PER_SECOND):
            return
        ids = [o.instrument_id for o in market.outcomes]
        if self.position(ids[0]) != self.position(ids[1]):  # equal shares are merged dollars
            return
        if any(self.book_age_ns(i) > cfg.max_book_age_s * NS_PER_SECOND for i in ids):
            return
        if any(self.barred(i) for i in ids):
            return
        budget = min(self.equity() * cfg.pair_fraction, self.cash())
        shares = floor_to(min(budget, self._pair_room(ids)), market.size_step)
        if shares > 0 and shares >= market.min_size:
            pair_runner.quote(self, pair, self._rules, shares, now)

    def _basket_room(self, basket: Basket) -> Decimal:
        """Return the part of a basket that the limits leave room for, counted as the gate counts."""
        parts, whole = [], ZERO
        for leg in basket.legs:
            iid = leg.instrument_id
            cost = self.worst_cost(iid, leg.limit, basket.shares)
            whole += cost
            parts.append(self.room(iid) / cost)
        together = self.room(basket.legs[0].instrument_id, over="event")
        return min(*parts, together / whole)

    def _pair_room(self, ids: list[str]) -> Decimal:
        """Return the shares that the limits let both bids have: each as an order, together in the market."""
        rooms, both = [], ZERO
        for iid in ids:
            bid = self.best_bid(iid)
            if bid is None or bid.price <= 0:
                return ZERO
            share = self.worst_cost(iid, bid.price, ONE, resting=True)
            rooms.append(self.room(iid) / share)
            both += share
        return min(*rooms, self.room(ids[0], over="market") / both)

    def on_fill(self, fill: FillRow) -> None:
        """Tell the basket or the pair that owns the fill."""
        attempt = self._attempts.get(self._event_of.get(fill.instrument_id, ""))
        if attempt is not None and fill.instrument_id in attempt.filled and "basket" in fill.reason:
            sign = 1 if fill.side == Side.BUY else -1
            attempt.filled[fill.instrument_id] += sign * fill.quantity
            attempt.spent += sign * fill.quantity * fill.price + fill.fee
        pair = self._pairs.get(fill.market_id)
        if pair is not None and "pair" in fill.reason:
            pair_runner.on_fill(pair, fill, self.now_ns)

    def on_settlement(self, iid: str, payout: Decimal) -> None:
        """Forget the pair of a market that is over."""
        self._pairs.pop(self.markets[iid].market_id, None)

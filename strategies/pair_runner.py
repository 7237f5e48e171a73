"""The passive pair: rest a bid on both outcomes for less than a dollar together, merge what fills.

Two resting bids at ``y`` and ``n`` with ``y + n < 1`` earn ``1 - y - n`` when both fill, because a YES and a
NO merge into a dollar. The risk is the leg in between: one bid fills because the price is going away.
Then the pair is completed at the ask if that costs at most `max_loss` per share, or the leg is sold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from core.domain.decision import TimeInForce
from core.domain.fees import Role, Side
from core.domain.market import Market
from core.domain.money import ONE, ZERO
from core.engine.results import FillRow
from core.engine.strategy import Adopted, BetaStrategy, Level
from strategies.parts import part_of


class PairStage(StrEnum):
    """Where the pair of one market stands."""

    IDLE = "idle"
    RESTING = "resting"
    LEGGED = "legged"
    CLOSING = "closing"


@dataclass(slots=True)
class Pair:
    """State of the pair in one binary market.

    Attributes
    ----------
    price : dict of str to Decimal
        Resting price by instrument.
    filled : dict of str to Decimal
        Shares bought by instrument since the pair began; sales are subtracted.
    """

    market: Market
    stage: PairStage = PairStage.IDLE
    shares: Decimal = ZERO
    since_ns: int = 0
    act_after_ns: int = 0
    price: dict[str, Decimal] | None = None
    orders: dict[str, str] | None = None
    filled: dict[str, Decimal] | None = None

    def excess(self) -> tuple[str, Decimal] | None:
        """Return the outcome held without its opposite, and how many shares."""
        if not self.filled:
            return None
        (a, qa), (b, qb) = self.filled.items()
        if qa == qb:
            return None
        return (a, qa - qb) if qa > qb else (b, qb - qa)


@dataclass(frozen=True, slots=True)
class PairRules:
    """Numbers of the pair: all dollars are per share."""

    margin: Decimal
    max_loss: Decimal
    stop: Decimal
    timeout_ns: int
    wait_ns: int
    cooldown_ns: int
    min_price: Decimal
    max_price: Decimal


def quote(desk: BetaStrategy, pair: Pair, rules: PairRules, shares: Decimal, now_ns: int) -> bool:
    """Rest both bids if they leave the margin; return whether they were sent."""
    ids = [o.instrument_id for o in pair.market.outcomes]
    bids = [desk.best_bid(iid) for iid in ids]
    if any(b is None or not rules.min_price <= b.price <= rules.max_price for b in bids):
        return False
    prices = [b.price for b in bids if b is not None]
    if not all(pair.market.grid_of(iid).contains(p) for iid, p in zip(ids, prices, strict=True)):
        return False
    if ONE - sum(prices, ZERO) < rules.margin:
        return False
    orders: dict[str, str] = {}
    for iid, price in zip(ids, prices, strict=True):
        sent = desk.buy(iid, shares, price, tif=TimeInForce.GTC, post_only=True, reason="pair")
        if sent is None:
            for order in orders.values():
                desk.cancel(order)
            pair.act_after_ns = now_ns + rules.cooldown_ns
            return False
        orders[iid] = sent
    pair.stage, pair.shares, pair.since_ns = PairStage.RESTING, shares, now_ns
    pair.act_after_ns = now_ns + rules.wait_ns
    pair.price = dict(zip(ids, prices, strict=True))
    pair.orders, pair.filled = orders, dict.fromkeys(ids, ZERO)
    return True


def take_over(pair: Pair, held: Mapping[str, Adopted]) -> None:
    """Close the leg that an earlier run left without its opposite; equal shares are dollars already."""
    pair.filled = {o.instrument_id: ZERO for o in pair.market.outcomes}
    for iid, one in held.items():
        if iid in pair.filled and one.quantity > 0:
            pair.filled[iid] = one.quantity
            pair.price = {**(pair.price or {}), iid: one.cost / one.quantity}
    pair.stage = PairStage.CLOSING


def on_fill(pair: Pair, fill: FillRow, now_ns: int) -> None:
    """Count a fill of the pair's market."""
    if pair.filled is None or fill.instrument_id not in pair.filled:
        return
    pair.filled[fill.instrument_id] += fill.signed_quantity
    if pair.stage is PairStage.RESTING:
        pair.stage, pair.since_ns = PairStage.LEGGED, now_ns


def step(desk: BetaStrategy, pair: Pair, rules: PairRules, now_ns: int) -> None:
    """Advance the pair after a book change; one action at a time, with a pause for the answers."""
    if now_ns < pair.act_after_ns or pair.stage is PairStage.IDLE:
        return
    if pair.stage is PairStage.RESTING:
        if _bids_left_behind(desk, pair):
            _stop(desk, pair, now_ns, rules)
    elif pair.stage is PairStage.LEGGED:
        _step_legged(desk, pair, rules, now_ns)
    elif pair.excess() is None:
        _reset(pair, now_ns, rules)
    else:
        _close_excess(desk, pair, rules, now_ns)


def _bids_left_behind(desk: BetaStrategy, pair: Pair) -> bool:
    """Return whether a better bid stands in front of either of ours."""
    for iid, price in (pair.price or {}).items():
        best = desk.best_bid(iid)
        if best is None or best.price > price:
            return True
    return False


def _step_legged(desk: BetaStrategy, pair: Pair, rules: PairRules, now_ns: int) -> None:
    filled = pair.filled or {}
    if all(quantity >= pair.shares for quantity in filled.values()):
        desk.report_legs(filled, attempt=False)
        _reset(pair, now_ns, rules)
    elif now_ns - pair.since_ns >= rules.timeout_ns or _leaving(desk, pair, rules):
        for order in (pair.orders or {}).values():
            desk.cancel(order)
        short = [iid for iid, quantity in filled.items() if quantity < max(filled.values())]
        desk.report_legs(filled, short, attempt=False)
        pair.stage, pair.act_after_ns = PairStage.CLOSING, now_ns + rules.wait_ns


def _leaving(desk: BetaStrategy, pair: Pair, rules: PairRules) -> bool:
    """Return whether the bid of the lone leg has fallen away from what was paid."""
    excess = pair.excess()
    if excess is None:
        return False
    bid = desk.best_bid(excess[0])
    return bid is None or bid.price <= (pair.price or {}).get(excess[0], ONE) - rules.stop


def _close_excess(desk: BetaStrategy, pair: Pair, rules: PairRules, now_ns: int) -> None:
    """Complete the pair at the ask if cheap enough and allowed, else sell the lone leg at the bid."""
    excess = pair.excess()
    assert excess is not None
    iid, quantity = excess
    quantity = min(quantity, desk.position(iid))
    if quantity < max(pair.market.min_size, pair.market.size_step):
        _reset(
            pair, now_ns, rules
        )  # less than the venue takes: held to resolution, worth what it is
        return
    pair.act_after_ns = now_ns + rules.wait_ns
    if _complete(desk, pair, rules, iid, quantity):
        return
    bid = desk.best_bid(iid)
    limit = pair.market.grid_of(iid).snap_down(bid.price) if bid is not None else None
    if limit is not None:
        desk.sell(iid, quantity, limit, tif=TimeInForce.IOC, reason="pair leg out")


def _complete(
    desk: BetaStrategy, pair: Pair, rules: PairRules, iid: str, quantity: Decimal
) -> bool:
    """Buy what `iid` lacks, as much at once as the limits allow; return whether an order left."""
    other = pair.market.opposite(iid).instrument_id
    ask = desk.best_ask(other)
    limit = pair.market.grid_of(other).snap_up(ask.price) if ask is not None else None
    if ask is None or limit is None:
        return False
    part = part_of(desk, other, quantity, limit)
    paid = (pair.price or {}).get(iid, ONE)
    if (
        part <= 0
        or ask.size < part
        or _completion_cost(desk, other, ask, part, paid) > rules.max_loss
    ):
        return False
    sent = desk.buy(other, part, limit, tif=TimeInForce.IOC, reason="complete pair")
    return sent is not None


def _completion_cost(
    desk: BetaStrategy, other: str, ask: Level, quantity: Decimal, paid: Decimal
) -> Decimal:
    """Return dollars per share lost by completing at the ask (negative: still a profit)."""
    fee = desk.fee(other, Side.BUY, Role.TAKER, ask.price, quantity).fee / quantity
    return paid + ask.price + fee - ONE


def _stop(desk: BetaStrategy, pair: Pair, now_ns: int, rules: PairRules) -> None:
    """Take both bids back; what filled meanwhile is closed in the next step."""
    for order in (pair.orders or {}).values():
        desk.cancel(order)
    pair.stage, pair.act_after_ns = PairStage.CLOSING, now_ns + rules.wait_ns


def _reset(pair: Pair, now_ns: int, rules: PairRules) -> None:
    pair.stage, pair.act_after_ns = PairStage.IDLE, now_ns + rules.cooldown_ns
    pair.orders = pair.filled = pair.price = None

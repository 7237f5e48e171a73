"""Carry one basket from the first leg to equal shares: enter, complete or unwind. Never left half-done."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from core.domain.decision import TimeInForce
from core.domain.fees import Role, Side
from core.domain.money import ZERO
from core.engine.strategy import BetaStrategy
from strategies.baskets import Basket, LegQuote
from strategies.parts import part_of


class Stage(StrEnum):
    """Where an attempt stands."""

    ENTERING = "entering"
    COMPLETING = "completing"
    UNWINDING = "unwinding"
    HELD = "held"
    FLAT = "flat"


#: Allowed moves; anything else is a bug and raises.
MOVES: dict[Stage, frozenset[Stage]] = {
    Stage.ENTERING: frozenset({Stage.COMPLETING, Stage.UNWINDING, Stage.HELD, Stage.FLAT}),
    Stage.COMPLETING: frozenset({Stage.COMPLETING, Stage.UNWINDING, Stage.HELD, Stage.FLAT}),
    Stage.UNWINDING: frozenset({Stage.FLAT, Stage.UNWINDING}),
    Stage.HELD: frozenset(),
    Stage.FLAT: frozenset(),
}


@dataclass(slots=True)
class BasketAttempt:
    """One basket being bought.

    Attributes
    ----------
    filled : dict of str to Decimal
        Shares of each leg bought, less what was sold again. Counted from fills, not from positions: a YES
        that merges with an earlier NO is a filled leg although neither is held any more.
    spent : Decimal
        Dollars paid for legs since the start, fees included, less what unwinding returned.
    missing : Decimal
        Shares that all legs together lacked at the last round of completing.
    tries : int
        Unwinding rounds so far.
    """

    basket: Basket
    filled: dict[str, Decimal]
    stage: Stage = Stage.ENTERING
    spent: Decimal = ZERO
    missing: Decimal = ZERO
    tries: int = 0
    orders: set[str] = field(default_factory=set)

    def move(self, stage: Stage) -> None:
        """Go to `stage`; a move that the table does not allow raises."""
        if stage not in MOVES[self.stage]:
            raise AssertionError(f"basket cannot go from {self.stage} to {stage}")
        self.stage = stage

    @property
    def done(self) -> bool:
        """Whether nothing more has to happen."""
        return self.stage in (Stage.HELD, Stage.FLAT)


def start(desk: BetaStrategy, basket: Basket) -> BasketAttempt:
    """Send every leg fill-or-kill, thinnest first; stop sending at the first refusal."""
    attempt = BasketAttempt(basket, {leg.instrument_id: ZERO for leg in basket.legs})
    for leg in basket.legs:
        sent = desk.buy(
            leg.instrument_id,
            basket.shares,
            leg.limit,
            tif=TimeInForce.FOK,
            reason=f"{basket.shape} basket",
        )
        if sent is None:
            break
        attempt.orders.add(sent)
    if not attempt.orders:
        attempt.move(Stage.FLAT)
    return attempt


def advance(
    desk: BetaStrategy,
    attempt: BasketAttempt,
    asks: dict[str, LegQuote],
    max_completion_loss: Decimal,
    max_tries: int,
) -> None:
    """Decide what follows once the answers to the last orders are in.

    Parameters
    ----------
    asks : dict of str to LegQuote
        Present asks of the legs.
    max_completion_loss : Decimal
        Part of the payout that completing may cost in the worst case; beyond it the legs are sold.
    max_tries : int
        Unwinding rounds before what is left is held to resolution (its cost bounds the loss).
    """
    shares = attempt.basket.shares
    added = attempt.filled
    full = [iid for iid, quantity in added.items() if quantity >= shares]
    if attempt.stage is Stage.ENTERING and any(quantity > 0 for quantity in added.values()):
        desk.report_legs(added, [iid for iid in added if iid not in full])
    if len(full) == len(added):
        attempt.move(Stage.HELD)
        return
    if all(quantity <= 0 for quantity in added.values()):
        attempt.move(Stage.FLAT)
        return
    if attempt.stage is Stage.ENTERING and _locked_without_the_rest(attempt, added, full):
        attempt.move(Stage.HELD)
        return
    missing = sum((shares - quantity for quantity in added.values()), ZERO)
    first, further = attempt.stage is Stage.ENTERING, attempt.stage is Stage.COMPLETING
    if (first or (further and missing < attempt.missing)) and _complete(
        desk, attempt, asks, max_completion_loss
    ):
        attempt.missing = missing
        attempt.move(Stage.COMPLETING)
        return
    _unwind(desk, attempt, added, max_tries)


def _locked_without_the_rest(
    attempt: BasketAttempt, added: dict[str, Decimal], full: list[str]
) -> bool:
    """Return whether the full legs alone already pay back what was spent (NO baskets only)."""
    if (
        attempt.basket.shape != "NO"
        or len(full) < 2
        or any(0 < q < attempt.basket.shares for q in added.values())
    ):
        return False
    return attempt.basket.shares * (len(full) - 1) >= attempt.spent


def _complete(
    desk: BetaStrategy, attempt: BasketAttempt, asks: dict[str, LegQuote], max_loss: Decimal
) -> bool:
    """Buy what is missing if the whole still pays and the limits have room for it; return whether orders were sent.

    What is above the limit of one order is bought in parts, a part of each leg a round. A completion that
    the limits would stop half-way is not begun: the legs bought for it would be sold again.
    """
    orders: list[tuple[str, Decimal, Decimal]] = []
    extra = worst = ZERO
    for iid, quantity in attempt.filled.items():
        need = attempt.basket.shares - quantity
        if need <= 0:
            continue
        pieces = asks[iid].fills(need)
        if pieces is None:
            return False
        for price, size in pieces:
            extra += price * size + desk.fee(iid, Side.BUY, Role.TAKER, price, size).fee
        limit = pieces[-1][0]
        part, cost = part_of(desk, iid, need, limit), desk.worst_cost(iid, limit, need)
        if part <= 0 or cost > desk.room(iid, over="market"):
            return False
        worst += cost
        orders.append((iid, part, limit))
    if worst > desk.room(orders[0][0], over="event"):
        return False
    if attempt.spent + extra > attempt.basket.payout * (1 + max_loss):
        return False
    sent = [
        desk.buy(iid, part, limit, tif=TimeInForce.FOK, reason="complete basket")
        for iid, part, limit in orders
    ]
    return any(s is not None for s in sent)


def _unwind(
    desk: BetaStrategy, attempt: BasketAttempt, added: dict[str, Decimal], max_tries: int
) -> None:
    """Sell what the attempt added at the bid; after `max_tries` rounds hold it to resolution."""
    if attempt.tries >= max_tries:
        attempt.move(Stage.FLAT)
        return
    attempt.move(Stage.UNWINDING)
    attempt.tries += 1
    for iid, filled in added.items():
        quantity, bid = min(filled, desk.position(iid)), desk.best_bid(iid)
        limit = desk.markets[iid].grid_of(iid).snap_down(bid.price) if bid is not None else None
        if quantity > 0 and limit is not None:
            desk.sell(iid, quantity, limit, tif=TimeInForce.IOC, reason="unwind basket")

"""What a strategy does with shares of an earlier life: they are managed like its own, and a lone leg is closed."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from core.domain.decision import TimeInForce
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.engine.adopted import Adopted
from core.engine.strategy import Level
from strategies import pair_runner
from strategies.base_predictor import BasePredictor
from strategies.pair_runner import Pair, PairRules, PairStage
from strategies.polymarket_arb import PolymarketArb
from tests.unit.core.engine.rig import market

D = Decimal
YES, NO = "M-YES.PM", "M-NO.PM"
RULES = PairRules(D("0.02"), D("0.02"), D("0.02"), 100, 1, 1, D("0.05"), D("0.95"))


class Desk:
    """A strategy's part in closing a pair: what it holds, sees, and has sent."""

    def __init__(self, held, ask="0.70"):
        self.held, self.ask, self.sent = held, D(ask), []

    def position(self, iid):
        return self.held.get(iid, D(0))

    def best_bid(self, iid):
        return Level(D("0.38"), D(500))

    def best_ask(self, iid):
        return Level(self.ask, D(500))

    def room(self, iid, over="order"):
        return D(1000)

    def worst_cost(self, iid, price, quantity, *, resting=False):
        return price * quantity

    def fee(self, iid, side, role, price, quantity):
        return SimpleNamespace(fee=D(0))

    def cash(self, venue=None):
        return D(1000)

    def barred(self, iid):
        return None

    def buy(self, iid, quantity, price, *, tif, reason):
        self.sent.append(("BUY", iid, quantity, price, tif, reason))
        return "O-1"

    def sell(self, iid, quantity, price, *, tif, reason):
        self.sent.append(("SELL", iid, quantity, price, tif, reason))
        return "O-2"


def pair_of():
    grid = TickGrid.uniform(D("0.01"))
    return Pair(market(grid=grid, fees=FeeSchedule("PM", kind="none"), min_size=D(5)))


def test_a_lone_leg_of_an_earlier_life_is_sold_where_completing_costs_too_much():
    pair = pair_of()
    pair_runner.take_over(pair, {YES: Adopted(D(20), D("8.00"), 1)})
    assert pair.stage is PairStage.CLOSING and pair.excess() == (YES, D(20))
    desk = Desk({YES: D(20)})
    desk.markets = {YES: pair.market, NO: pair.market}
    pair_runner.step(desk, pair, RULES, 10)
    assert desk.sent == [("SELL", YES, D(20), D("0.38"), TimeInForce.IOC, "pair leg out")]


def test_equal_legs_are_dollars_and_only_the_excess_of_unequal_ones_is_closed():
    pair = pair_of()
    pair_runner.take_over(pair, {YES: Adopted(D(20), D(8), 1), NO: Adopted(D(20), D(9), 1)})
    desk = Desk({YES: D(20), NO: D(20)})
    pair_runner.step(desk, pair, RULES, 10)
    assert desk.sent == [] and pair.stage is PairStage.IDLE
    pair = pair_of()
    pair_runner.take_over(pair, {YES: Adopted(D(20), D(8), 1), NO: Adopted(D(12), D(6), 1)})
    assert pair.excess() == (YES, D(8))


@pytest.mark.parametrize(
    ("events", "stage"), [({}, PairStage.CLOSING), ({YES: "E"}, PairStage.IDLE)]
)
def test_the_arbitrage_takes_over_pairs_and_leaves_legs_of_baskets(events, stage):
    pair, other = pair_of(), Pair(market("N"))
    desk = SimpleNamespace(_pairs={"M": pair, "N": other}, _event_of=events)
    PolymarketArb.on_adopted(desk, {YES: Adopted(D(20), D(8), 1)})
    assert (pair.stage, other.stage) == (stage, PairStage.IDLE)


def test_a_predictor_manages_what_an_earlier_life_has_bought():
    desk = SimpleNamespace(holdings={})
    BasePredictor.on_adopted(desk, {YES: Adopted(D(20), D(8), 7)})
    held = desk.holdings[YES]
    assert (held.quantity, held.average, held.since_ns) == (D(20), D("0.4"), 7)
    assert BasePredictor._held(desk, YES) == 20, "it is not bought a second time"

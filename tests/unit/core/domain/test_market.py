"""Markets and events hold only what can be true."""

from decimal import Decimal

import pytest

from core.domain.errors import MarketError
from core.domain.fees import FeeSchedule
from core.domain.grid import TickGrid
from core.domain.market import Event, Market, Outcome

D = Decimal


def binary(**changes):
    base = {
        "venue": "KALSHI",
        "market_id": "T",
        "question": "?",
        "outcomes": (Outcome("T-YES.KALSHI", "Yes", "yes"), Outcome("T-NO.KALSHI", "No", "no")),
        "grid": TickGrid.uniform(D("0.01")),
        "fees": FeeSchedule("KALSHI"),
    }
    return Market(**(base | changes))


def test_a_resolved_market_keeps_payouts_that_sum_to_one():
    done = binary().resolved_as((D(1), D(0)))
    assert done.resolved
    assert done.outcome("T-NO.KALSHI").payout == 0


def test_payouts_that_do_not_sum_to_one_are_refused():
    with pytest.raises(MarketError):
        binary().resolved_as((D(1), D(1)))


def test_the_opposite_of_yes_is_no():
    assert binary().opposite("T-YES.KALSHI").name == "No"


def test_exclusive_is_not_exhaustive():
    event = Event("POLYMARKET", "E", "Who wins?", ("A", "B"), neg_risk_id="0x1", complete=False)
    assert event.no_basket_allowed
    assert not event.yes_basket_allowed


def test_an_augmented_event_never_allows_a_yes_basket():
    event = Event(
        "POLYMARKET", "E", "?", ("A", "B"), neg_risk_id="0x1", complete=True, augmented=True
    )
    assert not event.yes_basket_allowed

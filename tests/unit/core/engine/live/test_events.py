"""Which markets of a node belong together: exclusive groups only, and never called complete."""

from dataclasses import replace

from core.engine.live.events import events_of
from tests.unit.core.engine.rig import market


def grouped(market_id, event_id, neg_risk_id):
    return replace(market(), market_id=market_id, event_id=event_id, neg_risk_id=neg_risk_id)


def test_markets_of_one_exclusive_group_are_an_event_for_baskets_of_no():
    (event,) = events_of([grouped("B", "E", "n1"), grouped("A", "E", "n1"), grouped("C", "F", "")])
    assert event.market_ids == ("A", "B") and event.event_id == "E"
    assert event.no_basket_allowed and not event.yes_basket_allowed


def test_a_market_alone_or_without_the_venues_word_is_no_event():
    alone = [grouped("A", "E", "n1"), grouped("B", "E", "n2"), grouped("C", "F", "n3")]
    assert events_of(alone) == []
    assert events_of([grouped("A", "E", ""), grouped("B", "E", "")]) == []

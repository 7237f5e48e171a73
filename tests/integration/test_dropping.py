"""A real node drops orders that are over; none comes back, and late news of them is booked."""

from decimal import Decimal

import pytest

from tests.live.rig import play


@pytest.mark.slow
@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_orders_that_are_over_leave_a_node_and_news_of_them_is_booked(tmp_path, venue):
    found = play("tests.live.dropping:dropped", venue, tmp_path / "node")
    assert found["exit"] == 0, found["stderr"]
    assert found["left"] and found["external"] == found["external_later"] == []
    assert found["records"] and found["records_later"] and found["traces"] == []
    assert found["counted"][0] == 2 and Decimal(found["counted"][1]) > 0, "a fill and the late one"
    assert found["told"] and found["held"] == "7", "the strategy hears the late fill, once"
    assert found["after"] == "5" and Decimal(found["filled"]) == 5
    assert found["halted"] == ""
    assert found["sold_of"] == "25", "the gate's number, not the engine's 5"
    if venue == "KALSHI":
        assert found["sale"] == "FILLED"
    else:  # the fill was made up: the venue does not hold its tokens, and its word decides
        assert "Polymarket refused" in found["said"]


@pytest.mark.slow
@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_a_market_that_is_paid_out_leaves_the_engine_and_late_news_of_it_is_booked(tmp_path, venue):
    found = play("tests.live.dropping:paid_out", venue, tmp_path / "node")
    assert found["exit"] == 0, found["stderr"]
    assert found["instruments"] == found["books"] == [False, True]
    assert found["top_stays"], "strategies read what was the top when it was paid out"
    assert found["dropped"] and found["paid_at_once"] and found["told"] and found["taken_back"]
    assert found["sent"] and found["trades_on"], "other markets trade on"
    assert found["external"] == [] and found["halted"] == ""

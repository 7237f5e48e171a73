"""A strategy of a node that is started again is told what it holds, what that cost and since when."""

import time

import pytest

from tests.live.rig import play


@pytest.mark.slow
@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_a_strategy_takes_over_what_an_earlier_life_has_bought(tmp_path, venue):
    before = time.time_ns()
    first = play("tests.live.adopted:bought", venue, tmp_path / "node")
    assert first["exit"] == 0 and first["filled"], first["stderr"]
    between = time.time_ns()
    second = play("tests.live.adopted:again", venue, tmp_path / "node")
    assert second["exit"] == 0, second["stderr"]
    ((iid, quantity, _, cost, since_ns),) = [told.split() for told in second["told"]]
    assert (iid, cost) == (first["iid"], first["cost"])
    assert float(quantity) == float(second["held"]) == 5
    assert before < int(since_ns) < between, "the time of the fill, not of the start"
    assert second["sold"]

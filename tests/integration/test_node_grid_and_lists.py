"""Whole nodes: a grid that changes under resting orders, and a list of orders on the paper venue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.rig import play


def test_orders_off_a_new_kalshi_grid_stay_shrink_fill_and_move_onto_it(tmp_path: Path) -> None:
    found = play("tests.live.scenarios:grid", "KALSHI", tmp_path / "node")
    assert found["exit"] == 0, found["stderr"]
    assert found["rested"] and found["told"]
    assert found["works"] == [3700, 3850, 3860], "the venue leaves them where they are"
    assert found["refused"] is None and found["codes"] == ["PRICE_OFF_GRID"] * 2
    assert found["smaller"], "a smaller size names no price"
    assert found["moved"], "a new price lies on the new grid"
    assert found["filled"] and found["fills"] == ["0.3860"]
    assert found["cancelled"] and found["left"] == 0
    first, second = found["rows"]
    assert first.startswith("0.0100->0.0010: 0 resting orders")
    assert second.startswith("0.0010->0.0100: 2 resting orders are off it")
    assert found["halted"] == ""


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_a_list_of_orders_on_paper_is_answered_one_by_one(tmp_path: Path, venue: str) -> None:
    found = play("tests.live.scenarios:paper_lists", venue, tmp_path / "node")
    assert found["exit"] == 0, found["stderr"]
    assert found["answered"], found["statuses"]
    assert found["refused"] == ["PRICE_OFF_GRID"]
    assert found["intents"], "each has its intent, the refused one has none"
    assert found["held"].startswith("5") and found["fills"] == 1
    assert found["cancelled"]
    assert found["posts"] == [], "on paper nothing leaves"

"""Traps of the engine's live node: what it does by itself, and what a node of ours does instead.

The first half of each pair runs `tests.live.bare` (a plain client and a plain strategy), so that a new version of
the engine that behaves differently is noticed. The second half runs a whole node against the fake Kalshi and the
fake Polymarket on loopback (`tests.live.scenarios`). One engine node a process is all there can be, so each
scenario is a process of its own, shared by the tests of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.live.rig import ROOT, play

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("live_traps")]
VENUES = ("KALSHI", "POLYMARKET")
each_venue = pytest.mark.parametrize("venue", VENUES)
Facts = dict[str, Any]


def run_bare(*args: str) -> Facts:
    """Run the engine's own node in a process and return what it said."""
    import json
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "tests.live.bare", *args],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    said: Facts = json.loads(lines[-1]) if lines else {}
    return said | {"exit": done.returncode}


@pytest.fixture(scope="module")
def bare() -> Facts:
    """What the engine does by itself."""
    return run_bare()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Facts]:
    """What a node of ours does: (scenario, venue) to facts, each run once."""

    @cache
    def facts(scenario: str, venue: str) -> Facts:
        found = play(f"tests.live.scenarios:{scenario}", venue, tmp_path_factory.mktemp(scenario))
        assert found["exit"] == 0, found["stderr"]
        return found

    return facts


@each_venue
def test_live_trap_01_an_inferred_fill_is_counted_twice(bare: Facts, ours: Any, venue: str) -> None:
    assert (bare["invented"], bare["filled_twice"]) == ("4", "8")
    facts = ours("traps", venue)
    assert facts["silent_fill"], "a fill that no socket told is found"
    assert facts["silent_fill_quantity"] == facts["venue_filled"] == "2"
    assert len(facts["silent_fill_trades"]) == 1, (
        "by the venue's own trade id, however often it is told"
    )
    assert facts["rows"]["order.filled"] == facts["executions"]
    assert facts["external"] == []


@each_venue
def test_live_trap_02_commands_wait_for_each_other(bare: Facts, ours: Any, venue: str) -> None:
    assert bare["cancel_waited_s"] > 1.0
    facts = ours("hung_post", venue)
    sent = [p.split(" ")[0] for p in facts["posts"] if "heartbeat" not in p]
    assert sent == ["POST", "DELETE", "POST"], "cancel and next create reach the venue meanwhile"
    assert facts["cancelled"] and facts["third"] and facts["meanwhile"] == "SUBMITTED"
    assert facts["arrived"] and facts["working"] == 2, "the hung order is not lost either"


@each_venue
def test_live_trap_03_an_unknown_submit_is_rejected(bare: Facts, ours: Any, venue: str) -> None:
    assert "INFLIGHT_TIMEOUT" in bare["lost_reason"]
    facts = ours("traps", venue)
    assert facts["lost_answer_found"], "an order whose answer was lost is found at the venue"
    assert facts["absent_meanwhile"] == "SUBMITTED", "no rejection before the proof"
    assert facts["absent_proven"] and facts["rows"]["order.absent"] == 1
    assert facts["rows"]["clock.read"] >= 1, "its age decided: the reading of the clock is a row"
    assert facts["creates_sent"] == 2, "nothing is sent again"


@each_venue
def test_live_trap_04_another_thread_aborts_the_process(ours: Any, venue: str) -> None:
    facts = ours("traps", venue)
    assert facts["other_thread"] == ["StrategyError", "RuntimeError"], (
        "refused before the engine is touched"
    )


def test_live_trap_04_the_engine_aborts_on_a_foreign_thread() -> None:
    seen = run_bare("thread")
    assert seen["exit"] in (-6, 134) and "survived" not in seen


def test_live_trap_05_no_cache_database_beside_a_client_in_python(bare: Facts) -> None:
    assert "not supported" in run_bare("database")["refused"]
    assert not bare["saved"], (
        "on_save is never called: what must survive is in the ledger and at the venue"
    )


@each_venue
def test_live_trap_06_the_trading_state_cannot_be_set(bare: Facts, ours: Any, venue: str) -> None:
    assert bare["after_halt"] == "ACCEPTED", "a published HALTED stops nothing"
    facts = ours("halted", venue)
    assert facts["answer"] in ("DENIED", "REFUSED")
    assert facts["creates"] == [], "no order leaves"
    assert facts["cleared"] and facts["working"] == 0, "and what rested is cancelled"


@each_venue
def test_live_trap_07_prices_and_naked_sales_are_not_checked(bare: Facts, ours: Any, venue: str) -> None:  # fmt: skip
    assert bare["price_above_one"] == bare["naked_sale"] == "ACCEPTED"
    facts = ours("traps", venue)
    assert facts["price_above_one"] is None and facts["naked_sale"] is None
    assert facts["left_meanwhile"] == [], "not one byte leaves"
    assert facts["around_the_gate"], "an order that never met the gate is denied at the client"
    assert facts["rows"]["order.denied"] >= 1


@each_venue
def test_live_trap_08_a_lost_cancel_is_never_noticed(bare: Facts, ours: Any, venue: str) -> None:
    assert bare["silently_cancelled"] == "ACCEPTED"
    assert ours("traps", venue)["silent_cancel_found"]


@each_venue
def test_live_trap_08_a_poll_that_fails_proves_nothing(ours: Any, venue: str) -> None:
    facts = ours("traps", venue)
    assert facts["uncertain_polls"] > 0
    assert facts["order_after_them"] == "ACCEPTED"


@each_venue
def test_live_trap_09_a_resolution_leaves_orders_and_later_orders(bare: Facts, ours: Any, venue: str) -> None:  # fmt: skip
    assert bare["closed_position"]
    assert bare["resting_after_close"] == bare["sent_after_close"] == "ACCEPTED"
    facts = ours("traps", venue)
    assert facts["held_at_close"].startswith("5") and facts["paid_out"]
    assert facts["resting_ended"] and facts["sent_after_close"] is None
    assert facts["open_positions"] == 0 and facts["resolved_kept"], "and it is not reported again"


@each_venue
def test_live_trap_10_the_stock_paper_venue_forgets_its_account(tmp_path: Path, venue: str) -> None:
    first = play("tests.live.scenarios:paper_account", venue, tmp_path)
    again = play("tests.live.scenarios:paper_account", venue, tmp_path)
    assert first["exit"] == again["exit"] == 0, first["stderr"] + again["stderr"]
    assert first["position_at_start"] == "0" and first["cash_at_end"] < first["cash_at_start"]
    assert again["position_at_start"].startswith("5"), "shares are there again"
    assert again["cash_at_start"] == first["cash_at_end"], "and no money was made"
    assert again["working_at_start"] == 0, "what rested was cancelled in order"
    assert [float(q) for q in again["engine_position"]] == [5.0]


@each_venue
def test_live_trap_11_a_stopped_strategy_still_sends(bare: Facts, ours: Any, venue: str) -> None:
    assert bare["sent_by_a_stopped_strategy"] == "ACCEPTED"
    facts = ours("traps", venue)
    assert facts["stopped_answer"] is None and facts["sent_by_a_stopped_strategy"] == 0


@each_venue
def test_live_trap_12_an_error_in_a_callback_is_only_logged(ours: Any, venue: str) -> None:
    facts = ours("raising", venue)
    assert facts["stopped"] and facts["raised"] == "a bug in a strategy"


@each_venue
def test_live_trap_13_a_stop_with_unknown_orders_is_not_a_crash(ours: Any, venue: str) -> None:
    facts = ours("unresolved", venue)
    assert facts["status"] == "SUBMITTED" and facts["unknown"] == 1
    assert len(facts["ended"]) == 1, "the run is sealed with its reason"


@each_venue
def test_live_trap_14_a_trade_by_hand_is_booked_and_stops_no_node(ours: Any, venue: str) -> None:
    facts = ours("by_hand", venue)
    assert facts["heard"] and facts["heard_too"], "the gate has the shares within seconds"
    assert facts["owners"] == ["EXTERNAL", "Hands-001"], "and they are nobody's to sell"
    assert facts["goes_on"] and facts["sold"] and facts["cash_right"], facts["cash"]
    assert facts["rows"] == facts["executions"], "each fill is one row"


def test_live_trap_15_the_check_of_positions_invents_orders() -> None:
    from core.engine.live.node import engine_config

    assert engine_config().position_check_interval_secs is None


@each_venue
def test_a_list_of_a_strategy_leaves_as_one_request_and_each_order_is_answered_for_itself(ours: Any, venue: str) -> None:  # fmt: skip
    facts = ours("lists", venue)
    batch = {"KALSHI": "POST /trade-api/v2/portfolio/events/orders/batched", "POLYMARKET": "POST /orders"}  # fmt: skip
    assert facts["posts"] == [batch[venue]], "one request for two markets"
    assert facts["statuses"] == ["ACCEPTED", "ACCEPTED", "ACCEPTED", "REJECTED"]
    assert facts["refused"] == ["PRICE_OFF_GRID"], "the gate's no holds up no other"
    assert facts["intents"] == 4, "what left was written before"

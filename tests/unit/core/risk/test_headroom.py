"""What is shown as left of a limit is what the gate would still let through."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from core.risk import Code, Limits
from core.risk.headroom import FILE, carry_losses, headroom, keep, read
from core.risk.states import TradingState
from core.risk.units import dollars
from tests.unit.core.risk.test_gate import refused
from tests.unit.core.risk.world import K2YES, KYES, PYES, D, Desk, world

DAY = 86_400 * 10**9


def rows(desk: Desk) -> dict[tuple[str, str], dict]:
    return {(r["limit"], r["scope"]): r for r in headroom(desk.gate, 10)["limits"]}


def busy() -> Desk:
    """A desk of 200 dollars that holds 8 in K1 and has 2 working in P1."""
    desk = Desk(world(Limits().changed({"exposure.order": "0.05"})))
    desk.gate.on_strategy("A", "arbitrage")
    desk.gate.on_strategy("P", "prediction")
    desk.hold(KYES, "20", "0.40", strategy="P")
    desk.gate.on_time(1)
    assert desk.send(PYES, "BUY", "5", "0.40", strategy_id="A").approved
    return desk


def test_every_limit_has_what_is_used_what_is_allowed_and_what_is_left():
    seen = rows(busy())
    market = seen["exposure.market", "K1"]
    assert (market["used"], market["most"], market["left"]) == ("8", "20.8", "12.8")
    assert seen["exposure.event", "E1"]["used"] == "8"
    assert D(seen["exposure.total", ""]["used"]) == 8 + D(
        seen["exposure.venue", "POLYMARKET"]["used"]
    )
    assert seen["exposure.open_orders", ""]["used"] == 1
    assert D(seen["cash", "POLYMARKET"]["left"]) == 100 - D(seen["cash", "POLYMARKET"]["used"])
    assert {"governors.daily_loss", "governors.drawdown"} <= {name for name, _ in seen}
    for row in seen.values():
        assert D(row["left"]) == max(D(0), D(row["most"]) - D(row["used"]))


def test_what_is_left_is_the_room_that_the_gate_gives():
    desk = busy()
    seen = rows(desk)
    for strategy, iid, market, event in (("P", K2YES, "K2", "E1"), ("P", KYES, "K1", "E1")):
        lefts = [
            D(seen[key]["left"])
            for key in (
                ("exposure.order", ""), ("exposure.market", market), ("exposure.event", event),
                ("exposure.venue", "KALSHI"), ("exposure.total", ""), ("cash", "KALSHI"),
            )
            if key in seen
        ]  # fmt: skip
        budgets = {r["scope"]: D(r["left"]) for r in headroom(desk.gate, 10)["budgets"]}
        assert desk.gate.room(strategy, iid) == min(*lefts, budgets["prediction"])


def test_one_share_more_than_what_is_left_is_refused():
    desk = busy()
    desk.hold(K2YES, "48", "0.40", strategy="P")
    left = D(rows(desk)["exposure.market", "K2"]["left"])
    shares = int(left / D("0.40")) + 1
    refused(desk.send(K2YES, "BUY", str(shares), "0.40", strategy_id="P"), Code.MARKET_LIMIT)


def test_losses_of_the_day_and_budgets_and_governors_are_shown():
    desk = busy()
    desk.gate.on_mark(KYES, D("0.30"), D("0.31"), 2)
    desk.gate.on_time(3)
    seen, whole = rows(desk), headroom(desk.gate, 10)
    assert seen["governors.daily_loss", ""]["used"] == "1.9"
    assert D(seen["governors.daily_loss", ""]["most"]) == D("0.05") * (200 + 8)
    assert [b["scope"] for b in whole["budgets"]] == ["arbitrage", "prediction"]
    assert {b["share"] for b in whole["budgets"]} == {"0.5"}
    assert whole["governors"]["posture"] == "AGGRESSIVE"
    assert whole["governors"]["volatile"] == []
    assert whole["breaker"]["state"] == "CLOSED"


def test_limits_that_a_state_has_shrunk_show_shrunk():
    desk = busy()
    before = D(rows(desk)["exposure.total", ""]["most"])
    desk.gate.governor.volatility("*", 3 * 10**9, 5)
    assert D(rows(desk)["exposure.total", ""]["most"]) <= before
    assert D(rows(desk)["exposure.market", "K1"]["most"]) == D("10.4")


def test_a_fresh_gate_has_everything_left(tmp_path: Path):
    gate = world(Limits())
    keep(tmp_path, gate, 7)
    found = read(tmp_path)
    assert found is not None
    assert (found["ts_ns"], found["equity"]) == (7, "200")
    assert all(Decimal(r["left"]) == Decimal(r["most"]) for r in found["limits"])
    assert dollars(gate.book.equity) == 200


def test_a_file_that_is_missing_broken_or_of_another_version_is_none(tmp_path: Path):
    assert read(tmp_path) is None
    for text in ("", "{", "[]", json.dumps({"schema_version": 99})):
        (tmp_path / FILE).write_text(text)
        assert read(tmp_path) is None


def test_a_disk_that_refuses_does_not_reach_trading(tmp_path: Path):
    (tmp_path / "risk").write_text("a file where the folder should be")
    keep(tmp_path / "risk", world(Limits()), 7)
    keep(tmp_path / "new" / "risk", world(Limits()), 7)
    assert read(tmp_path / "new" / "risk")


def judged(now_ns: int, price: str, desk: Desk | None = None) -> Desk:
    """A desk of 200 dollars in cash and 100 shares, all at stake and nothing lost; 5 % a day may be."""
    made = desk is None
    desk = desk or Desk(world(Limits()))
    if made:
        desk.hold(KYES, "100", "0.40")
        desk.gate.on_time(now_ns)
    desk.gate.on_mark(KYES, D(price), D(price))
    desk.gate.on_time(now_ns)
    return desk


def test_a_restart_gives_no_new_allowance_for_the_days_loss(tmp_path: Path):
    noon = 20_000 * DAY + DAY // 2
    keep(tmp_path, judged(noon, "0.35").gate, noon)  # 5 of 240 lost
    second = Desk(world(Limits()))
    second.hold(KYES, "100", "0.35")
    carry_losses(tmp_path, second.gate, 0)
    judged(noon + 1, "0.29", second)
    assert second.gate.holds.state is TradingState.RUNNING, "lost 11 of 240"
    judged(noon + 2, "0.28", second)
    assert set(second.gate.holds.sources) == {"daily_loss", "drawdown"}


def test_the_top_of_the_window_is_carried_with_its_time_and_the_day_with_its_day(tmp_path: Path):
    noon = 20_000 * DAY + DAY // 2
    keep(tmp_path, judged(noon, "0.35").gate, noon)
    for later, held in ((DAY // 2 + 60 * 10**9, {"drawdown"}), (DAY + 120 * 10**9, set())):
        second = Desk(world(Limits()))
        second.hold(KYES, "100", "0.35")
        carry_losses(tmp_path, second.gate, 0)
        judged(noon + later, "0.35", second)
        judged(noon + later + 1, "0.28", second)  # 7 more: below 5 % of 235, together 12
        assert set(second.gate.holds.sources) == held


def test_losses_before_an_operators_resume_and_numbers_that_are_none_are_not_carried(
    tmp_path: Path,
):
    noon = 20_000 * DAY + DAY // 2
    keep(tmp_path, judged(noon, "0.35").gate, noon)
    whole = json.loads((tmp_path / FILE).read_text())
    for resumed, text in (
        (noon, json.dumps(whole)),
        (0, json.dumps(whole | {"limits": [{"limit": "x"}]})),
        (0, json.dumps(whole | {"governors": {}})),
        (0, "{"),
    ):
        (tmp_path / FILE).write_text(text)
        second = Desk(world(Limits()))
        second.hold(KYES, "100", "0.35")
        carry_losses(tmp_path, second.gate, resumed)
        judged(noon + 1, "0.28", second)
        assert second.gate.holds.state is TradingState.RUNNING

"""What a running node shows: mode, feed age, result, money at risk, positions, halts."""

import io
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from console.terminal.node import line, panel, signed
from core.engine.live.status import Held, NodeStatus

STATUS = NodeStatus(
    mode="paper", venue="KALSHI", run_id="paper-1", uptime_s=12.0, markets=3, settled=0, feed_age_s=0.4,
    spot_age_s=None, spot=False, link_up=True, cash=Decimal("90"), equity=Decimal("99.5"),
    pnl=Decimal("-0.5"), committed=Decimal("9.5"), budget=Decimal("99.5"), fees=Decimal("0.07"),
    fills=1, orders=2, refused=4, unknown=0, halted="", ledger_seq=17,
    positions=(Held("S-001", "KXT-YES.KALSHI", Decimal("20"), Decimal("0.4750")),),
)  # fmt: skip


def shown(status):
    console = Console(file=io.StringIO(), width=110)
    console.print(panel(status))
    return console.file.getvalue()


def test_the_panel_says_mode_result_risk_and_positions():
    text = shown(STATUS)
    for word in ("PAPER", "feed age", "0.4 s", "-$0.5000", "$9.50 of $99.50", "20 KXT-YES.KALSHI", "bid $0.475"):  # fmt: skip
        assert word in text
    assert "spot" not in text
    assert "HALTED" not in text


def test_spot_is_shown_where_it_is_followed_and_a_halt_always():
    text = shown(replace(STATUS, spot=True, halted="operator: [stop]"))
    assert "spot age" in text
    assert "no data yet" in text
    assert "HALTED" in text
    assert "no spot yet" in line(replace(STATUS, spot=True))
    assert "spot 2.0 s" in line(replace(STATUS, spot=True, spot_age_s=2.0))


def test_a_line_says_how_many_markets_are_over():
    assert "  markets 3  " in line(STATUS)
    assert "  markets 3, 1 settled  " in line(replace(STATUS, settled=1))
    assert "  markets 3, all settled  " in line(replace(STATUS, settled=3))


def test_many_positions_do_not_fill_the_screen():
    many = tuple(Held("S", f"M{n}-YES.KALSHI", Decimal(1), None) for n in range(30))
    text = shown(replace(STATUS, positions=many))
    assert "and 20 more" in text
    assert "no bid" in text


@pytest.mark.parametrize(("amount", "text"), [("0", "+$0.0000"), ("-1.5", "-$1.5000")])
def test_a_result_has_its_sign(amount, text):
    assert signed(Decimal(amount)) == text


def test_the_screen_says_when_the_markets_are_over_and_which_venue_it_is():
    assert "3, 1 settled" in shown(replace(STATUS, settled=1))
    assert "3, all settled" in shown(replace(STATUS, settled=3))
    assert "PAPER fake-kalshi" in line(STATUS, "fake-kalshi")

"""Sessions of every sort run again as backtests: resting orders that fill in parts, settlement, live orders, real books.

Zero orders differ, and no fill, fee or payout, wherever the records hold all that decided.
"""

import json
from collections import Counter

import pytest

from core.engine.arrivals import Arrivals
from core.engine.parity import check_parity
from core.engine.parity.compare import HEARD, STOOD, Reason
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.integration.kalshi_session import write_traded_catalog
from tests.integration.test_parity import start

RESTS = "tests.integration.kalshi_session:RestsNowAndThen"
TAKES = "tests.integration.kalshi_session:TakesNowAndThen"
STEPS = 110


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    return write_traded_catalog(tmp_path_factory.mktemp("cat") / "traded", steps=STEPS, seed=4)


def report_of(repo_root, home, catalog, **told):
    """Run a session until its markets have paid, however long that takes here, and replay it."""
    told = {"run_s": 300.0, "limits": "research", "capital": "1000", "until_paid": True} | told
    node = start(repo_root, home, catalog, **told)
    said, _ = node.communicate(timeout=400)
    assert node.returncode == 0
    report = check_parity(home)
    assert report.run_id == json.loads(said)["run_id"]
    return report


def same(report):
    assert report.differences == ()
    assert report.orders[0] == report.orders[1]
    assert report.fills[0] == report.fills[1]
    assert report.fees[0] == report.fees[1]
    assert report.settlements[0] == report.settlements[1]


def filled(ledger):
    return LedgerReader(ledger).rows(Selection(kinds=("order.filled",)))


@pytest.mark.slow
def test_resting_orders_on_paper_fill_in_the_same_parts_until_settlement(repo_root, tape, tmp_path):
    params = {"every": 3, "stay": 14, "quantity": "12", "sells": False}
    report = report_of(repo_root, tmp_path / "home", tape, strategy=RESTS, params=params)
    same(report)
    assert report.orders[0] >= 8
    parts = Counter(r.decoded().client_order_id for r in filled(tmp_path / "home" / "ledger"))
    assert max(parts.values()) > 1, "orders fill in parts"
    assert report.settlements[0] >= 1


@pytest.mark.slow
def test_a_strategy_that_hears_of_its_fills_late_hears_of_them_as_late_in_the_replay(
    repo_root, tape, tmp_path, monkeypatch
):
    """It asks for its working orders, and knows of a fill seven changes of the book after its gate."""
    params = {"every": 3, "stay": 14, "quantity": "12"}
    home = tmp_path / "home"
    same(report_of(repo_root, home, tape, strategy=RESTS, params=params, deaf_s=0.7))
    rows = LedgerReader(home / "ledger").rows(Selection(kinds=("news.heard",)))
    told = [row.decoded() for row in rows]
    assert sum(t.heard_after_ns - t.booked_after_ns > 500_000_000 for t in told) >= 3
    monkeypatch.setattr(Arrivals, "fill_of", lambda *args: None)
    assert not check_parity(home).equal, "heard at the fill it decides otherwise"


@pytest.mark.slow
def test_orders_that_empty_levels_on_paper_meet_the_same_levels_again(repo_root, tape, tmp_path):
    params = {"every": 3, "quantity": "30", "sells": False}
    report = report_of(repo_root, tmp_path / "home", tape, strategy=TAKES, params=params)
    assert report.fills[0] >= 10
    # Its orders hang on the book alone. A level that we emptied, that went and came back, is kept in two ways.
    assert not [d for d in report.differences if d.what == "order"]
    paid = [d for d in report.differences if d.what == "settlement"]
    fills = [d for d in report.differences if d.what != "settlement"]
    assert {d.reason for d in fills} <= {Reason.TAKEN, Reason.DEPTH}
    assert {d.reason for d in paid} <= {Reason.CONSEQUENCE}, "other shares are paid"
    if not report.differences:
        same(report)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "params"),
    [(RESTS, {"every": 3, "stay": 14, "quantity": "12"}), (TAKES, {"every": 7, "quantity": "3"})],
)
def test_a_live_run_on_the_fake_venue_sends_the_same_orders(
    repo_root, tape, tmp_path, strategy, params
):
    home = tmp_path / "home"
    report = report_of(repo_root, home, tape, strategy=strategy, params=params, mode="live")
    assert report.mode == "live"
    assert report.fills[0] >= 5
    if not report.differences:
        same(report)
        return
    # What hangs on when orders happen to arrive: what is left of a level after our own fills is kept in two ways, the
    # news of a fill or an expiry is on its way, an order is on its way when its market closes. The rows must show it.
    first, *others = report.differences
    late = first.reason is Reason.REJECTED and first.detail.startswith("market_inactive")
    named = (first.reason, first.detail) in ((Reason.LATENCY, HEARD), (Reason.TAKEN, STOOD))
    assert late or named, first
    rest = {Reason.CONSEQUENCE} | ({Reason.REJECTED} if late else set())
    assert {d.reason for d in others} <= rest, others

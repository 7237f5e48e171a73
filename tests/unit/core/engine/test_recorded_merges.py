"""In a replay of a node's run pairs become dollars when the node turned them into dollars, not at the fill."""

import pytest

from core.domain.errors import StrategyError
from core.engine.arrivals import Arrivals, Merge, Place
from core.engine.backtest.merges import RecordedMerges
from core.engine.strategy import BetaStrategy, StrategyConfig
from tests.unit.core.engine.rig import BID, D, Tape, level, market, ns, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"
ASK = {YES: "0.40", NO: "0.61"}
CAPITAL = D(100)


class Config(StrategyConfig):
    """What is sent at which second: (second, side, outcome, shares)."""

    plan: tuple[tuple[int, str, str, int], ...] = ()


class Plans(BetaStrategy):
    """Does what its plan says, and notes cash and shares at each second."""

    config_type = Config

    def on_start(self):
        self.watch_book(YES)
        type(self).seen = {}

    def on_book(self, iid):
        now = round((self.now_ns - ns(0)) / 1e9)
        self.seen[now] = (self.cash(), self.position(YES), self.position(NO))
        for second, side, outcome, shares in self.config.plan:
            target = YES if outcome == "YES" else NO
            if second == now and side == "BUY":
                self.buy(target, D(shares), D(ASK[target]), reason="in")
            elif second == now:
                self.sell(
                    target, D(shares), D("0.39") if target == YES else D("0.60"), reason="out"
                )


def catalog(path, close=None):
    yes = snapshot(1, [("0.39", "1000")], [("0.40", "1000")])
    for n in range(2, 12):
        yes += level(n, BID, "0.30", str(n))
    no = snapshot(1, [("0.60", "1000")], [("0.61", "1000")])
    paid = [(close, "1"), (close, "0")] if close else [None, None]
    tapes = {YES: Tape(books=yes, close=paid[0]), NO: Tape(books=no, close=paid[1])}
    return write(path, [market()], tapes)


def replay(tmp_path, plan, *merges, close=None, venue="MERGING", capital=CAPITAL):
    rows = tuple(Merge("Plans#0", (NO, YES), D(q), Place(ns(t), ns(t + 0.5))) for t, q in merges)
    return run(
        catalog(tmp_path / "c", close), Plans, venue=venue, params={"plan": plan}, capital=capital,
        arrivals=Arrivals([], usual_ns=0, window_ns=0), merges=rows,
    )  # fmt: skip


PAIR = ((2, "BUY", "YES", 10), (2, "BUY", "NO", 10))


def test_a_pair_is_held_until_the_node_merged_it(tmp_path):
    result = replay(tmp_path, PAIR, (6, "10"))
    assert [Plans.seen[s][1:] for s in (3, 6, 7)] == [(10, 10), (10, 10), (0, 0)]
    assert Plans.seen[7][0] - Plans.seen[6][0] == 10
    assert result.merged == 10
    assert result.final_cash == CAPITAL - D("10.10") - result.fees_paid + 10


def test_until_then_a_leg_can_be_sold_and_the_rest_of_the_pairs_is_merged(tmp_path):
    """A backtest that merges at the fill could not sell what it has merged away."""
    plan = (*PAIR, (4, "SELL", "YES", 4))
    result = replay(tmp_path, plan, (6, "10"))
    assert Plans.seen[6][1:] == (6, 10)
    assert Plans.seen[7][1:] == (0, 4)
    assert result.merged == 6


def test_the_dollars_of_a_merge_buy_again_before_settlement(tmp_path):
    """The engine's own cash does not know of the merge: it was lent it."""
    again = tuple((t, "BUY", outcome, 10) for t in (8,) for outcome in ("YES", "NO"))
    result = replay(tmp_path, (*PAIR, *again), (6, "10"), close=20, capital=D(12))
    assert [o.status for o in result.orders] == ["FILLED"] * 4
    assert result.final_cash == D(12) - D("20.20") - result.fees_paid + 20


@pytest.mark.parametrize("close", [None, 20])
def test_pairs_that_the_node_did_not_merge_stay_pairs(tmp_path, close):
    result = replay(tmp_path, PAIR, close=close)
    assert Plans.seen[11][1:] == (10, 10)
    assert result.merged == 0
    assert result.final_cash == CAPITAL - D("10.10") - result.fees_paid + (10 if close else 0)


def test_a_venue_that_nets_merges_at_the_fill_whatever_is_on_record(tmp_path):
    result = replay(tmp_path, PAIR, (6, "10"), venue="NETTING")
    assert Plans.seen[3][1:] == (0, 0)
    assert result.merged == 10


def test_a_merge_of_more_than_is_held_or_of_paid_out_shares_takes_nothing_that_is_not_there(
    tmp_path,
):
    assert replay(tmp_path, PAIR, (6, "12"), (7, "3")).merged == 10
    late = tmp_path / "late"
    late.mkdir()
    assert replay(late, PAIR, (9, "10"), close=8.5).merged == 0


def test_a_cent_that_the_loan_does_not_explain_stops_the_replay(tmp_path, monkeypatch):
    lent = RecordedMerges.lent
    monkeypatch.setattr(RecordedMerges, "ahead", lambda self, code: lent(self, code) - D("0.01"))
    with pytest.raises(StrategyError, match="is not the engine's"):
        replay(tmp_path, PAIR, (6, "10"))

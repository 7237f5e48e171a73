"""Pairs of YES and NO become dollars once: credited when complete, never sold, never paid again."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.domain.errors import MarketError
from core.engine.merging import MergeBook
from core.engine.strategy import BetaStrategy, StrategyConfig
from tests.unit.core.engine.rig import BID, D, Tape, level, market, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"


# -- through the engine -----------------------------------------------------------------------------
class Config(StrategyConfig):
    plan: tuple[tuple[str, str, int], ...] = ()


class Planned(BetaStrategy):
    """Does step n of its plan at the n-th YES book: (side, outcome, shares)."""

    config_type = Config
    config: Config

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        plan = self.config.plan
        if self.n < len(plan):
            side, outcome, size = plan[self.n]
            target = YES if outcome == "YES" else NO
            prices = {
                ("BUY", YES): "0.40",
                ("BUY", NO): "0.61",
                ("SELL", YES): "0.39",
                ("SELL", NO): "0.60",
            }
            act = self.buy if side == "BUY" else self.sell
            act(target, D(size), D(prices[(side, target)]), reason=f"{self.n}")
        self.n += 1
        for held in (YES, NO):
            assert self.position(held) >= 0
        assert min(self.position(YES), self.position(NO)) == 0, "pairs are merged at once"


class Second(Planned):
    """Another strategy with the same plan form."""


def catalog(path: Path, payout: str = "1", depth: str = "100000") -> Path:
    yes = snapshot(1, [("0.39", depth)], [("0.40", depth)])
    for n in range(2, 30):
        yes += level(n, BID, "0.30", str(n))
    no = snapshot(1, [("0.60", depth)], [("0.61", depth)])
    return write(
        path,
        [market()],
        {
            YES: Tape(books=yes, close=(50, payout)),
            NO: Tape(books=no, close=(50, str(1 - D(payout)))),
        },
    )


@pytest.mark.parametrize("payout", ["1", "0", "0.5", "0.37"])
def test_a_pair_is_worth_one_dollar_whatever_happens(tmp_path: Path, payout: str) -> None:
    path = catalog(tmp_path / "c", payout)
    plan = (("BUY", "YES", 60), ("BUY", "NO", 60))
    result = run(path, Planned, venue="MERGING", params={"plan": plan})
    fees = D("0.07") * (60 * D("0.24") + 60 * D("0.61") * D("0.39"))
    assert result.fees_paid == fees
    assert result.merged == 60
    assert result.final_cash == 100 - 60 * D("1.01") + 60 - fees
    assert result.settlements == []
    assert result.markets[0].exit_reasons == {"merge": 1}


def test_the_released_dollars_can_be_spent_at_once(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    plan = (("BUY", "YES", 90), ("BUY", "NO", 90), ("BUY", "YES", 200))
    result = run(path, Planned, params={"plan": plan}, capital=D(100), venue="MERGING")
    # 90 pairs cost $90.90 plus fees and come back as $90: enough for 200 shares at 0.40.
    assert [o.status for o in result.orders] == ["FILLED", "FILLED", "FILLED"]


class Holder(Planned):
    """Sees its pairs until they are paid."""

    def on_book(self, iid: str) -> None:
        plan = self.config.plan
        if self.n < len(plan):
            _, outcome, size = plan[self.n]
            self.buy(
                YES if outcome == "YES" else NO, D(size), D("0.40" if outcome == "YES" else "0.61")
            )
        self.n += 1


def test_pairs_that_are_held_lock_their_dollars_and_earn_the_same(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    plan = (("BUY", "YES", 60), ("BUY", "NO", 60), ("BUY", "YES", 200))
    one = {"params": {"plan": plan[:2]}, "venue": "MERGING", "capital": D(100)}
    at_once, held = run(path, Holder, **one), run(path, Holder, merge_pairs=False, **one)
    assert (at_once.merged, held.merged, len(held.settlements)) == (60, 0, 2)
    assert held.final_cash == at_once.final_cash
    assert held.header.config_hash != at_once.header.config_hash
    late = run(path, Holder, merge_pairs=False, **(one | {"params": {"plan": plan}}))
    assert [o.status for o in late.orders] == ["FILLED", "FILLED", "REFUSED"]


def test_merged_shares_cannot_be_sold(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    plan = (("BUY", "YES", 100), ("BUY", "NO", 60), ("SELL", "YES", 41), ("SELL", "YES", 40))
    result = run(path, Planned, venue="MERGING", params={"plan": plan}, capital=D(200))
    assert [(o.status, o.code) for o in result.orders[2:]] == [
        ("REFUSED", "COVERED_SELL"),
        ("FILLED", ""),
    ]
    assert result.settlements == []


def test_a_netting_venue_refuses_the_opposite_side(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    plan = (("BUY", "YES", 60), ("BUY", "NO", 60))
    result = run(path, Planned, venue="NETTING", params={"plan": plan})
    assert [(o.status, o.code) for o in result.orders] == [
        ("FILLED", ""),
        ("REFUSED", "OPPOSITE_HELD"),
    ]


steps = st.lists(
    st.tuples(st.sampled_from(["BUY", "SELL"]), st.sampled_from(["YES", "NO"]), st.integers(1, 80)),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    first=steps,
    second=steps,
    payout=st.sampled_from(["1", "0", "0.5", "0.1234"]),
    slow=st.booleans(),
)
def test_money_is_conserved_by_any_mix_of_trades_merges_and_settlement(
    tmp_path_factory: pytest.TempPathFactory,
    first: list,
    second: list,
    payout: str,
    slow: bool,
) -> None:
    path = tmp_path_factory.getbasetemp() / f"merge-{payout}"
    if not path.exists():
        catalog(path, payout)
    names = f"{__name__}:Planned,{__name__}:Second"
    params = {"Planned": {"plan": first}, "Second": {"plan": second}}
    result = run(
        path,
        names,
        venue="MERGING",
        params=params,
        capital=D(300),
        latency_ms=75.0 if slow else 0.0,
    )
    # The run itself compares with the engine's account; here the rows tell the same story.
    cash = D(300)
    shares: dict[tuple[str, str], Decimal] = {}
    for fill in result.fills:
        cash -= fill.signed_quantity * fill.price + fill.fee
        key = (fill.strategy_id, fill.instrument_id)
        shares[key] = shares.get(key, D(0)) + fill.signed_quantity
    cash += result.merged
    assert cash == result.final_cash == result.final_equity
    left = {k: v for k, v in shares.items() if v}
    assert sum(left.values(), D(0)) == 2 * result.merged  # what was merged left without a sale
    for (sid, iid), quantity in left.items():
        other = NO if iid == YES else YES
        assert left[(sid, other)] == quantity
    assert result.unresolved == []


# -- the book by itself -----------------------------------------------------------------------------
class Ref:
    def __init__(self, index: int) -> None:
        self.index, self.iid, self.market = index, f"i{index}", market()
        self.opposite: object = self


LEGS = (Ref(0), Ref(1))


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(-50, 50)), max_size=40))
def test_what_is_merged_only_grows_and_never_exceeds_a_leg(moves: list[tuple[int, int]]) -> None:
    book = MergeBook()
    held = [0, 0]
    merged = 0
    for index, delta in moves:
        if held[index] + delta < merged or not delta:
            if delta:
                with pytest.raises(MarketError):
                    book.fill("s", LEGS[index], D(delta))
            continue
        fresh = book.fill("s", LEGS[index], D(delta))
        held[index] += delta
        assert fresh == max(0, min(held) - merged)
        merged += fresh
        assert min(h - merged for h in held) == 0
    assert book.total == merged
    paid = [book.settle("s", leg, D(held[leg.index])) for leg in LEGS if held[leg.index]]
    assert set(paid) <= {D(merged)}
    for leg in LEGS:
        if held[leg.index]:
            with pytest.raises(MarketError):
                book.settle("s", leg, D(held[leg.index]))

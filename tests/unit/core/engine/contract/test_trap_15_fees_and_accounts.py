"""Traps of fees and accounts: legs charged as trades, fees that are no money, positions and orders that hide."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.execution import FeeModel, MakerTakerFeeModel, ProbabilityPriceFeeModel
from nautilus_trader.model import AccountType, Money

from core.domain.decision import TimeInForce
from core.domain.errors import BetaError
from core.domain.fees import FeeCharge, FeeFill, FeeSchedule
from core.engine.backtest import runners
from core.engine.report import summarise
from core.engine.strategy import BetaStrategy
from tests.unit.core.engine import rig
from tests.unit.core.engine.contract import bare
from tests.unit.core.engine.rig import BID, D, Tape, level, market, run, snapshot, write

YES = "M-YES.PM"
NOTES: list[Any] = []


def buy_100(s: Any) -> None:
    s.limit(bare.BUY, 100, 0.40, bare.IOC)


def quotes(n: int = 2) -> list[Any]:
    return [bare.quote(t, 0.39, 0.40) for t in range(1, n + 1)]


def catalog(path: Path, payout: str = "1", later: int = 4) -> Path:
    rows = snapshot(1, [("0.39", "500")], [("0.40", "500")])
    for n in range(2, 2 + later):
        rows += level(n, BID, "0.30", str(n))
    return write(path, [market()], {YES: Tape(books=rows, close=(20, payout))})


class Holds(BetaStrategy):
    """Buys 100 once; notes what it is told."""

    def on_start(self) -> None:
        self.sent = False
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        if not self.sent:
            self.sent = True
            self.buy(iid, D(100), D("0.40"), reason="in")

    def on_fill(self, fill: Any) -> None:
        NOTES.append(("fill", str(self.strategy_id), fill.role, fill.quantity))

    def on_order_done(self, client_order_id: str, status: str) -> None:
        NOTES.append(("done", client_order_id, status))

    def on_settlement(self, iid: str, payout: Decimal) -> None:
        NOTES.append(("settled", str(self.strategy_id), payout))


class HoldsToo(Holds):
    """A second holder."""


@pytest.fixture(autouse=True)
def _no_notes() -> None:
    NOTES.clear()


# -- fees -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("model", "payout", "taken"),
    [
        (MakerTakerFeeModel(Decimal(0), Decimal("0.02")), 1.0, "2.00"),
        (ProbabilityPriceFeeModel(Decimal(0), Decimal("0.05")), 0.5, "1.25"),
    ],
)
def test_the_engine_charges_a_settlement_leg_like_a_trade(
    model: Any, payout: float, taken: str
) -> None:
    free = 1000 - 40 + 100 * D(str(payout))
    legs = [*quotes(), bare.close(9, bare.p(payout))]
    _, without = bare.play(legs, {1: buy_100})
    _, cash = bare.play(legs, {1: buy_100}, fee_model=model)
    _, trade = bare.play(quotes(), {1: buy_100}, fee_model=model)  # what the buy alone costs
    assert without == free
    assert free - cash - (960 - trade) == D(taken)


@pytest.mark.parametrize("payout", ["1", "0.5", "0"])
def test_a_settlement_leg_is_free_and_the_trade_pays_once(tmp_path: Path, payout: str) -> None:
    result = run(catalog(tmp_path / "c", payout), Holds, venue="CHARGING")
    fee = D("0.07") * D("0.24") * 100
    assert [f.fee for f in result.fills] == [fee, 0]
    assert result.final_cash == 60 - fee + 100 * D(payout)


class NoMoney(FeeModel):
    """Answers with a number instead of money."""

    def get_commission(self, *_: Any) -> Any:
        return 0.25


class OtherMoney(FeeModel):
    """Answers in another currency than the market's."""

    def get_commission(self, *_: Any) -> Any:
        return Money.from_str("0.25 EUR")


def test_the_engine_leaves_an_order_submitted_for_ever_when_its_fee_is_a_number() -> None:
    s, cash = bare.play(quotes(4), {1: buy_100}, fee_model=NoMoney())
    assert s.fills == []
    assert "OrderCanceled" not in [type(e).__name__ for e in s.order_events]
    assert cash == 1000


def test_the_engine_stops_booking_when_a_fee_is_of_another_currency() -> None:
    s, cash = bare.play(quotes(4), {1: buy_100}, fee_model=OtherMoney())
    assert s.fills
    assert cash == 1000  # bought for 40, and the account does not know


class NumberFees(rig.FlatFees):
    """Charges with a float, as a careless fee book would."""

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        return FeeCharge(0.25, "float")  # type: ignore[arg-type]


class EndlessFees(rig.FlatFees):
    """Charges what is no amount."""

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        return FeeCharge(D("NaN"), "nan")


class FineFees(rig.FlatFees):
    """Charges finer than the currency."""

    def charge(self, schedule: FeeSchedule, fill: FeeFill) -> FeeCharge:
        return FeeCharge(D("0.00000001"), "fine")


@pytest.mark.parametrize("book", [NumberFees, EndlessFees, FineFees])
def test_a_fee_that_is_no_amount_of_dollars_stops_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, book: type
) -> None:
    monkeypatch.setattr(rig.PLAIN, "book", book)
    with pytest.raises(BetaError, match=r"fee model|finer than|is_finite"):
        run(catalog(tmp_path / "c"), Holds)


# -- settlement -------------------------------------------------------------------------------------
def test_the_engine_tells_a_strategy_of_orders_that_it_never_sent() -> None:
    s, _ = bare.play([*quotes(), bare.close(9, bare.p(1.0))], {1: buy_100})
    legs = [e for e in s.order_events if str(e.client_order_id).startswith("EXPIRATION-")]
    assert {"OrderInitialized", "OrderFilled"} & {type(e).__name__ for e in legs}


def test_two_holders_are_both_paid_and_told_once_and_of_no_foreign_order(tmp_path: Path) -> None:
    names = f"{__name__}:Holds,{__name__}:HoldsToo"
    result = run(catalog(tmp_path / "c"), names, capital=D(200))
    assert sorted(s.strategy_id for s in result.settlements) == sorted(
        {n[1] for n in NOTES if n[0] == "fill"}
    )
    assert [s.proceeds for s in result.settlements] == [100, 100]
    assert sorted(n[0] for n in NOTES) == ["fill", "fill", "settled", "settled"]
    assert result.final_cash == 200 - 80 + 200
    assert result.unresolved == []


def test_the_engine_takes_an_instrument_without_an_end_for_expired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bare, "YES", bare.option(expires=0))
    s, cash = bare.play(quotes(), {1: buy_100})
    assert s.fills == []
    assert cash == 1000


def test_a_market_without_an_end_is_traded(tmp_path: Path) -> None:
    assert market().close_ns == 0
    assert [o.status for o in run(catalog(tmp_path / "c"), Holds).orders] == ["FILLED"]


# -- accounts ---------------------------------------------------------------------------------------
def test_a_margin_account_lets_the_engine_sell_what_nobody_holds() -> None:
    s, _ = bare.play(
        quotes(), {1: lambda s: s.limit(bare.SELL, 900, 0.39, bare.IOC)}, account=AccountType.MARGIN
    )
    assert [f.order_side for f in s.fills] == [bare.SELL]


def test_venues_are_cash_accounts_without_borrowing_chance_or_random_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = runners.BacktestVenueConfig

    def spy(*args: Any, **kwargs: Any) -> Any:
        seen.append(real(*args, **kwargs))
        return seen[-1]

    monkeypatch.setattr(runners, "BacktestVenueConfig", spy)
    run(catalog(tmp_path / "c"), Holds)
    assert [v.account_type for v in seen] == [AccountType.CASH]
    assert not seen[0].allow_cash_borrowing
    assert not seen[0].use_random_ids
    assert not seen[0].frozen_account


# -- what hides -------------------------------------------------------------------------------------
class Hidden(bare.Bare):
    """Looks for its order where the engine lists orders, in the moment of sending it."""

    seen: tuple[int, int] | None = None

    def step(self) -> None:
        super().step()
        if self.n == 1:
            cache = self.cache
            self.seen = (
                len(cache.orders_open(None, bare.YES.id)),
                len(cache.orders_inflight(None, bare.YES.id)),
            )


def test_the_engine_lists_an_order_just_sent_nowhere() -> None:
    s, _ = bare.play(quotes(), {1: lambda s: s.limit(bare.BUY, 10, 0.30)}, Hidden)
    assert s.seen == (0, 0)


class Looks(BetaStrategy):
    """Rests a bid and looks at what works, in the same callback."""

    def on_start(self) -> None:
        self.sent = False
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        if not self.sent:
            self.sent = True
            before = self.cash()
            self.buy(iid, D(10), D("0.30"), tif=TimeInForce.GTC, reason="rest")
            NOTES.append(([r.intent.reason for r in self.working(iid)], before - self.cash() >= 3))


def test_an_order_works_and_holds_its_money_from_the_moment_it_is_sent(tmp_path: Path) -> None:
    run(catalog(tmp_path / "c"), Looks, venue="SLOW")
    assert NOTES == [(["rest"], True)]


def in_and_out(s: Any) -> None:
    s.limit(bare.BUY if s.n % 2 else bare.SELL, 100, 0.40 if s.n % 2 else 0.39, bare.IOC)


def test_the_engine_shows_only_the_last_of_two_round_trips() -> None:
    runner = bare.engine()
    runner.add_data(quotes(5))
    actor = bare.Bare(bare.StrategyConfig(order_id_tag="001"))
    actor.script = dict.fromkeys((1, 2, 3, 4), in_and_out)
    runner.add_strategy(actor)
    runner.run()
    try:
        assert len(actor.fills) == 4
        (position,) = runner.cache.positions()
        assert position.realized_pnl.as_decimal() == -1
    finally:
        runner.dispose()


class InAndOut(BetaStrategy):
    """Two round trips."""

    def on_start(self) -> None:
        self.n = 0
        self.watch_book(YES)

    def on_book(self, iid: str) -> None:
        self.n += 1
        if self.n in (1, 3):
            self.buy(iid, D(100), D("0.40"), reason="in")
        elif self.n in (2, 4):
            self.sell(iid, D(100), D("0.39"), reason="out")


def test_both_round_trips_are_counted(tmp_path: Path) -> None:
    result = run(catalog(tmp_path / "c"), InAndOut)
    assert [t.pnl for t in summarise(result).trades] == [-1, -1]
    assert result.final_cash == 98

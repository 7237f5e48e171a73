"""Projections: what a known story must amount to, and that they can always be made again."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from core.domain.fees import Side
from core.ledger import BatchLedger
from core.ledger.kinds import (
    AccountState,
    FeeCharged,
    FeeKind,
    FillConfirmed,
    FillVoided,
    Halted,
    OrderCanceled,
    OrderModified,
    OrderModifyRequested,
    OrderModifyUnknown,
    OrderRejected,
    OrderUnknown,
    PositionsMerged,
    PositionsSplit,
    Resumed,
    RunMode,
    Settled,
    Transferred,
)
from core.ledger.projections import Projections
from core.ledger.registry import KindSpec, Payload, kinds
from core.ledger.tax import tax_rows
from tests.unit.core.ledger import rows_for_tests as make

D = Decimal
NO = make.YES.replace("YES", "NO")


def tell(
    directory: Path, *story: Payload, mode: RunMode = RunMode.PAPER, run: str = "run-1"
) -> Projections:
    with BatchLedger(directory, start_ns=make.T0) as ledger:
        ledger.begin_run(make.started(run, mode), ts_event=make.T0)
        for i, payload in enumerate(story):
            ledger.append(payload, ts_event=make.T0 + i * 10**9)
        ledger.end_run(make.ended(run), ts_event=make.T0 + len(story) * 10**9)
    projections = Projections(directory)
    projections.catch_up()
    return projections


def settled(payout: str, quantity: str, instrument: str = make.YES) -> Settled:
    return Settled(
        venue="KALSHI",
        instrument_id=instrument,
        payout=D(payout),
        quantity=D(quantity),
        currency="USD",
    )


def voided(trade: str) -> FillVoided:
    return FillVoided(client_order_id="O-1", trade_id=trade, venue="KALSHI", reason="FAILED")


def account(total: str, equity: str | None = None) -> AccountState:
    return AccountState(
        venue="KALSHI",
        currency="USD",
        total=D(total),
        free=D(total),
        locked=D(0),
        equity=None if equity is None else D(equity),
    )


def test_an_order_goes_from_intent_to_settlement(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        make.intent(),
        make.accepted(),
        make.fill(trade="a", quantity="4"),
        make.fill(trade="b", quantity="6"),
        settled("1", "10"),
    )
    (order,) = p.query("SELECT * FROM orders")
    assert (order["status"], order["filled"], order["notional"], order["fees"]) == (
        "FILLED",
        "10",
        "4.3",
        "0.34",
    )
    assert order["strategy_version"] == "f" * 64
    assert order["venue_order_id"] == "V-O-1"
    trades = p.query(
        "SELECT quantity, cost, proceeds, fees, pnl, how, strategy_version FROM trades"
    )
    assert [t["pnl"] for t in trades] == ["2.11", "3.25"]
    assert {t["how"] for t in trades} == {"settlement"}
    (position,) = p.query("SELECT * FROM positions")
    assert (position["quantity"], position["cost"], position["realized_pnl"]) == ("0", "0", "5.36")
    assert p.query("SELECT * FROM lots") == []
    assert p.query("SELECT * FROM anomalies") == []
    assert p.query("SELECT outcome, book FROM runs") == [{"outcome": "ended", "book": "paper"}]


def test_a_change_that_the_venue_did_not_answer_leaves_the_order_as_it_was(tmp_path: Path) -> None:
    asked = OrderModifyRequested(client_order_id="O-1", quantity=D(6))
    unknown = OrderModifyUnknown(client_order_id="O-1", reason="no answer")
    p = tell(tmp_path, make.intent(), make.accepted(), asked, unknown)
    (order,) = p.query("SELECT * FROM orders")
    assert (order["status"], order["quantity"], order["last_seq"]) == ("ACCEPTED", "10", 6)
    assert p.query("SELECT * FROM anomalies") == []


@pytest.mark.parametrize(
    "spec", [s for s in kinds() if s.name.startswith("order.")], ids=lambda s: s.name
)
def test_every_kind_of_order_row_can_be_folded(tmp_path: Path, spec: KindSpec) -> None:
    known: dict[str, Payload] = {
        "order.intent": make.intent("O-2"),
        "order.filled": make.fill(),
        "order.confirmed": FillConfirmed(client_order_id="O-1", trade_id="a", venue="KALSHI"),
        "order.voided": voided("a"),
        "order.modify_requested": OrderModifyRequested(client_order_id="O-1", quantity=D(6)),
        "order.modified": OrderModified(client_order_id="O-1", quantity=D(6)),
    }
    row = known.get(spec.name) or spec.payload_type(client_order_id="O-1", reason="r")
    p = tell(tmp_path, make.intent(), make.accepted(), row)
    assert p.query("SELECT count(*) AS n FROM runs") == [{"n": 1}]


def test_a_late_fill_after_a_cancel_is_booked_once(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        make.intent(),
        make.accepted(),
        OrderCanceled(client_order_id="O-1"),
        make.fill(trade="late", quantity="3"),
        make.fill(trade="late", quantity="3"),
    )
    (order,) = p.query("SELECT status, filled FROM orders")
    assert order == {"status": "CANCELED", "filled": "3"}
    assert [a["code"] for a in p.query("SELECT code FROM anomalies")] == ["duplicate_fill"]
    assert p.query("SELECT quantity FROM positions") == [{"quantity": "3"}]


def test_a_fill_after_a_rejection_is_booked_and_named(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        make.intent(),
        OrderUnknown(client_order_id="O-1"),
        OrderRejected(client_order_id="O-1", reason="UNKNOWN"),
        make.fill(),
    )
    assert p.query("SELECT status FROM orders") == [{"status": "FILLED"}]
    assert [a["code"] for a in p.query("SELECT code FROM anomalies")] == ["fill_after_rejected"]


def test_a_voided_fill_restates_what_came_after_it(tmp_path: Path) -> None:
    story = (
        make.intent(),
        make.fill(trade="a", quantity="5", price="0.40", fee="0.05"),
        make.fill(trade="b", quantity="5", price="0.50", fee="0.05"),
        make.fill("O-2", trade="c", side=Side.SELL, quantity="5", price="0.60", fee="0"),
        voided("a"),
    )
    p = tell(tmp_path, *story)
    trades = p.query("SELECT open_price, pnl FROM trades")
    assert trades == [{"open_price": "0.5", "pnl": "0.45"}]
    assert p.query("SELECT quantity, realized_pnl, fees FROM positions") == [
        {"quantity": "0", "realized_pnl": "0.45", "fees": "0.05"}
    ]
    assert p.query("SELECT realized_pnl, fees, cost, open_positions FROM totals") == [
        {"realized_pnl": "0.45", "fees": "0.05", "cost": "0", "open_positions": 0}
    ]
    (order,) = p.query("SELECT status, filled, fees FROM orders WHERE client_order_id = 'O-1'")
    assert order == {"status": "PARTIALLY_FILLED", "filled": "5", "fees": "0.05"}


def test_a_fill_voided_after_settlement_loses_its_payout(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        make.intent(),
        make.fill(quantity="10", fee="0"),
        settled("1", "10"),
        voided("T-1"),
    )
    assert p.query("SELECT * FROM trades") == []
    assert p.query("SELECT realized_pnl FROM totals") == [{"realized_pnl": "0"}]


def test_merging_a_pair_realises_exactly_the_dollar(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        make.fill(trade="y", quantity="10", price="0.41", fee="0.01"),
        make.fill(trade="n", quantity="10", price="0.57", fee="0.02", instrument=NO),
        PositionsMerged(
            venue="KALSHI",
            instrument_ids=(make.YES, NO),
            quantity=D(10),
            proceeds=D(10),
            currency="USD",
            strategy_id="arb-1",
        ),
    )
    assert p.query("SELECT realized_pnl, open_positions FROM totals") == [
        {"realized_pnl": "0.17", "open_positions": 0}
    ]


def test_splitting_in_three_costs_exactly_what_was_paid(tmp_path: Path) -> None:
    legs = ("A", "B", "C")
    p = tell(
        tmp_path,
        PositionsSplit(
            venue="KALSHI",
            instrument_ids=legs,
            quantity=D(7),
            cost=D(7),
            currency="USD",
            strategy_id="s",
        ),
        *(settled(payout, "7", leg) for leg, payout in zip(legs, ("1", "0", "0"), strict=True)),
    )
    assert p.query("SELECT realized_pnl, cost FROM totals") == [{"realized_pnl": "0", "cost": "0"}]


def test_a_settlement_of_another_quantity_than_held_is_named(tmp_path: Path) -> None:
    p = tell(tmp_path, make.intent(), make.fill(), settled("1", "12"))
    assert [a["code"] for a in p.query("SELECT code FROM anomalies")] == ["settled_quantity"]
    assert p.query("SELECT held, quantity FROM settlements") == [{"held": "10", "quantity": "12"}]


def test_two_strategies_are_settled_each_by_its_own_row(tmp_path: Path) -> None:
    def of(strategy: str, quantity: str) -> Settled:
        return Settled(
            venue="KALSHI",
            instrument_id=make.YES,
            payout=D(1),
            quantity=D(quantity),
            currency="USD",
            strategy_id=strategy,
        )

    p = tell(
        tmp_path,
        make.intent("O-1", "one"),
        make.intent("O-2", "two"),
        make.fill("O-1", trade="a", quantity="4", price="0.40", fee="0", strategy="one"),
        make.fill("O-2", trade="b", quantity="6", price="0.50", fee="0", strategy="two"),
        of("one", "4"),
        of("two", "6"),
    )
    assert p.query("SELECT strategy_id, pnl FROM trades ORDER BY strategy_id") == [
        {"strategy_id": "one", "pnl": "2.4"},
        {"strategy_id": "two", "pnl": "3"},
    ]
    assert p.query("SELECT * FROM anomalies") == []
    closures = [r for r in tax_rows(p, 2026, "paper") if r.row == "disposal"]
    assert sum((r.amounts["realized_pnl"] for r in closures), D(0)) == D("5.4")
    assert sum((r.quantity or D(0) for r in closures), D(0)) == D(10)


def test_ai_spending_survives_restarts_by_day_and_month(tmp_path: Path) -> None:
    call = make.llm_call(D("0.0123"))
    tell(tmp_path, call, call).close()
    p = tell(tmp_path, call, run="run-2")
    spent = {b["period"]: (b["spent"], b["calls"]) for b in p.query("SELECT * FROM budgets")}
    assert spent == {
        "day:2026-05-28": ("0.0369", 3),
        "month:2026-05": ("0.0369", 3),
        "total": ("0.0369", 3),
    }


def test_the_hour_shows_cash_equity_profit_and_costs(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        Transferred(venue="KALSHI", currency="USD", amount=D(100)),
        account("100", "100"),
        make.intent(),
        make.fill(),
        account("95.53", "99.83"),
        FeeCharged(fee_kind=FeeKind.GAS, amount=D("0.02"), currency="USD"),
    )
    (hour,) = p.query("SELECT * FROM portfolio_hourly")
    assert (hour["cash"], hour["equity"], hour["cost"]) == ("95.53", "99.83", "4.3")
    assert (hour["fees"], hour["other_costs"], hour["open_positions"]) == ("0.17", "0.02", 1)
    assert p.query("SELECT transfers FROM accounts") == [{"transfers": "100"}]


def test_halts_in_force_are_those_not_resumed(tmp_path: Path) -> None:
    p = tell(
        tmp_path,
        Halted(level="HALTED", source="drawdown", reason="5 %"),
        Halted(level="REDUCING", source="operator", reason="x", scope="KALSHI"),
        Resumed(source="operator", reason="ok"),
    )
    assert p.query("SELECT scope, level FROM halts") == [{"scope": "KALSHI", "level": "REDUCING"}]


def test_backtests_of_one_directory_do_not_mix_their_books(tmp_path: Path) -> None:
    tell(tmp_path, make.intent(), make.fill(), mode=RunMode.BACKTEST, run="b1").close()
    p = tell(tmp_path, make.intent(), make.fill(), mode=RunMode.BACKTEST, run="b2")
    assert [r["book"] for r in p.query("SELECT book FROM positions ORDER BY book")] == ["b1", "b2"]
    assert p.query("SELECT * FROM anomalies") == []


def long_story(seed: int, rows: int) -> list[Payload]:
    rng, out, orders = random.Random(seed), [], 0
    traded: list[tuple[str, str]] = []
    for n in range(rows):
        roll = rng.random()
        if roll < 0.3:
            orders += 1
            out.append(make.intent(f"O-{orders}", strategy=rng.choice(["arb-1", "arb-2"])))
        elif roll < 0.7 and orders:
            order = f"O-{rng.randint(1, orders)}"
            out.append(
                make.fill(
                    order,
                    trade=f"T-{n}",
                    side=rng.choice([Side.BUY, Side.SELL]),
                    quantity=str(rng.randint(1, 9)),
                    price=f"0.{rng.randint(10, 99)}",
                    fee=f"0.{rng.randint(0, 99999):05d}",
                    instrument=rng.choice([make.YES, NO]),
                )
            )
            traded.append((order, f"T-{n}"))
        elif roll < 0.75 and traded:
            order, trade = rng.choice(traded)
            out.append(
                FillVoided(client_order_id=order, trade_id=trade, venue="KALSHI", reason="x")
            )
        elif roll < 0.78:
            paid = settled(rng.choice(["0", "1", "0.5"]), "3", rng.choice([make.YES, NO]))
            out.append(msgspec.structs.replace(paid, strategy_id=rng.choice(["", "arb-1"])))
        elif roll < 0.9 and orders:
            out.append(OrderCanceled(client_order_id=f"O-{rng.randint(1, orders)}"))
        else:
            out.append(account(str(rng.randint(50, 150))))
    return out


@pytest.mark.parametrize("seed", range(4))
def test_folding_in_pieces_and_rebuilding_give_the_same_bytes(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    story = long_story(seed, 400)
    pieces = 0
    with BatchLedger(tmp_path, start_ns=make.T0) as ledger:
        ledger.begin_run(make.started(), ts_event=make.T0)
        p = None
        for n, payload in enumerate(story):
            # hours pass, and now and then the clock steps back
            ts = make.T0 + n * 600 * 10**9 - (7_200 * 10**9 if rng.random() < 0.05 else 0)
            ledger.append(payload, ts_event=ts)
            if rng.random() < 0.04:
                ledger.flush()
                p = p or Projections(tmp_path)
                p.catch_up()
                pieces += 1
    assert p is not None
    assert pieces > 3
    p.catch_up()
    grown = p.content_sha256()
    p.compact()
    grown_bytes = p.path.read_bytes()
    assert p.content_sha256() == grown
    assert p.rebuild() == grown
    rebuilt_bytes = p.path.read_bytes()
    assert p.rebuild() == grown
    assert p.path.read_bytes() == rebuilt_bytes == grown_bytes


@pytest.mark.parametrize("seed", range(4))
def test_totals_of_a_book_equal_the_sum_of_its_trades_and_lots(tmp_path: Path, seed: int) -> None:
    p = tell(tmp_path, *long_story(seed, 500))

    def total(sql: str) -> Decimal:
        return sum((D(str(r["x"])) for r in p.query(sql)), D(0))

    (totals,) = p.query("SELECT * FROM totals")
    assert total("SELECT pnl AS x FROM trades") == D(str(totals["realized_pnl"]))
    assert total("SELECT fee AS x FROM fills WHERE voided_seq = 0") == D(str(totals["fees"]))
    lots = p.query("SELECT quantity, price, multiplier FROM lots")
    held = sum(
        (D(str(r["quantity"])) * D(str(r["price"])) * D(str(r["multiplier"])) for r in lots), D(0)
    )
    assert held == D(str(totals["cost"]))
    assert total("SELECT quantity AS x FROM lots") == total("SELECT quantity AS x FROM positions")


def test_a_projection_of_another_ledger_is_folded_again(tmp_path: Path) -> None:
    one = tell(tmp_path / "a", make.intent(), make.fill())
    tell(tmp_path / "b", make.intent()).close()
    stolen = Projections(tmp_path / "b", file=one.path)
    one.close()
    stolen.catch_up()
    assert stolen.query("SELECT * FROM fills") == []

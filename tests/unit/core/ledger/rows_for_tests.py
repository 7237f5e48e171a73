"""Rows that the ledger tests write."""

from __future__ import annotations

from decimal import Decimal

from core.domain.fees import Side
from core.ledger.kinds import (
    Check,
    DataSnapshot,
    ForecastMade,
    LlmCall,
    OrderAccepted,
    OrderFilled,
    OrderIntended,
    ProposalMade,
    RunEnded,
    RunMode,
    RunOutcome,
    RunStarted,
    StrategyVersion,
    VerdictGiven,
)

DAY_NS = 86_400 * 10**9
T0 = 1_780_000_000 * 10**9  # 2026-05-28
YES = "KXBTC-26MAY28-YES.KALSHI"


def started(run_id: str = "run-1", mode: RunMode = RunMode.PAPER) -> RunStarted:
    return RunStarted(
        run_id=run_id,
        mode=mode,
        config_sha256="c" * 64,
        code_sha="abc",
        seed=7,
        strategies=(
            StrategyVersion(strategy_id="arb-1", path="strategies.arb:Arb", sha256="f" * 64),
        ),
        data=("sample",),
    )


def ended(run_id: str = "run-1") -> RunEnded:
    return RunEnded(run_id=run_id, outcome=RunOutcome.ENDED)


def snapshot(n: int = 0) -> DataSnapshot:
    return DataSnapshot(
        instrument_id=YES, bid=Decimal("0.41"), ask=Decimal("0.43"), sequence=n, ts_data_ns=T0 + n
    )


def forecast() -> ForecastMade:
    return ForecastMade(
        strategy_id="arb-1",
        instrument_id=YES,
        probability=Decimal("0.55"),
        low=Decimal("0.50"),
        high=Decimal("0.60"),
        expires_ns=T0 + DAY_NS,
        model_id="window",
    )


def proposal() -> ProposalMade:
    return ProposalMade(
        strategy_id="arb-1",
        instrument_id=YES,
        action="TRADE",
        side=Side.BUY,
        quantity=Decimal(10),
        price=Decimal("0.43"),
        fair=Decimal("0.55"),
        edge=Decimal("0.10"),
        reason="edge",
    )


def verdict(order: str = "O-1", approved: bool = True) -> VerdictGiven:
    return VerdictGiven(
        client_order_id=order,
        approved=approved,
        code="OK",
        checks=(Check("price_collar", "0.43", "0.45", True),),
        reserved=Decimal("4.47"),
    )


def intent(order: str = "O-1", strategy: str = "arb-1") -> OrderIntended:
    return OrderIntended(
        client_order_id=order,
        strategy_id=strategy,
        venue="KALSHI",
        instrument_id=YES,
        market_id="KXBTC-26MAY28",
        event_id="KXBTC",
        side=Side.BUY,
        quantity=Decimal(10),
        price=Decimal("0.43"),
        tif="GTC",
    )


def accepted(order: str = "O-1") -> OrderAccepted:
    return OrderAccepted(client_order_id=order, venue_order_id=f"V-{order}")


def fill(
    order: str = "O-1",
    trade: str = "T-1",
    side: Side = Side.BUY,
    quantity: str = "10",
    price: str = "0.43",
    fee: str = "0.17",
    instrument: str = YES,
    strategy: str = "arb-1",
) -> OrderFilled:
    return OrderFilled(
        client_order_id=order,
        venue_order_id=f"V-{order}",
        trade_id=trade,
        strategy_id=strategy,
        venue="KALSHI",
        instrument_id=instrument,
        side=side,
        quantity=Decimal(quantity),
        price=Decimal(price),
        fee=Decimal(fee),
        currency="USD",
        liquidity="TAKER",
    )


def llm_call(cost_usd: Decimal) -> LlmCall:
    return LlmCall(
        request_sha256="a",
        purpose="triage",
        tier="haiku",
        model="m",
        request="q",
        answer="a",
        status="ok",
        input_tokens=10,
        output_tokens=5,
        cost_usd=cost_usd,
        latency_ms=3,
    )

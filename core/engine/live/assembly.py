"""From markets to a session that strategies share in paper and live: references, gate, journal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.live import LiveExecutionEngineConfig, SubmissionRecoveryPolicy
from nautilus_trader.model import InstrumentId
from pydantic import ConfigDict, create_model

from core.domain.fees import CashFeeBook
from core.domain.market import Event, Market
from core.engine.backtest.strategies import StrategyPlan
from core.engine.catalog.instruments import is_spot, precision_of
from core.engine.curve import EquitySampler
from core.engine.guard import Failure
from core.engine.journal import Causes
from core.engine.live.hearing import Hearing
from core.engine.live.journal import LiveJournal
from core.engine.live.spot import spot_reference
from core.engine.references import InstrumentRef, PriceSource, References
from core.engine.session import Moments, Session
from core.engine.strategy import BetaStrategy
from core.engine.units import price_of
from core.engine.venues import Venue, load_venue
from core.ledger import Ledger
from core.risk.gate import Gate
from core.risk.instruments import VenueRules

#: Points of the equity curve and of each price that a node keeps: it makes no result, and every payout adds one to each.
FEW_POINTS = 2


def references_of(markets: Sequence[Market]) -> References:
    """Return what the engine side knows of each outcome: live markets have books, spot pairs trades."""
    refs = [spot_reference(m) for m in markets if is_spot(m)]
    for market in sorted(markets, key=lambda m: m.market_id):
        if is_spot(market):
            continue
        precision = precision_of(market)
        for index, outcome in enumerate(market.outcomes):
            refs.append(
                InstrumentRef(
                    outcome.instrument_id,
                    InstrumentId.from_str(outcome.instrument_id),
                    market,
                    index,
                    precision.price,
                    precision.size,
                    PriceSource.BOOK,
                    price_of(Decimal(1), precision.price),
                    price_of(Decimal(0), precision.price),
                )
            )
    return References(refs)


def live_gate(
    venues: Sequence[str], markets: Sequence[Market], *, buys_in_cash: bool = False, **limits: Any
) -> Gate:
    """Return a gate with its own random key, so that approvals of an earlier process are void.

    Parameters
    ----------
    buys_in_cash : bool
        What the port says of itself (`VenuePort.buys_in_cash`).
    """
    gate = Gate([_rules(load_venue(code), buys_in_cash) for code in venues], **limits)
    for market in markets:
        gate.on_market(market)
    return gate


def _rules(venue: Venue, buys_in_cash: bool) -> VenueRules:
    """Return what the gate must know of a venue."""
    fees = venue.fee_book()
    cash = fees if buys_in_cash and isinstance(fees, CashFeeBook) else None
    return VenueRules(venue.code, fees, nets_outcomes=venue.nets_outcomes, cash_fees=cash)


def live_session(
    markets: Sequence[Market],
    events: Sequence[Event],
    gate: Gate,
    ledger: Ledger,
    currencies: dict[str, str],
    link: Callable[[str, int], None],
    seed: int = 0,
    causes: Causes | None = None,
) -> Session:
    """Return the session: approvals are redeemed by the execution client, data goes through the feed actor."""
    references, moments, causes = references_of(markets), Moments(), causes or Causes()
    causes.hearing = Hearing(ledger, moments)
    return Session(
        references=references,
        markets={o.instrument_id: m for m in markets for o in m.outcomes},
        events={e.event_id: e for e in events},
        gate=gate,
        fee_books={code: load_venue(code).fee_book() for code in currencies},
        journal=LiveJournal(ledger, currencies, link, causes),
        failure=Failure(),
        redeem_on_submit=False,
        fan_out=True,
        seed=seed,
        moments=moments,
        curve=EquitySampler(FEW_POINTS),
        price_points=FEW_POINTS,
    )


def live_strategy(plan: StrategyPlan, index: int, claims: Sequence[str]) -> BetaStrategy:
    """Return the strategy with the identity the engine needs to give it back what it owned.

    The engine reads identity and claims as attributes of the configuration object, which authors do not
    declare; a subclass of their model carries them.
    """
    tag = f"{index + 1:03d}"
    base = type(plan.config)
    model: Any = create_model(
        f"Live{base.__name__}",
        __base__=base,
        strategy_id=(Any, None),
        order_id_tag=(str, tag),
        external_order_instrument_ids=(Any, None),
    )
    model.model_config = ConfigDict(**{**base.model_config, "arbitrary_types_allowed": True})
    config = model(
        **plan.config.model_dump(),
        external_order_instrument_ids=[InstrumentId.from_str(c) for c in claims],
    )
    return plan.type(config)


def engine_config() -> LiveExecutionEngineConfig:
    """Return the engine's own checks: unknown submits are kept, silent changes are found within seconds.

    Its check of positions stays off: while news waits in a queue it invents orders, and books the fills twice.
    """
    return LiveExecutionEngineConfig(
        reconciliation_startup_delay_secs=1.0,
        allow_overfills=True,  # chain sizes have six decimals; whole orders for dollars: ADR 0078
        submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
        open_check_interval_secs=5.0,
        open_check_open_only=False,
        purge_closed_orders_interval_mins=15,
        purge_closed_orders_buffer_mins=60,
        purge_account_events_interval_mins=5,
        purge_account_events_lookback_mins=5,
    )

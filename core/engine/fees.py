"""The venue's fee book inside the engine, and the credit for merged pairs.

The engine asks a fee model once per fill, settlement legs included, at the moment of the fill. Two things
hang on that call:

- The **fee**: `FeeBook.charge` with the schedule of the market, dated by the time of the fill. A settlement
  leg carries none.
- The **merge**: where a venue turns one YES and one NO into a dollar, the fill that completes a pair is
  credited with it, and settlement takes ``payout`` back for each merged share. The engine's cash account is
  then right at every moment and each pair is paid exactly once (ADR 0011).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Protocol

from nautilus_trader.execution import FeeModel
from nautilus_trader.model import LiquiditySide, Money, OrderSide

from core.domain.decision import OrderIntent
from core.domain.errors import FeeError
from core.domain.fees import FeeBook, FeeCharge, FeeFill, Role, Side
from core.domain.money import ZERO
from core.engine.currency import currency, money
from core.engine.guard import Failure
from core.engine.merging import MergeBook
from core.engine.references import InstrumentRef, References
from core.engine.units import MEMORY, exact

#: Prefix of the client order id of the engine's own settlement orders.
SETTLEMENT_PREFIX = "EXPIRATION-"


#: One fill to be booked when its event arrives: its fee, the pairs it merges, side, role, price and quantity.
Charged = tuple[FeeCharge, Decimal, Side, Role, Decimal, Decimal]


class Sent(Protocol):
    """An order of ours on its way."""

    intent: OrderIntent
    ref: InstrumentRef


class VenueFeeModel(FeeModel):
    """Charges one venue's fills.

    Parameters
    ----------
    currency_code : str
        Currency that the venue charges in.
    fees : FeeBook
        Fresh fee book of the venue.
    references : References
        Instruments of the run.
    merges : MergeBook, optional
        Pairs of this venue; None where the venue does not merge.
    now_ns : callable
        Simulated time.
    failure : Failure
        Where an error is kept: an exception would leave the order submitted for ever.

    Attributes
    ----------
    sent : mapping
        Our own orders by client order id: what the engine's order would have to be asked for.
    """

    def __new__(cls, *_args: Any, **_kwargs: Any) -> VenueFeeModel:
        """Make the engine's part without arguments."""
        return super().__new__(cls)

    def __init__(
        self,
        code: str,
        currency_code: str,
        fees: FeeBook,
        references: References,
        merges: MergeBook | None,
        now_ns: Callable[[], int],
        failure: Failure,
    ) -> None:
        self.code = code
        self._currency = currency(currency_code)
        self._amounts: dict[Decimal, Money] = {}
        self.fees = fees
        self.merges = merges
        self.on_trade: Callable[[InstrumentRef, FeeFill], None] | None = None
        self.pending: dict[str, list[Charged]] = {}
        self.sent: Mapping[str, Sent] = {}
        self._references = references
        self._now_ns = now_ns
        self._failure = failure

    def get_commission(self, order: Any, quantity: Any, price: Any, instrument: Any) -> Money:
        """Return what the account pays for this fill: the fee less the merge credit."""
        try:
            amount = self._paid(order, exact(quantity), exact(price))
            found = self._amounts.get(amount)
            return self._money(amount) if found is None else found
        except BaseException as exc:
            self._failure.keep(exc, f"fee model of {self.code}")
            return Money.zero(self._currency)

    def _money(self, amount: Decimal) -> Money:
        """Return an amount as engine money; amounts repeat (most fills merge nothing), so they are kept."""
        found = money(amount, self._currency.code)
        if len(self._amounts) < MEMORY:
            self._amounts[amount] = found
        return found

    def _paid(self, order: Any, quantity: Decimal, price: Decimal) -> Decimal:
        order_id = order.client_order_id.value
        sent = self.sent.get(order_id)
        if sent is not None:
            intent, ref = sent.intent, sent.ref
            strategy_id, side = intent.strategy_id, intent.side
        else:
            ref = self._references.by_native[order.instrument_id]
            strategy_id = order.strategy_id.value
            if order_id.startswith(SETTLEMENT_PREFIX):
                if self.merges is None:
                    return ZERO
                return self.merges.settle(strategy_id, ref, quantity) * price
            side = Side.BUY if order.side == OrderSide.BUY else Side.SELL
        role = Role.MAKER if order.liquidity_side == LiquiditySide.MAKER else Role.TAKER
        fill = FeeFill(order_id, side, role, price, quantity, self._now_ns())
        charge = self.fees.charge(ref.market.fees, fill)
        if self.on_trade is not None:
            self.on_trade(ref, fill)
        merged = ZERO
        if self.merges is not None and ref.opposite is not None:
            delta = quantity if side is Side.BUY else -quantity
            merged = self.merges.fill(strategy_id, ref, delta)
        charged = charge, merged, side, role, price, quantity
        waiting = self.pending.get(order_id)
        if waiting is None:
            self.pending[order_id] = [charged]
        else:
            waiting.append(charged)
        return charge.fee - merged if merged else charge.fee

    def take(self, order_id: str) -> Charged:
        """Return the decision for the next fill event of an order.

        Raises
        ------
        FeeError
            If the engine reports a fill that was never charged.
        """
        waiting = self.pending.pop(order_id, None)
        if not waiting:
            raise FeeError(
                "the engine reported a fill that no fee was asked for",
                order_id,
                "please report this: no figure of this run can be trusted",
            )
        first = waiting.pop(0)
        if waiting:
            self.pending[order_id] = waiting
        return first


def fee_models(
    books: Mapping[str, FeeBook],
    currencies: Mapping[str, str],
    references: References,
    merging: Mapping[str, MergeBook],
    now_ns: Callable[[], int],
    failure: Failure,
) -> dict[str, VenueFeeModel]:
    """Return one fee model per venue code."""
    return {
        code: VenueFeeModel(
            code, currencies[code], book, references, merging.get(code), now_ns, failure
        )
        for code, book in books.items()
    }

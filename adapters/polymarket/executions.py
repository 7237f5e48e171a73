"""What we have heard of our executions: each leg once, provisional until final, taken back when it failed."""

from __future__ import annotations

from collections.abc import Callable, Container
from decimal import Decimal

from adapters.mends import NEWS_MEND
from adapters.polymarket import schemas
from adapters.polymarket.fees import PolymarketFeeBook
from adapters.polymarket.order_ids import OrderIds
from adapters.polymarket.registry import Registry
from adapters.polymarket.trades import (
    PRICE_STEP,
    Leg,
    Shares,
    TradeState,
    legs_of,
    state_of,
)
from core.domain.errors import CorruptData
from core.domain.fees import FeeFill, Role, Side
from core.domain.money import ZERO
from core.engine.live.port import VenueFill, VenueOrder, VenueVoid


def is_hash(order_id: str) -> bool:
    """Return whether a text can be the id of an order: 32 bytes of hex."""
    return len(order_id) == 66 and order_id.startswith("0x")


class Executions:
    """Legs of trades by state.

    Parameters
    ----------
    fee_book : PolymarketFeeBook
        The venue tells no fee; it follows from the market's own schedule.
    """

    def __init__(
        self,
        registry: Registry,
        ids: OrderIds,
        fee_book: PolymarketFeeBook,
        clock: Callable[[], int],
    ) -> None:
        self._registry, self._ids, self._fees, self._clock = registry, ids, fee_book, clock
        self._shares = Shares()
        self._unmined: dict[str, tuple[Leg, Decimal]] = {}
        self._failed: dict[str, Leg] = {}
        self._tokens: set[str] = set()
        self._final: set[str] = set()
        self._taken: dict[str, list[Leg]] = {}
        self._expected: dict[str, Decimal] = {}

    def take(self, trade: schemas.TradeMsg, api_key: str) -> list[VenueFill | VenueVoid]:
        """Return the news in a trade: fills (repeats included; a final one confirms), or voids.

        A trade that once failed stays failed, whatever order its messages come in.
        """
        state = state_of(trade.status)
        out: list[VenueFill | VenueVoid] = []
        for leg in self._legs(trade, api_key):
            if state is TradeState.FAILED:
                out.append(self._fail(leg, trade.status))
            elif leg.leg_id not in self._failed:
                fill = self._fill(leg, state)
                if fill is not None:
                    out.append(fill)
        return out

    def _legs(self, trade: schemas.TradeMsg, api_key: str) -> list[Leg]:
        """Return our legs; as taker always those of the first message, or a trade told twice would count twice."""
        legs = legs_of(trade, api_key, self._ids)
        for leg in legs:
            sent, token = (
                self._ids.order(leg.order_id),
                self._registry.by_token.get(leg.token_id),
            )
            if sent is None:
                if not is_hash(
                    leg.order_id
                ):  # else it would be booked as somebody's of this account
                    raise CorruptData(
                        "Polymarket sent a trade of an order without a hash",
                        leg.order_id[:80],
                        NEWS_MEND,
                    )
                continue
            if (
                token is None
                or token[1].instrument_id != sent.instrument_id
                or leg.side is not sent.side
            ):
                raise CorruptData(
                    "Polymarket sent a trade of our order on another token or side",
                    leg.token_id[:80],
                    NEWS_MEND,
                )
        if not legs or legs[0].role is not Role.TAKER:
            return legs
        return self._taken.setdefault(trade.id, legs)

    def _fail(self, leg: Leg, status: str) -> VenueVoid:
        self._shares.void(leg)
        self._unmined.pop(leg.leg_id, None)
        self._failed[leg.leg_id] = leg
        if leg.order_id in self._expected:
            self._expected[leg.order_id] = max(self._expected[leg.order_id] - leg.size, ZERO)
        return VenueVoid(leg.leg_id, leg.order_id, status)

    def _fill(self, leg: Leg, state: TradeState) -> VenueFill | None:
        """Return the fill of a leg; None for a token that is not loaded or a size below a hundredth."""
        known = self._registry.by_token.get(leg.token_id)
        if known is None:
            return None
        self._tokens.add(leg.token_id)
        if state is TradeState.CONFIRMED:
            self._final.add(leg.leg_id)
        final = leg.leg_id in self._final
        quantity = self._shares.booked(leg)
        market = self._registry.markets[known[0]]
        at = leg.ts_ns or self._clock()
        fee = self._fees.charge(
            market.fees, FeeFill(leg.order_id, leg.side, leg.role, leg.price, leg.size, at)
        ).fee
        if final or state is TradeState.MINED:
            self._unmined.pop(leg.leg_id, None)
        else:
            self._unmined[leg.leg_id] = (leg, fee)
        if quantity <= 0:
            return None
        sent = self._ids.order(leg.order_id)
        return VenueFill(
            leg.leg_id,
            leg.order_id,
            sent.client_order_id if sent is not None else "",
            known[1].instrument_id,
            leg.side,
            quantity,
            leg.price.quantize(PRICE_STEP),
            fee,
            leg.role,
            at,
            provisional=not final,
        )

    # -- what is still open -----------------------------------------------------------------
    def expect(self, order_id: str, shares: Decimal) -> None:
        """Note the shares that the answer to an order spoke of."""
        self._expected[order_id] = max(shares, self._expected.get(order_id, ZERO))

    def awaiting(self, order_id: str) -> bool:
        """Return whether the answer spoke of more shares than trades have shown."""
        return self._shares.total(order_id) < self._expected.get(order_id, ZERO)

    def expected(self, order_id: str) -> Decimal | None:
        """Return the shares that the answer to an order spoke of; None without one."""
        return self._expected.get(order_id)

    def spent(self, order_id: str) -> Decimal:
        """Return the dollars of all executions ever heard of for an order, the voided ones included."""
        return self._shares.spent(order_id)

    def filled(self, order_id: str) -> Decimal:
        """Return the shares that trades have shown for an order."""
        return self._shares.total(order_id)

    def settled(self, order_id: str) -> bool:
        """Return whether every trade of an order is final or taken back, and the answer spoke of no others."""
        legs = self._shares.legs(order_id)
        ended = all(leg in self._final or leg in self._failed for leg in legs)
        return (
            ended and not any(leg in self._unmined for leg in legs) and not self.awaiting(order_id)
        )

    def forget(self, order_ids: Container[str]) -> None:
        """Forget orders that are settled. What has failed stays known: it must not come back."""
        for trade_id in [t for t, legs in self._taken.items() if legs[0].order_id in order_ids]:
            del self._taken[trade_id]
        self._final.difference_update(self._shares.forget(order_ids))
        for order_id in [o for o in self._expected if o in order_ids]:
            del self._expected[order_id]

    def voided(self, order_id: str) -> Decimal:
        """Return the shares of an order that were taken back."""
        return sum((x.size for x in self._failed.values() if x.order_id == order_id), ZERO)

    def tokens(self) -> set[str]:
        """Return the tokens of every execution heard of."""
        return self._tokens

    def pending_shares(self, token_id: str) -> Decimal:
        """Return matched but unmined shares of a token, signed."""
        return sum(
            (
                leg.size if leg.side is Side.BUY else -leg.size
                for leg, _ in self._unmined.values()
                if leg.token_id == token_id
            ),
            ZERO,
        )

    def pending_cash(self) -> Decimal:
        """Return what matched but unmined trades will change of the balance, fees included."""
        changes = (
            (leg.size * leg.price * (-1 if leg.side is Side.BUY else 1)) - fee
            for leg, fee in self._unmined.values()
        )
        return sum(changes, ZERO)

    def pending_cost(self) -> Decimal:
        """Return dollars of matched but unmined purchases, fees included: spent, but still in the balance."""
        return sum(
            (
                leg.size * leg.price + fee
                for leg, fee in self._unmined.values()
                if leg.side is Side.BUY
            ),
            ZERO,
        )

    def worst_fee(self, order: VenueOrder, shares: Decimal) -> Decimal:
        """Return the largest fee that the rest of a working BUY can cost."""
        known = self._registry.by_instrument.get(order.instrument_id)
        if known is None or order.price is None or shares <= 0:
            return ZERO
        market = self._registry.markets[known[0]]
        return self._fees.worst_case(market.fees, order.price, shares, order.ts_ns, order.side)

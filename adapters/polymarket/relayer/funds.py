"""What a call on tokens needs, held against what the wallet has free: on chain, less what resting orders promise."""

from __future__ import annotations

from decimal import Decimal

from adapters.polymarket import schemas
from adapters.polymarket.amounts import MICRO, whole
from adapters.polymarket.positions import Action
from adapters.polymarket.rest import ClobRest
from core.domain.errors import GateClosed
from core.domain.market import Market, MarketStatus


class Funds:
    """Balances of one wallet, in millionths.

    Parameters
    ----------
    rest : ClobRest
        With the wallet's keys: balances and orders are private.
    """

    def __init__(self, rest: ClobRest) -> None:
        self.rest = rest

    async def demand(
        self, action: Action, market: Market, amount: Decimal, outcome: int
    ) -> Decimal:
        """Refuse a call that the wallet does not cover; return the dollars or shares that it moves.

        Raises
        ------
        GateClosed
            If the free balance is smaller, the account may only close (split), or nothing is paid out yet (redeem).
        """
        v2 = market.info.get("version") == "v2"
        if action is Action.SPLIT:
            if await self.rest.closed_only():
                raise GateClosed(
                    "this Polymarket account may only close positions", "closed_only", "merge or redeem instead"
                )  # fmt: skip
            self._covers("dollars", amount, await self._dollars())
            return amount
        held = [await self.rest.balance(o.token_id, v2) for o in market.outcomes]
        if action is Action.REDEEM:
            if market.status is not MarketStatus.RESOLVED:
                raise GateClosed(
                    "this market has not been resolved: nothing to redeem", market.status, "beta tokens merge turns pairs into dollars now"
                )  # fmt: skip
            if not v2:
                amount = Decimal(max(held)) / MICRO  # version 1 redeems everything
                if not amount:
                    raise GateClosed(
                        "no shares to redeem",
                        market.market_id,
                        "name the market that this wallet holds shares of",
                    )
                return amount
            self._covers(market.outcomes[outcome].name, amount, held[outcome])
            return amount
        promised = await self._promised(market)
        for one, micro in zip(market.outcomes, held, strict=True):
            self._covers(one.name, amount, micro - promised.get(one.token_id, 0))
        return amount

    async def _dollars(self) -> int:
        """Return dollars that no resting purchase needs."""
        free = await self.rest.balance()
        for order in await self.rest.orders():
            if order.side == "BUY":
                free -= int(_left(order) * _decimal(order.price) * MICRO) + 1
        return free

    async def _promised(self, market: Market) -> dict[str, int]:
        """Return the shares that resting sales of a market promise, by token."""
        out: dict[str, int] = {}
        for order in await self.rest.orders(market=market.market_id):
            if order.side == "SELL":
                out[order.asset_id] = out.get(order.asset_id, 0) + int(_left(order) * MICRO)
        return out

    @staticmethod
    def _covers(what: str, amount: Decimal, free: int) -> None:
        if whole(amount, MICRO, "amount") > free:
            raise GateClosed(
                f"the wallet does not cover it: {what}",
                f"{amount:f} of {Decimal(max(free, 0)) / MICRO:f} free",
                "a smaller --amount, or cancel the orders that rest",
            )


def _decimal(value: object) -> Decimal:
    return Decimal(str(schemas.number(value, "order")))  # type: ignore[arg-type]


def _left(order: schemas.OrderMsg) -> Decimal:
    return _decimal(order.original_size) - _decimal(order.size_matched)

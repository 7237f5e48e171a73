"""Accounts of a venue of our own in integer micro-dollars: signed positions (Kalshi) or two tokens (Polymarket)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from core.engine.paper.book import PRICE_UNIT, BookSide

ONE_DOLLAR = (
    PRICE_UNIT  # per contract-hundredth: price units times quantity units are micro-dollars
)


class Account(Protocol):
    """What the exchange needs of an account."""

    cash: int

    def need(
        self, market: str, side: BookSide, price: int, quantity: int, outcome: str, promised: int
    ) -> int:
        """Return the micro-dollars this order must have free, fees excluded.

        `promised` is what earlier working orders of the same side already close of the position.
        """
        ...

    def covers(
        self, market: str, side: BookSide, quantity: int, outcome: str, working: int
    ) -> bool:
        """Return whether shares for a closing order are there, `working` already promised."""
        ...

    def apply(self, market: str, side: BookSide, price: int, quantity: int, outcome: str) -> None:
        """Book an execution, fee excluded."""
        ...

    def settle(self, market: str, yes_payout: int) -> int:
        """Pay out a market (price units per contract to YES); return micro-dollars credited."""
        ...

    def positions(self) -> dict[tuple[str, str], int]:
        """Return quantities by (market, ``"YES"`` | ``"NO"``), all positive."""
        ...


@dataclass(slots=True)
class NettedAccount:
    """Kalshi: one signed number a market, plus is YES. A pair always locks one dollar."""

    cash: int
    signed: dict[str, int] = field(default_factory=dict)

    def need(
        self, market: str, side: BookSide, price: int, quantity: int, outcome: str, promised: int
    ) -> int:
        """Return the collateral of the part that opens."""
        held = self.signed.get(market, 0)
        if side == "bid":
            opens = quantity - min(quantity, max(-held - promised, 0))
            return price * opens
        opens = quantity - min(quantity, max(held - promised, 0))
        return (ONE_DOLLAR - price) * opens

    def covers(
        self, market: str, side: BookSide, quantity: int, outcome: str, working: int
    ) -> bool:
        """Everything is covered: beyond the position an order opens the other side."""
        return True

    def apply(self, market: str, side: BookSide, price: int, quantity: int, outcome: str) -> None:
        """Net against the held side first."""
        held = self.signed.get(market, 0)
        if side == "bid":
            closes = min(quantity, max(-held, 0))
            self.cash += ONE_DOLLAR * closes - price * quantity
            self.signed[market] = held + quantity
        else:
            opens = quantity - min(quantity, max(held, 0))
            self.cash += price * quantity - ONE_DOLLAR * opens
            self.signed[market] = held - quantity
        if self.signed[market] == 0:
            del self.signed[market]

    def settle(self, market: str, yes_payout: int) -> int:
        """Pay the held side."""
        held = self.signed.pop(market, 0)
        paid = held * yes_payout if held >= 0 else -held * (ONE_DOLLAR - yes_payout)
        self.cash += paid
        return paid

    def positions(self) -> dict[tuple[str, str], int]:
        """Return what is held, by outcome."""
        return {(m, "YES" if q > 0 else "NO"): abs(q) for m, q in self.signed.items()}


@dataclass(slots=True)
class TokenAccount:
    """Polymarket: YES and NO tokens held side by side, both long only; a pair merges into a dollar."""

    cash: int
    held: dict[tuple[str, str], int] = field(default_factory=dict)

    @staticmethod
    def _is_buy(side: BookSide, outcome: str) -> bool:
        return (side == "bid") == (outcome == "YES")

    @staticmethod
    def _own_price(price: int, outcome: str) -> int:
        return price if outcome == "YES" else ONE_DOLLAR - price

    def need(
        self, market: str, side: BookSide, price: int, quantity: int, outcome: str, promised: int
    ) -> int:
        """Return the cost of a buy; a sell needs tokens, not dollars."""
        if not self._is_buy(side, outcome):
            return 0
        return self._own_price(price, outcome) * quantity

    def covers(
        self, market: str, side: BookSide, quantity: int, outcome: str, working: int
    ) -> bool:
        """Return whether the tokens of a sell are there."""
        if self._is_buy(side, outcome):
            return True
        return self.held.get((market, outcome), 0) >= quantity + working

    def apply(self, market: str, side: BookSide, price: int, quantity: int, outcome: str) -> None:
        """Book a buy or a sell of one token."""
        key, own = (market, outcome), self._own_price(price, outcome)
        if self._is_buy(side, outcome):
            self.cash -= own * quantity
            self.held[key] = self.held.get(key, 0) + quantity
        else:
            self.cash += own * quantity
            self.held[key] = self.held.get(key, 0) - quantity
            assert self.held[key] >= 0, "a token account went short"
        if self.held[key] == 0:
            del self.held[key]

    def merge(self, market: str, quantity: int) -> bool:
        """Turn pairs into dollars; False when there are not enough of both."""
        yes, no = (market, "YES"), (market, "NO")
        if min(self.held.get(yes, 0), self.held.get(no, 0)) < quantity:
            return False
        for key in (yes, no):
            self.held[key] -= quantity
            if self.held[key] == 0:
                del self.held[key]
        self.cash += ONE_DOLLAR * quantity
        return True

    def settle(self, market: str, yes_payout: int) -> int:
        """Redeem both tokens."""
        paid = self.held.pop((market, "YES"), 0) * yes_payout
        paid += self.held.pop((market, "NO"), 0) * (ONE_DOLLAR - yes_payout)
        self.cash += paid
        return paid

    def positions(self) -> dict[tuple[str, str], int]:
        """Return what is held, by outcome."""
        return dict(self.held)

"""One currency per code with enough decimals, decided before the engine makes the first amount.

The engine knows ``USD`` with 2 decimals, which would round a fee of $0.0034 away, and silently invents
any unknown code with 8. Importing this module registers the codes we settle in with 6 decimals
(ADR 0010); `currency` refuses every code that the engine does not know.
"""

from __future__ import annotations

from decimal import Decimal

from nautilus_trader.model import Currency, CurrencyType, Money

from core.domain.errors import MarketError

#: Decimals of every settlement currency: price (4) times size (2) is exact, so is a Kalshi or Polymarket fee.
MONEY_DECIMALS = 6

_USD = Currency("USD", MONEY_DECIMALS, 840, "United States dollar", CurrencyType.FIAT)
_PUSD = Currency("pUSD", MONEY_DECIMALS, 0, "Polymarket dollar", CurrencyType.CRYPTO)

for _currency in (_USD, _PUSD):
    Currency.register(_currency, overwrite=True)


def currency(code: str) -> Currency:
    """Return the registered currency with this code.

    Raises
    ------
    MarketError
        If the engine does not know the code (it would invent one with 8 decimals).
    """
    try:
        return Currency.from_str(code, strict=True)
    except ValueError as exc:
        raise MarketError(
            "unknown currency", code, "register it in core/engine/currency.py"
        ) from exc


def money(amount: Decimal, code: str) -> Money:
    """Return `amount` as engine money, exactly.

    Raises
    ------
    MarketError
        If the amount is finer than the currency's smallest unit.
    """
    out = Money.from_decimal(amount, currency(code))
    if out.as_decimal() != amount:
        raise MarketError(
            f"amount is finer than the smallest unit of {code}",
            amount,
            "round it to the unit of the currency first",
        )
    return out

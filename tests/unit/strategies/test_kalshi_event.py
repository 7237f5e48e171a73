"""What the window strategy takes for a spot price."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nautilus_trader.model import InstrumentId, Price, Quantity, QuoteTick

from strategies.kalshi_event import KalshiEvent

SPOT = "BTC-USDT.BINANCE"


@pytest.mark.parametrize(
    ("bid", "ask", "bid_size", "ask_size", "taken"),
    [
        ("99.00", "101.00", "1", "2", [100.0]),
        ("99.00", "101.00", "0", "0", [100.0]),  # data without sizes
        ("0.00", "101.00", "0", "2", []),
        ("99.00", "1000000.00", "1", "0", []),
    ],
)
def test_an_empty_side_of_the_spot_book_is_no_price(
    bid: str, ask: str, bid_size: str, ask_size: str, taken: list[float]
) -> None:
    seen: list[float] = []
    desk = SimpleNamespace(_volatility={SPOT: None}, _on_spot=lambda iid, price: seen.append(price))
    prices = Price.from_str(bid), Price.from_str(ask)
    sizes = Quantity.from_str(bid_size), Quantity.from_str(ask_size)
    KalshiEvent.on_quote(desk, QuoteTick(InstrumentId.from_str(SPOT), *prices, *sizes, 1, 1))
    assert seen == taken

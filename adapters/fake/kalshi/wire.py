"""Truth to payloads: how the fake Kalshi writes orders, fills, markets and books."""

from __future__ import annotations

from typing import Any

from core.domain.clock import iso_from_ns
from core.engine.paper.book import PRICE_UNIT, FakeBook
from core.engine.paper.exchange import Execution, FakeMarket, FakeOrder

PAGE = 200


def price(units: int) -> str:
    """Return ten-thousandths as the venue's dollar string."""
    return f"{units // PRICE_UNIT}.{units % PRICE_UNIT:04d}"


def count(units: int) -> str:
    """Return hundredths as the venue's fixed point string."""
    sign = "-" if units < 0 else ""
    return f"{sign}{abs(units) // 100}.{abs(units) % 100:02d}"


def money(micros: int) -> str:
    """Return micro-dollars as a dollar string with six decimals."""
    sign = "-" if micros < 0 else ""
    return f"{sign}{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}"


def _outcome_side(side: str) -> str:
    return "yes" if side == "bid" else "no"


def order_body(o: FakeOrder) -> dict[str, Any]:
    """Return an order as REST and the ``user_orders`` channel show it."""
    maker = "maker_fees_dollars"
    return {
        "order_id": o.order_id,
        "user_id": "00000000-0000-4000-8000-000000000001",
        "client_order_id": o.client_order_id,
        "ticker": o.market,
        "outcome_side": _outcome_side(o.side),
        "book_side": o.side,
        "type": "limit",
        "status": o.status,
        "yes_price_dollars": price(o.price),
        "no_price_dollars": price(PRICE_UNIT - o.price),
        "fill_count_fp": count(o.filled),
        "remaining_count_fp": count(o.left if o.status == "resting" else 0),
        "initial_count_fp": count(o.initial or o.quantity),
        "taker_fees_dollars": money(o.fees - o.maker_fees),
        maker: money(o.maker_fees),
        "expiration_time": iso_from_ns(o.expire_ns) if o.expire_ns else None,
        "created_time": iso_from_ns(o.created_ns),
        "last_update_time": iso_from_ns(o.updated_ns),
        "self_trade_prevention_type": "taker_at_cross",
        "order_group_id": None,
        "cancel_order_on_pause": False,
        "subaccount_number": 0,
        "exchange_index": 0,
    }


def user_order_body(o: FakeOrder) -> dict[str, Any]:
    """Return an order as the WebSocket shows it."""
    return order_body(o) | {
        "created_ts_ms": o.created_ns // 1_000_000,
        "last_updated_ts_ms": o.updated_ns // 1_000_000,
        "last_update_reason": o.reason or ("Trade" if o.filled else ""),
    }


def fill_body(e: Execution) -> dict[str, Any]:
    """Return a fill as REST shows it."""
    return {
        "fill_id": e.trade_id,
        "order_id": e.order_id,
        "ticker": e.market,
        "outcome_side": _outcome_side(e.side),
        "book_side": e.side,
        "count_fp": count(e.quantity),
        "yes_price_dollars": price(e.price),
        "no_price_dollars": price(PRICE_UNIT - e.price),
        "is_taker": not e.maker,
        "fee_cost": money(e.fee),
        "created_time": iso_from_ns(e.ts_ns),
        "ts": e.ts_ns // 1_000_000_000,
        "subaccount_number": 0,
        "exchange_index": 0,
    }


def ws_fill_body(e: Execution, position: int) -> dict[str, Any]:
    """Return a fill as the WebSocket shows it."""
    return {
        "trade_id": e.trade_id,
        "order_id": e.order_id,
        "client_order_id": e.client_order_id,
        "market_ticker": e.market,
        "exchange_index": 0,
        "is_taker": not e.maker,
        "outcome_side": _outcome_side(e.side),
        "book_side": e.side,
        "yes_price_dollars": price(e.price),
        "count_fp": count(e.quantity),
        "fee_cost": money(e.fee),
        "post_position_fp": count(position),
        "ts_ms": e.ts_ns // 1_000_000,
    }


STATUS_WORDS = {
    "active": "active",
    "paused": "inactive",
    "closed": "closed",
    "resolved": "finalized",
}


def market_body(m: FakeMarket, info: dict[str, Any], now_ns: int) -> dict[str, Any]:
    """Return a market as ``GET /markets`` shows it; `info` holds what the exchange does not know."""
    bid, ask = m.book.best("bid"), m.book.best("ask")
    step = price(m.tick)
    body: dict[str, Any] = {
        "ticker": m.market_id,
        "market_type": "binary",
        "status": STATUS_WORDS[m.status],
        "close_time": iso_from_ns(m.close_ns),
        "expected_expiration_time": iso_from_ns(m.close_ns),
        "latest_expiration_time": iso_from_ns(m.close_ns),
        "expiration_time": iso_from_ns(m.close_ns),
        "settlement_timer_seconds": 120,
        "yes_bid_dollars": price(bid or 0),
        "yes_ask_dollars": price(ask or PRICE_UNIT),
        "no_bid_dollars": price(PRICE_UNIT - (ask or PRICE_UNIT)),
        "no_ask_dollars": price(PRICE_UNIT - (bid or 0)),
        "yes_bid_size_fp": count(m.book.shown("bid", bid) if bid else 0),
        "yes_ask_size_fp": count(m.book.shown("ask", ask) if ask else 0),
        "last_price_dollars": price(bid or 0),
        "volume_fp": "0.00",
        "volume_24h_fp": "0.00",
        "open_interest_fp": "0.00",
        "notional_value_dollars": "1.0000",
        "result": "",
        "can_close_early": True,
        "price_level_structure": "",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": step}],
        "settlement_bounds_type": "default",
        "rules_primary": "",
        "rules_secondary": "",
        "created_time": iso_from_ns(max(now_ns - 86_400 * 10**9, 0)),
        "updated_time": iso_from_ns(now_ns),
        "exchange_index": 0,
    }
    if m.yes_payout is not None:
        words = {PRICE_UNIT: "yes", 0: "no"}
        body["result"] = words.get(m.yes_payout, "scalar")
        body["settlement_value_dollars"] = price(m.yes_payout)
        body["settlement_ts"] = iso_from_ns(now_ns)
    return body | info


def book_body(book: FakeBook, yes_scale: bool = False) -> tuple[list[list[str]], list[list[str]]]:
    """Return (yes bids, no bids), ascending, best last; NO prices on their own scale unless `yes_scale`."""
    yes = [[price(p), count(q)] for p, q in reversed(full_levels(book, "bid"))]
    no = [
        [price(p if yes_scale else PRICE_UNIT - p), count(q)]
        for p, q in (full_levels(book, "ask") if yes_scale else reversed(full_levels(book, "ask")))
    ]
    return yes, no


def full_levels(book: FakeBook, side: str) -> list[tuple[int, int]]:
    """Return the replayed levels as recorded (what we took is our own affair), best first."""
    rows = book.levels["bid" if side == "bid" else "ask"].items()
    return sorted(rows, reverse=side == "bid")

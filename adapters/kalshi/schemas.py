"""Kalshi payloads as msgspec structs: only what is used, unknown fields ignored, safety fields required.

Dollar and count strings stay strings here; `adapters.kalshi.parsing` turns them into Decimal. Enumerations are
open strings: a new word must never crash a reader.
"""

from __future__ import annotations

import msgspec


class PriceRange(msgspec.Struct, frozen=True):
    """One band of a tick grid, dollars."""

    start: str
    end: str
    step: str


class MarketMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A market as ``GET /markets`` gives it."""

    ticker: str
    event_ticker: str
    status: str
    open_time: str
    close_time: str
    market_type: str = "binary"
    title: str = ""
    yes_sub_title: str = ""
    no_sub_title: str = ""
    result: str = ""
    settlement_value_dollars: str | None = None
    settlement_ts: str | None = None
    expected_expiration_time: str | None = None
    latest_expiration_time: str | None = None
    settlement_timer_seconds: int = 0
    can_close_early: bool = False
    strike_type: str = ""
    floor_strike: float | str | None = None
    cap_strike: float | str | None = None
    price_ranges: tuple[PriceRange, ...] = ()
    price_level_structure: str = ""
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    yes_bid_size_fp: str | None = None
    yes_ask_size_fp: str | None = None
    last_price_dollars: str | None = None
    fee_waiver_expiration_time: str | None = None
    is_provisional: bool = False
    exchange_index: int = 0


class MarketsPage(msgspec.Struct, frozen=True):
    """A page of markets."""

    markets: tuple[MarketMsg, ...]
    cursor: str | None = None


class MarketEnvelope(msgspec.Struct, frozen=True):
    """One market."""

    market: MarketMsg


class SeriesMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A series: where the fee type and multiplier live."""

    ticker: str
    fee_type: str = "quadratic"
    fee_multiplier: float = 1.0
    title: str = ""
    category: str = ""
    tags: list[str] | None = None


class SeriesEnvelope(msgspec.Struct, frozen=True):
    """One series."""

    series: SeriesMsg


class EventMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An event with its fee overrides."""

    event_ticker: str
    series_ticker: str = ""
    title: str = ""
    mutually_exclusive: bool = False
    collateral_return_type: str = ""
    fee_type_override: str | None = None
    fee_multiplier_override: float | None = None
    markets: tuple[MarketMsg, ...] = ()


class EventEnvelope(msgspec.Struct, frozen=True):
    """One event."""

    event: EventMsg


class EventFeeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Fee terms of an event have changed."""

    event_ticker: str


class CreateOrderBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Body of ``POST /portfolio/events/orders`` (V2): one book, YES prices."""

    ticker: str
    client_order_id: str
    side: str
    count: str
    price: str
    time_in_force: str
    self_trade_prevention_type: str
    expiration_time: int | None = None
    post_only: bool | None = None
    reduce_only: bool | None = None
    cancel_order_on_pause: bool | None = None
    order_group_id: str | None = None


class CreateOrderAck(msgspec.Struct, frozen=True, kw_only=True):
    """201 of a create; without an id or its counts it says nothing for certain."""

    order_id: str = ""
    client_order_id: str = ""
    fill_count: str | None = None
    remaining_count: str | None = None
    ts_ms: int = 0


class CancelAck(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to a cancel."""

    order_id: str
    client_order_id: str = ""
    reduced_by: str = "0"
    ts_ms: int = 0


class ItemError(msgspec.Struct, frozen=True):
    """Why one item of a batch was refused, in a batch that was not."""

    code: str = ""
    message: str = ""


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a batch's answer; with `error` it was refused."""

    order_id: str | None = None
    client_order_id: str | None = None
    fill_count: str | None = None
    remaining_count: str | None = None
    reduced_by: str = "0"
    ts_ms: int = 0
    error: ItemError | None = None


class BatchAnswer(msgspec.Struct, frozen=True):
    """Answer to a batch of creates or cancels."""

    orders: tuple[BatchItem, ...] = ()


class GroupAck(msgspec.Struct, frozen=True):
    """Answer to the creation of an order group."""

    order_group_id: str


class GroupMsg(msgspec.Struct, frozen=True):
    """One order group: the ids of its resting orders."""

    orders: tuple[str, ...] = ()


class BucketSize(msgspec.Struct, frozen=True):
    """Tokens per second and the largest burst."""

    refill_rate: float = 0.0
    bucket_capacity: float = 0.0


class AccountLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Token buckets of the account's tier."""

    usage_tier: str = ""
    read: BucketSize = BucketSize()
    write: BucketSize = BucketSize()


class EndpointCost(msgspec.Struct, frozen=True):
    """A call that does not cost the default."""

    method: str = ""
    path: str = ""
    cost: float = 0.0


class EndpointCosts(msgspec.Struct, frozen=True, kw_only=True):
    """Costs in force."""

    default_cost: float = 0.0
    endpoint_costs: tuple[EndpointCost, ...] = ()


class Cutoff(msgspec.Struct, frozen=True, kw_only=True):
    """Before these times own data is in the archive only."""

    orders_updated_ts: str | None = None
    trades_created_ts: str | None = None


class OrderMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An own order, REST and ``user_order`` alike."""

    order_id: str
    ticker: str
    status: str
    book_side: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    client_order_id: str = ""
    expiration_time: str | None = None
    created_time: str | None = None
    last_update_time: str | None = None
    created_ts_ms: int = 0
    last_updated_ts_ms: int = 0
    last_update_reason: str = ""
    taker_fees_dollars: str = "0"
    maker_fees_dollars: str = "0"
    exchange_index: int = 0


class OrdersPage(msgspec.Struct, frozen=True):
    """A page of own orders."""

    orders: tuple[OrderMsg, ...]
    cursor: str | None = None


class OrderEnvelope(msgspec.Struct, frozen=True):
    """One own order."""

    order: OrderMsg


class FillMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An own fill, REST (`fill_id`, `ticker`) and WebSocket (`trade_id`, `market_ticker`) alike."""

    order_id: str
    book_side: str
    yes_price_dollars: str
    count_fp: str
    fee_cost: str
    is_taker: bool
    trade_id: str = ""
    fill_id: str = ""
    ticker: str = ""
    market_ticker: str = ""
    client_order_id: str = ""
    created_time: str | None = None
    ts_ms: int = 0
    ts: int | None = None


class FillsPage(msgspec.Struct, frozen=True):
    """A page of own fills."""

    fills: tuple[FillMsg, ...]
    cursor: str | None = None


class PositionMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A signed position: plus is YES, minus is NO."""

    ticker: str
    position_fp: str
    market_exposure_dollars: str = "0"
    realized_pnl_dollars: str = "0"
    fees_paid_dollars: str = "0"


class PositionsPage(msgspec.Struct, frozen=True):
    """A page of positions."""

    market_positions: tuple[PositionMsg, ...]
    cursor: str | None = None


class ShardBalance(msgspec.Struct, frozen=True):
    """Free cash of one shard, cents or dollars as sent."""

    exchange_index: int
    balance: float | str


class BalanceMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Free cash."""

    balance: int
    balance_dollars: str = ""
    balance_breakdown: tuple[ShardBalance, ...] = ()


class ExchangeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether anything can be traded."""

    trading_active: bool
    exchange_active: bool = True


class ApiKeyMsg(msgspec.Struct, frozen=True, kw_only=True):
    """One key and its scopes."""

    api_key_id: str
    name: str = ""
    scopes: tuple[str, ...] = ()


class ApiKeys(msgspec.Struct, frozen=True):
    """Keys of the account."""

    api_keys: tuple[ApiKeyMsg, ...]


class SettlementMsg(msgspec.Struct, frozen=True, kw_only=True):
    """What a resolved market paid."""

    ticker: str
    market_result: str
    yes_count_fp: str = "0"
    no_count_fp: str = "0"
    revenue: int = 0
    value: int | None = None
    settled_time: str = ""


class SettlementsPage(msgspec.Struct, frozen=True):
    """A page of settlements."""

    settlements: tuple[SettlementMsg, ...]
    cursor: str | None = None


# -- WebSocket ------------------------------------------------------------------------------------


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """Envelope of every frame; `msg` is decoded by its type."""

    type: str
    id: int | None = None
    sid: int | None = None
    seq: int | None = None
    msg: msgspec.Raw = msgspec.Raw(b"null")


class SnapshotMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Whole book; a side that is empty is absent."""

    market_ticker: str
    yes_dollars_fp: tuple[tuple[str, str], ...] = ()
    no_dollars_fp: tuple[tuple[str, str], ...] = ()


class BookMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Whole book over REST, each side's bids on its own scale."""

    yes_dollars: tuple[tuple[str, str], ...]
    no_dollars: tuple[tuple[str, str], ...]


class BookEnvelope(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of ``/markets/{ticker}/orderbook``."""

    orderbook_fp: BookMsg


class DeltaMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Signed change of one level."""

    market_ticker: str
    price_dollars: str
    delta_fp: str
    side: str
    ts_ms: int = 0


class TradeMsg(msgspec.Struct, frozen=True, kw_only=True):
    """A public trade."""

    trade_id: str
    market_ticker: str
    yes_price_dollars: str
    count_fp: str
    taker_book_side: str = ""
    is_block_trade: bool = False
    ts_ms: int = 0


class LifecycleMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Life of a market; which fields are set depends on `event_type`."""

    market_ticker: str
    event_type: str
    open_ts: int | None = None
    close_ts: int | None = None
    result: str = ""
    settlement_value: str | None = None
    determination_ts: int | None = None
    settled_ts: int | None = None
    price_ranges: tuple[PriceRange, ...] = ()


class UserOrderMsg(OrderMsg, frozen=True, kw_only=True):
    """An own order on the ``user_orders`` channel (type ``user_order``, singular)."""


class ErrorMsg(msgspec.Struct, frozen=True, kw_only=True):
    """An error frame."""

    code: int
    msg: str = ""


class SubscribedMsg(msgspec.Struct, frozen=True, kw_only=True):
    """Which channel got which subscription id."""

    channel: str
    sid: int

"""The engine by itself: small in-memory runs that show what it does without our layer.

A contract test has two halves: the trap as the engine has it (so that we notice when a new version changes
it) and the same case through our layer.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import CacheConfig, LoggerConfig
from nautilus_trader.data import DataEngineConfig
from nautilus_trader.execution import ProbabilityPriceFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    AssetClass,
    BinaryOption,
    BookAction,
    BookOrder,
    BookType,
    InstrumentClose,
    InstrumentCloseType,
    InstrumentId,
    Money,
    OmsType,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    RecordFlag,
    Symbol,
    TimeInForce,
    Venue,
)
from nautilus_trader.risk import RiskEngineConfig
from nautilus_trader.trading import Strategy, StrategyConfig

from core.engine.currency import currency

S = 1_000_000_000
T0 = 1_700_000_000 * S
PM = Venue("PM")
USD = currency("USD")
BUY, SELL = OrderSide.BUY, OrderSide.SELL
IOC, GTC = TimeInForce.IOC, TimeInForce.GTC
EXPIRED = InstrumentCloseType.CONTRACT_EXPIRED


def option(symbol: str = "YES", expires: int = T0 + 10**7 * S, **changes: Any) -> BinaryOption:
    fields: dict[str, Any] = {
        "instrument_id": InstrumentId.from_str(f"{symbol}.PM"),
        "raw_symbol": Symbol(symbol),
        "asset_class": AssetClass.ALTERNATIVE,
        "currency": USD,
        "activation_ns": T0,
        "expiration_ns": expires,
        "price_precision": 4,
        "size_precision": 2,
        "price_increment": Price.from_str("0.0001"),
        "size_increment": Quantity.from_str("0.01"),
        "ts_event": T0,
        "ts_init": T0,
    }
    return BinaryOption(**{**fields, **changes})


YES = option()
NO = option("NO")


def p(value: str | float) -> Price:
    return Price(float(value), 4)


def q(value: str | float) -> Quantity:
    return Quantity(float(value), 2)


def at(t: float) -> int:
    return T0 + round(t * S)


def quote(t: float, bid: float, ask: float, size: float = 1000.0, iid: Any = None) -> QuoteTick:
    return QuoteTick(iid or YES.id, p(bid), p(ask), q(size), q(size), at(t), at(t))


def one(t: float, action: BookAction, side: OrderSide, price: float, size: float) -> OrderBookDelta:
    order = BookOrder(side, p(price), q(size), 0)
    return OrderBookDelta(YES.id, action, order, RecordFlag.F_LAST.value, 0, at(t), at(t))


def book(
    t: float, bids: list[tuple[float, float]], asks: list[tuple[float, float]]
) -> OrderBookDeltas:
    rows = [OrderBookDelta.clear(YES.id, 0, at(t), at(t))]
    levels = [(BUY, *x) for x in bids] + [(SELL, *x) for x in asks]
    for n, (side, price, size) in enumerate(levels):
        flags = RecordFlag.F_LAST.value if n == len(levels) - 1 else 0
        order = BookOrder(side, p(price), q(size), 0)
        rows.append(OrderBookDelta(YES.id, BookAction.ADD, order, flags, 0, at(t), at(t)))
    return OrderBookDeltas(YES.id, rows)


def close(t: float, price: Price, kind: InstrumentCloseType = EXPIRED) -> InstrumentClose:
    return InstrumentClose(YES.id, price, kind, at(t), at(t))


class Bare(Strategy):
    """Runs ``script[n]`` at the n-th event (counted from 1) and keeps order events and fills."""

    script: dict[int, Callable[[Any], None]]
    deep = False

    def on_start(self) -> None:
        self.n = 0
        self.fills: list[Any] = []
        self.order_events: list[Any] = []
        if self.deep:
            self.subscribe_book_deltas(YES.id, BookType.L2_MBP, managed=True)
        else:
            self.subscribe_quotes(YES.id)

    def step(self) -> None:
        self.n += 1
        if self.n in self.script:
            self.script[self.n](self)

    def on_quote(self, quote: QuoteTick) -> None:
        self.step()

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        self.step()

    def on_order_event(self, event: Any) -> None:
        self.order_events.append(event)

    def on_order_filled(self, event: Any) -> None:
        self.fills.append(event)

    def limit(self, side: OrderSide, size: float, price: float, tif: TimeInForce = GTC) -> Any:
        order = self.order_factory.limit(YES.id, side, q(size), p(price), tif)
        self.submit_order(order)
        return order


def engine(
    *,
    book_type: BookType = BookType.L1_MBP,
    balance: str = "1000 USD",
    fee_model: Any = None,
    latency_ns: int = 0,
    rate: str = "100000/00:00:01",
    quotes_from_book: bool = True,
    tick_capacity: int = 100,
    account: AccountType = AccountType.CASH,
    **venue: Any,
) -> BacktestEngine:
    out = BacktestEngine(
        BacktestEngineConfig(
            run_analysis=False,
            cache=CacheConfig(tick_capacity=tick_capacity, bar_capacity=100),
            risk_engine=RiskEngineConfig(max_order_submit_rate=rate),
            data_engine=DataEngineConfig(
                emit_quotes_from_book=quotes_from_book, buffer_deltas=quotes_from_book
            ),
            logging=LoggerConfig(bypass_logging=True),
        )
    )
    out.add_venue(
        PM,
        OmsType.NETTING,
        account,
        [Money.from_str(balance)],
        base_currency=USD,
        fee_model=fee_model or ProbabilityPriceFeeModel(Decimal(0), Decimal(0)),
        latency_model=StaticLatencyModel(latency_ns) if latency_ns else None,
        book_type=book_type,
        **venue,
    )
    out.add_instrument(YES)
    return out


def play(
    data: list[Any],
    script: dict[int, Callable[[Any], None]],
    strategy: type[Bare] = Bare,
    **options: Any,
) -> tuple[Any, Decimal]:
    """Run one strategy; return it and the cash at the end."""
    runner = engine(**options)
    runner.add_data(data)
    actor = strategy(StrategyConfig(order_id_tag="001"))
    actor.script = script
    actor.deep = options.get("book_type") == BookType.L2_MBP
    runner.add_strategy(actor)
    try:
        runner.run()
        account = runner.cache.account_for_venue(PM)
        assert account is not None
        return actor, account.balance_total(USD).as_decimal()
    finally:
        runner.dispose()

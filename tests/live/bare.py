"""The engine's own live behaviour, without anything of ours: a plain execution client and a plain strategy.

python -m tests.live.bare            # one node, all observations, as JSON
python -m tests.live.bare thread     # touches the cache from another thread: the process aborts
python -m tests.live.bare database   # a node with a Python client and a cache database
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any

from nautilus_trader.common import CacheConfig, Environment, LoggerConfig, LogLevel
from nautilus_trader.live import (
    DataClientConfig,
    ExecutionClientConfig,
    InstrumentProvider,
    InstrumentProviderConfig,
    LiveExecutionEngineConfig,
    LiveNode,
)
from nautilus_trader.live.clients import (
    DataClientFactory,
    ExecutionClient,
    ExecutionClientFactory,
    MarketDataClient,
)
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    AssetClass,
    BinaryOption,
    ClientOrderId,
    Currency,
    InstrumentClose,
    InstrumentCloseType,
    InstrumentId,
    LiquiditySide,
    Money,
    OmsType,
    OrderSide,
    OrderStatus,
    OrderStatusReport,
    OrderType,
    Price,
    Quantity,
    StrategyId,
    Symbol,
    TimeInForce,
    TradeId,
    TraderId,
    TradingState,
    Venue,
    VenueOrderId,
)
from nautilus_trader.trading import Strategy, StrategyConfig

USD = Currency.from_str("USD")
NAMES = ("HANG", "AFTER", "LOST", "SILENT", "FILL", "PRICE", "NAKED", "CLOSE", "HALT", "STOP")
IDS = {n: InstrumentId(Symbol(n), Venue("BARE")) for n in NAMES}
HANG_S = 1.5


def option(iid: InstrumentId) -> BinaryOption:
    """Return a plain binary option."""
    return BinaryOption(
        instrument_id=iid,
        raw_symbol=iid.symbol,
        asset_class=AssetClass.ALTERNATIVE,
        currency=USD,
        activation_ns=0,
        expiration_ns=time.time_ns() + 10**15,
        price_precision=2,
        size_precision=0,
        price_increment=Price.from_str("0.01"),
        size_increment=Quantity.from_str("1"),
        max_price=Price.from_str("0.99"),
        min_price=Price.from_str("0.01"),
        ts_event=0,
        ts_init=0,
    )


class Provider(InstrumentProvider):
    """All options of `NAMES`."""

    def __init__(self) -> None:
        super().__init__(InstrumentProviderConfig(load_all=True))

    async def load_all_async(self, filters: Any = None) -> None:
        """Add them."""
        for iid in IDS.values():
            self.add(option(iid))


class Data(MarketDataClient):
    """Instruments, and nothing else."""

    async def _connect(self) -> None:
        await self.instrument_provider.initialize()
        for instrument in self.instrument_provider.list_all():
            self._handle_instrument(instrument)

    async def _disconnect(self) -> None:
        """Nothing to end."""

    async def _subscribe_instrument_close(self, command: Any) -> None:
        """Sent by hand."""

    def close(self, name: str, price: str) -> None:
        """Resolve an instrument."""
        now = self.clock.timestamp_ns()
        kind = InstrumentCloseType.CONTRACT_EXPIRED
        self._handle_data(InstrumentClose(IDS[name], Price.from_str(price), kind, now, now))


class Execution(ExecutionClient):
    """What the engine's documentation shows first: await the network in the command, report what is asked."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.entered: list[tuple[float, str]] = []
        self.reported: dict[str, int] = {}
        self.queries = 0

    async def _connect(self) -> None:
        await self.instrument_provider.initialize()
        balance = Money.from_str("1000.00 USD")
        self.generate_account_state(
            [AccountBalance(balance, Money.from_str("0.00 USD"), balance)], [], True, 1
        )

    async def _disconnect(self) -> None:
        """Nothing to end."""

    def note(self, what: str) -> None:
        """Remember when a command came in."""
        self.entered.append((time.monotonic(), what))

    async def _submit_order(self, command: Any) -> None:
        order, name = command.order, command.order.instrument_id.symbol.value
        self.note(f"submit {name}")
        self.generate_order_submitted(order)
        if name == "HANG":
            await asyncio.sleep(HANG_S)
        if name != "LOST":
            vid = VenueOrderId(f"v-{order.client_order_id.value}")
            self.generate_order_accepted(order, vid, self.clock.timestamp_ns())

    async def _cancel_order(self, command: Any) -> None:
        self.note(f"cancel {command.instrument_id.symbol.value}")

    async def _query_order(self, command: Any) -> None:
        self.queries += 1
        raise RuntimeError("the venue cannot be reached")

    async def _generate_order_status_report(self, command: Any) -> Any:
        return None

    async def _generate_order_status_reports(self, command: Any) -> list[Any]:
        out = []
        for order in self.cache.orders_open():
            name = order.instrument_id.symbol.value
            if name in self.reported and order.venue_order_id is not None:
                out.append(self.report(order, self.reported[name]))
        return out

    def report(self, order: Any, filled: int) -> OrderStatusReport:
        """Say that the venue has filled so much of it."""
        now = self.clock.timestamp_ns()
        return OrderStatusReport(
            self.account_id, order.instrument_id, order.venue_order_id, order.side, OrderType.LIMIT,
            TimeInForce.GTC, OrderStatus.PARTIALLY_FILLED, order.quantity, Quantity.from_str(str(filled)),
            now, now, now, client_order_id=order.client_order_id, price=order.price,
        )  # fmt: skip

    async def _generate_fill_reports(self, command: Any) -> list[Any]:
        return []

    async def _generate_position_status_reports(self, command: Any) -> list[Any]:
        return []


class Plain(Strategy):
    """Sends plain limit orders."""

    def on_start(self) -> None:
        """Listen to resolutions only."""
        self.denied: list[str] = []
        self.rejected: list[str] = []
        for iid in IDS.values():
            self.subscribe_instrument_close(iid)

    def on_order_denied(self, event: Any) -> None:
        """Remember it."""
        self.denied.append(str(event.reason))

    def on_order_rejected(self, event: Any) -> None:
        """Remember it."""
        self.rejected.append(str(event.reason))

    def send(self, name: str, side: OrderSide = OrderSide.BUY, price: str = "0.40", quantity: str = "10") -> Any:  # fmt: skip
        """Send a limit order and return it."""
        order = self.order_factory.limit(
            IDS[name], side, Quantity.from_str(quantity), Price.from_str(price), TimeInForce.GTC
        )
        self.submit_order(order)
        return order


def build(database: Any = None) -> tuple[LiveNode, dict[str, Any]]:
    """Return a node with the clients above and where to find them."""
    made: dict[str, Any] = {}

    class DataFactory(DataClientFactory):
        """Make the data client."""

        @staticmethod
        def create(*, name: str, config: Any, cache: Any, clock: Any) -> Any:
            made["data"] = Data(
                name=name, config=config, cache=cache, clock=clock, venue=Venue("BARE"),
                instrument_provider=Provider(),
            )  # fmt: skip
            return made["data"]

    class ExecutionFactory(ExecutionClientFactory):
        """Make the execution client."""

        @staticmethod
        def create(*, name: str, config: Any, cache: Any, clock: Any, trader_id: Any) -> Any:
            made["exec"] = Execution(
                name=name, config=config, cache=cache, clock=clock, trader_id=trader_id,
                venue=Venue("BARE"), account_id=AccountId("BARE-001"), account_type=AccountType.CASH,
                oms_type=OmsType.NETTING, base_currency=USD, instrument_provider=Provider(),
            )  # fmt: skip
            return made["exec"]

    builder = LiveNode.builder("bare", TraderId("BARE-001"), Environment.LIVE)
    builder = (
        builder.with_logging(LoggerConfig(stdout_level=LogLevel.OFF))
        .with_exec_engine_config(
            # The engine's defaults, only quicker.
            LiveExecutionEngineConfig(
                reconciliation_startup_delay_secs=0.1,
                inflight_check_interval_ms=200,
                inflight_check_threshold_ms=300,
                inflight_check_retries=2,
                open_check_interval_secs=0.5,
                open_check_threshold_ms=100,
            )
        )
        .with_delay_post_stop_secs(0)
        .add_data_client("BARE", DataFactory, DataClientConfig())
        .add_exec_client("BARE", ExecutionFactory, ExecutionClientConfig())
    )
    if database is not None:
        builder = builder.with_cache_config(CacheConfig()).with_cache_database_factory(database)
    node = builder.build()
    made["strategy"] = Plain(StrategyConfig(strategy_id=StrategyId("PLAIN-001")))
    node.add_strategy(made["strategy"])
    return node, made


async def observe() -> dict[str, Any]:
    """Run one node and return what was seen."""
    node, made = build()
    cache, handle = node.cache, node.handle()
    run = asyncio.ensure_future(node.run_async())
    strategy, execution = made["strategy"], made["exec"]
    await asyncio.sleep(1.0)
    facts: dict[str, Any] = {}

    def order(o: Any) -> Any:
        return cache.order(o.client_order_id)

    waiting = strategy.send("AFTER")
    await asyncio.sleep(0.1)
    strategy.send("HANG")
    await asyncio.sleep(0.05)
    strategy.cancel_order(waiting.client_order_id)
    lost, silent = strategy.send("LOST"), strategy.send("SILENT")
    filled = strategy.send("FILL")
    # Nothing checks prices and holdings, and the trading state cannot be set from here.
    price, naked = strategy.send("PRICE", price="1.20"), strategy.send("NAKED", OrderSide.SELL)
    strategy.publish_message("RiskEngine.execute", TradingState.HALTED)
    strategy.publish_message("RiskEngine.process", TradingState.HALTED)
    halted = strategy.send("HALT")
    await asyncio.sleep(HANG_S + 0.5)
    times = {what: at for at, what in execution.entered}
    facts["cancel_waited_s"] = times["cancel AFTER"] - times["submit HANG"]
    facts["price_above_one"] = order(price).status.name
    facts["naked_sale"] = order(naked).status.name
    facts["after_halt"] = order(halted).status.name
    # A report ahead of the fill: the engine invents one, then the real one comes.
    execution.reported["FILL"] = 4
    await asyncio.sleep(1.5)
    facts["invented"] = str(order(filled).filled_qty)
    now = time.time_ns()
    execution.generate_order_filled(
        order(filled), order(filled).venue_order_id, None, TradeId("real-1"), Quantity.from_str("4"),
        Price.from_str("0.40"), USD, Money.from_str("0.00 USD"), LiquiditySide.TAKER, now,
    )  # fmt: skip
    # A resolution: the position goes, the resting order and the account stay.
    resting = strategy.send("CLOSE", price="0.30")
    bought = strategy.send("CLOSE", price="0.45")
    await asyncio.sleep(0.2)
    execution.generate_order_filled(
        order(bought), order(bought).venue_order_id, None, TradeId("real-2"), Quantity.from_str("10"),
        Price.from_str("0.45"), USD, Money.from_str("0.00 USD"), LiquiditySide.TAKER, now,
    )  # fmt: skip
    await asyncio.sleep(0.3)
    facts["filled_twice"] = str(order(filled).filled_qty)
    made["data"].close("CLOSE", "1.00")
    await asyncio.sleep(0.3)
    facts["closed_position"] = not cache.positions_open(None, IDS["CLOSE"])
    facts["resting_after_close"] = order(resting).status.name
    later = strategy.send("CLOSE", price="0.50")
    await asyncio.sleep(0.2)
    facts["sent_after_close"] = order(later).status.name
    facts["silently_cancelled"] = order(silent).status.name  # the venue never lists it again
    facts["lost"] = order(lost).status.name
    facts["lost_reason"] = strategy.rejected
    facts["denied"] = strategy.denied
    strategy.stop()
    await asyncio.sleep(0.1)
    after = strategy.send("STOP")
    await asyncio.sleep(0.2)
    facts["sent_by_a_stopped_strategy"] = order(after).status.name
    facts["saved"] = hasattr(strategy, "saved")
    handle.stop()
    await asyncio.wait({run}, timeout=20)
    return facts


async def touch_from_a_thread() -> None:
    """Read the node's cache on another thread."""
    node, _ = build()
    cache = node.cache
    run = asyncio.ensure_future(node.run_async())
    await asyncio.sleep(1.0)
    thread = threading.Thread(target=lambda: cache.order(ClientOrderId("O-1")))
    thread.start()
    await asyncio.sleep(1.0)
    print(json.dumps({"survived": True}), flush=True)
    run.cancel()


async def with_database() -> dict[str, Any]:
    """Try to run a node with a Python client and a cache database."""
    from nautilus_trader.infrastructure import RedisCacheConfig

    try:
        node, _ = build(RedisCacheConfig(host="127.0.0.1", port=1))
        await node.run_async()
    except Exception as exc:
        return {"refused": str(exc)}
    return {"refused": ""}


if __name__ == "__main__":
    if sys.argv[1:] == ["thread"]:
        asyncio.run(touch_from_a_thread())
    elif sys.argv[1:] == ["database"]:
        print(json.dumps(asyncio.run(with_database())), flush=True)
    else:
        print(json.dumps(asyncio.run(observe())), flush=True)

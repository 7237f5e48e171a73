"""Two ways to bring a catalog into the engine, one behaviour.

`StreamingRunner` lets the engine stream the files itself: any number of rows in bounded memory, two
milliseconds a file. `DirectRunner` reads many small files as columns and feeds objects chunk by chunk. A
contract test holds that both give the same decisions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngine,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.model import (
    AccountType,
    AssetClass,
    BinaryOption,
    BookType,
    ClientOrderId,
    CurrencyPair,
    Money,
    OmsType,
    Price,
    Quantity,
    Symbol,
    Venue,
)

from core.engine.backtest.rows import MergedRows
from core.engine.catalog import FAR_FUTURE_NS
from core.engine.currency import currency, money
from core.engine.quiet_imports import without_unneeded
from core.engine.references import InstrumentRef

RUN_ID = "run"
#: Rows in memory at once, of every file: the engine opens all files of a run and holds a chunk of each.
CHUNK_ROWS = 20_000


#: From this many rows on the files are read by one thread. The engine's part is one thread anyway, which is the
#: slower one; the reader per processor that it would start holds tens of MB, on a large machine hundreds.
MANY_ROWS = 2_000_000
READERS = "TOKIO_WORKER_THREADS"


@dataclass(frozen=True)
class VenuePlan:
    """A venue as both runners set it up: cash account, netting, shown liquidity taken once.

    Attributes
    ----------
    spot : bool
        Whether the account holds coins beside its currency.
    """

    code: str
    currency: str
    capital: Decimal
    spot: bool
    deep: bool
    fee_model: Any
    latency_model: Any
    queue_position: bool
    bar_execution: bool


class Runner(Protocol):
    """An engine with venues and data, ready for actors and strategies."""

    def add_actor(self, actor: Any) -> None:
        """Add an actor."""
        ...

    def add_strategy(self, strategy: Any) -> None:
        """Add a strategy."""
        ...

    def run(self, stopping: Callable[[], bool]) -> int:
        """Run to the end of the data, or until `stopping`; return the number of records."""
        ...

    def balance(self, code: str, currency_code: str) -> Decimal | None:
        """Return the engine's own balance at a venue."""
        ...

    def order(self, order_id: str) -> Any:
        """Return the engine's own order, None for one it never had."""
        ...

    def dispose(self) -> None:
        """Release the engine."""
        ...


class StreamingRunner:
    """The engine streams the files.

    Parameters
    ----------
    rows : int
        Rows of data, about.
    """

    def __init__(
        self,
        venues: Sequence[VenuePlan],
        data: list[BacktestDataConfig],
        config: BacktestEngineConfig,
        rows: int = 0,
    ) -> None:
        if rows >= MANY_ROWS:
            os.environ.setdefault(READERS, "1")  # heard once, when the process first reads
        with without_unneeded():
            self._node = BacktestNode(
                [
                    BacktestRunConfig(
                        [_venue_config(v) for v in venues],
                        data,
                        engine=config,
                        id=RUN_ID,
                        chunk_size=CHUNK_ROWS,
                        raise_exception=True,
                        dispose_on_completion=False,
                    )
                ]
            )
            self._node.build()

    def add_actor(self, actor: Any) -> None:
        """Add an actor."""
        self._node.add_actor(RUN_ID, actor)

    def add_strategy(self, strategy: Any) -> None:
        """Add a strategy."""
        self._node.add_strategy(RUN_ID, strategy)

    def run(self, stopping: Callable[[], bool]) -> int:
        """Run to the end of the data; a shutdown ends it earlier."""
        (outcome,) = self._node.run()
        return int(outcome.iterations)

    def balance(self, code: str, currency_code: str) -> Decimal | None:
        """Return the engine's own balance at a venue."""
        return _balance(self._node.get_engine_cache(RUN_ID), code, currency_code)

    def order(self, order_id: str) -> Any:
        """Return the engine's own order, None for one it never had."""
        return self._node.get_engine_cache(RUN_ID).order(ClientOrderId(order_id))

    def dispose(self) -> None:
        """Release the engine."""
        self._node.dispose()


class DirectRunner:
    """Columns are read here and fed as objects."""

    def __init__(
        self,
        venues: Sequence[VenuePlan],
        refs: Sequence[InstrumentRef],
        quotes_in: Callable[[InstrumentRef], tuple[str, str]],
        rows: MergedRows,
        config: BacktestEngineConfig,
    ) -> None:
        self._rows = rows
        with without_unneeded():
            self._engine = BacktestEngine(config)
        for v in venues:
            self._engine.add_venue(
                Venue(v.code),
                OmsType.NETTING,
                AccountType.CASH,
                [money(v.capital, v.currency)],
                base_currency=None if v.spot else currency(v.currency),
                fee_model=v.fee_model,
                latency_model=v.latency_model,
                book_type=BookType.L2_MBP if v.deep else BookType.L1_MBP,
                liquidity_consumption=True,
                queue_position=v.queue_position,
                bar_execution=v.bar_execution,
            )
        for ref in refs:
            self._engine.add_instrument(native_instrument(ref, *quotes_in(ref)))

    def add_actor(self, actor: Any) -> None:
        """Add an actor."""
        self._engine.add_actor(actor)

    def add_strategy(self, strategy: Any) -> None:
        """Add a strategy."""
        self._engine.add_strategy(strategy)

    def run(self, stopping: Callable[[], bool]) -> int:
        """Feed chunk after chunk."""
        for chunk in self._rows.chunks(CHUNK_ROWS):
            self._engine.add_data(chunk, validate=False)
            self._engine.run(streaming=True)
            self._engine.clear_data()
            if stopping():
                break
        self._engine.end()
        return self._engine.iteration

    def balance(self, code: str, currency_code: str) -> Decimal | None:
        """Return the engine's own balance at a venue."""
        return _balance(self._engine.cache, code, currency_code)

    def order(self, order_id: str) -> Any:
        """Return the engine's own order, None for one it never had."""
        return self._engine.cache.order(ClientOrderId(order_id))

    def dispose(self) -> None:
        """Release the engine."""
        self._engine.dispose()


def native_instrument(ref: InstrumentRef, base: str, quote: str) -> BinaryOption | CurrencyPair:
    """Return the engine's instrument of a reference, as the catalog's own definition would give it.

    Parameters
    ----------
    base, quote : str
        Currency codes of a spot pair; `base` is empty for an outcome of a market.
    """
    price_step = Decimal(1).scaleb(-ref.price_precision)
    size_step = Decimal(1).scaleb(-ref.size_precision)
    symbol = Symbol(ref.iid.rsplit(".", 1)[0])
    price_increment = Price.from_decimal_dp(price_step, ref.price_precision)
    size_increment = Quantity.from_decimal_dp(size_step, ref.size_precision)
    if base:
        return CurrencyPair(
            instrument_id=ref.native,
            raw_symbol=symbol,
            base_currency=currency(base),
            quote_currency=currency(quote),
            price_precision=ref.price_precision,
            size_precision=ref.size_precision,
            price_increment=price_increment,
            size_increment=size_increment,
            ts_event=0,
            ts_init=0,
        )
    return BinaryOption(
        instrument_id=ref.native,
        raw_symbol=symbol,
        asset_class=AssetClass.ALTERNATIVE,
        currency=currency(quote),
        activation_ns=0,
        expiration_ns=FAR_FUTURE_NS,
        price_precision=ref.price_precision,
        size_precision=ref.size_precision,
        price_increment=price_increment,
        size_increment=size_increment,
        ts_event=0,
        ts_init=0,
    )


def _venue_config(v: VenuePlan) -> BacktestVenueConfig:
    return BacktestVenueConfig(
        v.code,
        "NETTING",
        "CASH",
        [f"{v.capital} {currency(v.currency).code}"],
        book_type="L2_MBP" if v.deep else "L1_MBP",
        base_currency=None if v.spot else currency(v.currency),
        fee_model=v.fee_model,
        latency_model=v.latency_model,
        liquidity_consumption=True,
        queue_position=v.queue_position,
        bar_execution=v.bar_execution,
    )


def _balance(cache: Any, code: str, currency_code: str) -> Decimal | None:
    account = cache.account_for_venue(Venue(code))
    if account is None:
        return None
    total: Money | None = account.balance_total(currency(currency_code))
    return None if total is None else total.as_decimal()

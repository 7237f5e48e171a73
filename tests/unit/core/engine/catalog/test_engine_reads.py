"""Contract: the engine's own catalog and node read what we write, and our schemas are the engine's."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from nautilus_trader.backtest import (
    BacktestDataConfig,
    BacktestEngineConfig,
    BacktestNode,
    BacktestRunConfig,
    BacktestVenueConfig,
)
from nautilus_trader.common import CacheConfig, LoggerConfig
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    BookType,
    CurrencyPair,
    InstrumentClose,
    InstrumentId,
    MarketStatusAction,
    NautilusDataType,
    OrderSide,
    Price,
    Quantity,
)
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import Strategy, StrategyConfig

from core.engine.catalog import Catalog, CatalogWriter, Kind
from tests.unit.core.engine.catalog.conftest import (
    BAR,
    NO,
    PAIR,
    T0,
    YES,
    S,
    make_deltas,
    make_market,
    make_quotes,
)


def test_the_engine_catalog_reads_every_kind_that_we_write(small_catalog: Path) -> None:
    engine = ParquetDataCatalog(str(small_catalog))
    by_id = {str(i.id): i for i in engine.instruments()}
    assert set(by_id) == {YES, NO, "BTCUSDT.BINANCE"}
    assert by_id[YES].price_precision == 4
    assert by_id[YES].size_precision == 2
    assert by_id[YES].info["market_id"] == "KXTEST-26"
    assert by_id[YES].event_id == "KXTEST"
    assert isinstance(by_id["BTCUSDT.BINANCE"], CurrencyPair)
    deltas = engine.query_order_book_deltas([YES])
    assert [str(d.order.price) for d in deltas] == ["0.4000", "0.4200", "0.4000", "0.4000"]
    assert [str(d.order.size) for d in deltas] == ["10.00", "11.00", "12.00", "13.00"]
    assert [d.flags for d in deltas] == [0, 128, 128, 128]
    quotes = engine.query_quote_ticks([NO])
    assert str(quotes[0].ask_price) == "0.4100"
    assert quotes[2].ts_init == T0 + 2 * S
    trades = engine.query_trade_ticks([YES])
    assert [str(t.trade_id) for t in trades] == ["t0", "t1", "t2"]
    bars = engine.query_bars([BAR])
    assert str(bars[0].volume) == "39217808.800000"
    assert bars[1].ts_init == T0 + 3600 * S
    closes = engine.query(NautilusDataType.InstrumentClose, [YES, NO])
    assert sorted(str(c.close_price) for c in closes) == ["0.0000", "1.0000"]
    statuses = engine.query(NautilusDataType.InstrumentStatus, [YES])
    assert [s.action for s in statuses] == [MarketStatusAction.TRADING, MarketStatusAction.CLOSE]


def test_our_schemas_equal_what_the_engine_writes(small_catalog: Path, tmp_path: Path) -> None:
    """Read everything with the engine, let it write it again, compare schema and content."""
    ours, engine_root = ParquetDataCatalog(str(small_catalog)), tmp_path / "engine"
    engine_root.mkdir()
    theirs = ParquetDataCatalog(str(engine_root))
    theirs.write_instruments(ours.instruments())
    theirs.write_order_book_deltas(ours.query_order_book_deltas([YES]))
    theirs.write_quote_ticks(ours.query_quote_ticks([NO]))
    theirs.write_trade_ticks(ours.query_trade_ticks([YES]))
    theirs.write_bars(ours.query_bars([BAR]))
    theirs.write_instrument_closes(ours.query(NautilusDataType.InstrumentClose, [YES]))
    theirs.write_instrument_closes(ours.query(NautilusDataType.InstrumentClose, [NO]))
    theirs.write_instrument_statuses(ours.query(NautilusDataType.InstrumentStatus, [YES]))
    files = {p.relative_to(small_catalog) for p in (small_catalog / "data").rglob("*.parquet")}
    assert {p.relative_to(engine_root) for p in engine_root.rglob("*.parquet")} == files
    for name in sorted(files):
        mine, engines = pq.read_table(small_catalog / name), pq.read_table(engine_root / name)
        assert mine.schema.equals(engines.schema), name
        assert mine.schema.metadata == engines.schema.metadata, name
        assert mine.to_pylist() == engines.to_pylist(), name


class _Recorder(Strategy):
    def on_start(self) -> None:
        self.seen: list[tuple[str, int]] = []
        iid = InstrumentId.from_str(YES)
        self.subscribe_book_deltas(iid, BookType.L2_MBP, managed=True)
        self.subscribe_instrument_close(iid)

    def on_book_deltas(self, deltas: object) -> None:
        self.seen.append(("book", deltas.ts_init))
        if len(self.seen) == 1:
            order = self.order_factory.limit(
                InstrumentId.from_str(YES), OrderSide.BUY, Quantity.from_str("5.00"), Price(0.42, 4)
            )
            self.submit_order(order)

    def on_instrument_close(self, close: InstrumentClose) -> None:
        self.seen.append(("close", close.ts_init))


def test_a_node_streams_books_in_batches_and_settles_at_the_payout(tmp_path: Path) -> None:
    path = tmp_path / "node"
    with CatalogWriter(path, name="node") as writer:
        writer.markets([make_market()])
        writer.deltas(YES, make_deltas(6))
        writer.closes(YES, T0 + 60 * S, Decimal(1))
    iid = InstrumentId.from_str(YES)
    data = [
        BacktestDataConfig(
            NautilusDataType.OrderBookDelta, str(path), instrument_id=iid, batch_deltas=True
        ),
        BacktestDataConfig(NautilusDataType.InstrumentClose, str(path), instrument_id=iid),
    ]
    venue = BacktestVenueConfig(
        "KALSHI",
        "NETTING",
        "CASH",
        ["100 USD"],
        book_type="L2_MBP",
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )
    run = BacktestRunConfig(
        [venue],
        data,
        engine=BacktestEngineConfig(
            cache=CacheConfig(tick_capacity=100), logging=LoggerConfig(bypass_logging=True)
        ),
        chunk_size=2,
        raise_exception=True,
        dispose_on_completion=False,
        id="r",
    )
    node = BacktestNode([run])
    node.build()
    strategy = _Recorder(StrategyConfig(order_id_tag="001"))
    node.add_strategy("r", strategy)
    node.run()
    assert [kind for kind, _ in strategy.seen] == ["book"] * 5 + ["close"]
    cache = node.get_engine_cache("r")
    (position,) = cache.positions()
    assert position.is_closed
    assert position.realized_pnl.as_decimal() == Decimal("2.90")
    node.dispose()


def test_columns_come_back_as_they_went_in(small_catalog: Path) -> None:
    catalog = Catalog.open(small_catalog)
    back, want = catalog.deltas(YES), make_deltas()
    for name in ("ts_event", "action", "side", "price", "size", "flags", "sequence"):
        np.testing.assert_array_equal(getattr(back, name), getattr(want, name))
    quotes = catalog.quotes(NO, start_ns=T0 + S)
    assert len(quotes) == 2
    np.testing.assert_array_equal(quotes.ask, make_quotes().ask[1:])
    assert catalog.bars(BAR).volume.tolist() == [39_217_808_800_000] * 3
    assert catalog.trades(YES).trade_id == ["t0", "t1", "t2"]
    assert catalog.kinds(YES) == {Kind.DELTAS, Kind.TRADES, Kind.STATUSES, Kind.CLOSES}
    assert catalog.markets() == {"KXTEST-26": make_market(), "BTCUSDT.BINANCE": PAIR.market()}
    assert catalog.markets()["KXTEST-26"].info == {"note": "ü"}
    assert catalog.span_ns(NO) == (T0, T0 + 60 * S)

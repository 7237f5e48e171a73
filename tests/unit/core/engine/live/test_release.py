"""What frees the books of a market that is paid out is no news: no recording, no strategy, no order on its way sees it."""

from decimal import Decimal
from types import SimpleNamespace

import pytest
from nautilus_trader.model import (
    AssetClass,
    BinaryOption,
    BookType,
    Currency,
    InstrumentId,
    OrderBook,
    Price,
    Quantity,
    Symbol,
)

from adapters.kalshi.fees import KalshiFeeBook
from core.engine.live.books import BookWriter, is_release
from core.engine.live.feed import LiveFeed
from core.engine.live.recorder import Recorder
from core.engine.paper.feed import PaperFeed
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.engine.session import Moments
from tests.integration.kalshi_session import market

D = Decimal
TICKER = "KXTEST-26NOV21-A"
YES = InstrumentId.from_str(f"{TICKER}-YES.KALSHI")
T = 1_790_000_000_000_000_000


@pytest.fixture
def writer():
    return BookWriter(
        BinaryOption(
            instrument_id=YES,
            raw_symbol=Symbol(TICKER),
            asset_class=AssetClass.ALTERNATIVE,
            currency=Currency.from_str("USD"),
            activation_ns=0,
            expiration_ns=T,
            price_precision=4,
            size_precision=2,
            price_increment=Price.from_str("0.0001"),
            size_increment=Quantity.from_str("0.01"),
            ts_event=0,
            ts_init=0,
        )
    )


def levels(writer, at=T):
    return writer.snapshot([(D("0.40"), D(10))], [(D("0.42"), D(5))], 0, at, at)


def test_only_the_release_is_one_and_the_engines_book_is_empty_after_it(writer):
    book = OrderBook(YES, BookType.L2_MBP)
    for news in (levels(writer), writer.level(True, D("0.41"), D(3), 9, T, T)):
        assert not is_release(news)
        book.apply_deltas(news)
    assert not is_release(writer.clear(0, T, T))
    assert book.best_bid_price() is not None
    release = writer.release(T + 1)
    assert is_release(release)
    book.apply_deltas(release)
    assert book.best_bid_price() is None
    assert book.best_ask_price() is None


def test_a_recording_does_not_hold_it(writer):
    kept = []
    actor = Recorder()
    actor.writer, actor._by_native = SimpleNamespace(add=lambda *row: kept.append(row)), {YES: 0}
    actor.on_book_deltas(levels(writer))
    assert len(kept) == 3
    actor.on_book_deltas(writer.release(T + 1))
    assert len(kept) == 3


def test_the_paper_venue_forgets_a_paid_out_book_and_nothing_on_its_way_arrives_by_it(
    writer, tmp_path
):
    port = PaperPort(
        "KALSHI", KalshiFeeBook(), PaperStore(tmp_path / "p.sqlite"), lambda: T, capital=D(100), netted=True
    )  # fmt: skip
    port.on_market(market(TICKER, T + 10**12))
    feed = PaperFeed()
    feed.port = port
    feed.on_book_deltas(levels(writer))
    held = port.exchange.markets[TICKER].book.levels
    feed.on_book_deltas(writer.release(T + 5))
    assert held["bid"], "a market that is not paid out keeps its book"
    port.on_settlement(YES.value, D(1))
    feed.on_book_deltas(writer.release(T + 6))
    assert held == {"bid": {}, "ask": {}}
    assert port._arrivals.last_ns == T


def test_what_strategies_read_of_it_stays_what_it_was_when_it_was_paid_out(writer):
    asked = []
    ref = SimpleNamespace(iid=YES.value, news=None, current=False)
    session = SimpleNamespace(
        moments=Moments(), payouts={YES.value: D(1)}, liquidity=SimpleNamespace(iids=set()),
        references=SimpleNamespace(by_native={YES: ref}), top=asked.append,
    )  # fmt: skip
    feed = LiveFeed(session)
    feed.on_book_deltas(levels(writer))
    assert asked == [ref], "the top is kept while the engine still has it"
    feed.on_book_deltas(writer.release(T + 1))
    assert asked == [ref]
    assert not is_release(ref.news)

"""Books from the recorded stream equal the venue's own, and doubt is never hidden."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kalshi import schemas
from adapters.kalshi.books import BookState, KalshiBook, Sequence
from core.domain.errors import CorruptData

D = Decimal


def snapshot(yes, no):
    return schemas.SnapshotMsg(
        market_ticker="T", yes_dollars_fp=tuple(yes), no_dollars_fp=tuple(no)
    )


def delta(price, change, side="yes"):
    return schemas.DeltaMsg(market_ticker="T", price_dollars=price, delta_fp=change, side=side)


def good_book():
    book = KalshiBook("T")
    book.load(snapshot([("0.3400", "10.00")], [("0.3600", "5.00")]))
    return book


def test_an_increment_adds_and_a_level_at_zero_goes():
    book = good_book()
    assert book.apply(delta("0.3400", "-4.00")) == ("bid", D("0.3400"), D("6.00"))
    book.apply(delta("0.3400", "-6.00"))
    assert book.best_bid is None


def test_the_wrong_price_convention_is_noticed_at_the_snapshot():
    book = KalshiBook("T")
    with pytest.raises(CorruptData):
        book.load(
            snapshot([("0.6000", "10.00")], [("0.3500", "5.00")])
        )  # NO prices on their own scale
    assert book.state is BookState.SUSPECT


@pytest.mark.parametrize(
    "bad",
    [
        delta("0.3400", "-11.00"),
        delta("0.3400", "nan"),
        delta("1.0000", "1.00"),
        delta("0.34", "1", "maybe"),
    ],
)
def test_impossible_increments_make_the_book_suspect(bad):
    book = good_book()
    with pytest.raises(CorruptData):
        book.apply(bad)


@given(st.lists(st.integers(1, 300), min_size=1))
def test_every_gap_and_repeat_is_seen(numbers):
    sequence, expected = Sequence(1), None
    for n in numbers:
        verdict = sequence.accept(n)
        if expected is None or n == expected + 1:
            assert verdict == "next"
        else:
            assert verdict == ("repeat" if n <= expected else "gap")
        expected = n if expected is None or n > expected else expected


def test_the_recorded_stream_replays_without_gap_negative_level_or_cross(shared_fixtures):
    stream = json.loads((shared_fixtures / "kalshi" / "ws_orderbook_stream.json").read_text())
    frames = stream if isinstance(stream, list) else stream["frames"]
    books, sequence = {}, Sequence(1)
    for raw in frames:
        frame = msgspec.json.decode(json.dumps(raw["frame"]), type=schemas.Frame)
        if frame.seq is not None:
            assert sequence.accept(frame.seq) == "next"
        if frame.type == "orderbook_snapshot":
            msg = msgspec.json.decode(frame.msg, type=schemas.SnapshotMsg)
            flipped = tuple((str(1 - D(p)), s) for p, s in msg.no_dollars_fp)
            books[msg.market_ticker] = KalshiBook(msg.market_ticker)
            books[msg.market_ticker].load(snapshot(msg.yes_dollars_fp, flipped))
        elif frame.type == "orderbook_delta":
            msg = msgspec.json.decode(frame.msg, type=schemas.DeltaMsg)
            price = msg.price_dollars if msg.side == "yes" else str(1 - D(msg.price_dollars))
            book = books[msg.market_ticker]
            book.apply(delta(price, msg.delta_fp, msg.side))
            if book.best_bid and book.best_ask:
                assert book.best_bid[0] < book.best_ask[0]
    assert sequence.gaps == 0
    assert len(books) >= 10

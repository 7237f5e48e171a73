"""YES and NO orders map to one signed book and back, and recorded payloads decode."""

import json
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kalshi import schemas
from adapters.kalshi.parsing import from_book, instrument_id, payouts, split_instrument, to_book
from core.domain.errors import MarketError, VenueError
from core.domain.fees import Side

D = Decimal
prices = st.decimals(min_value="0.0001", max_value="0.9999", places=4)


@given(st.sampled_from(["YES", "NO"]), st.sampled_from(list(Side)), prices)
def test_an_order_maps_to_the_book_and_back(outcome, side, price):
    order = to_book(outcome, side, price)
    assert from_book(outcome, order.side, order.price) == (side, price)


@given(st.sampled_from(list(Side)), prices)
def test_buying_no_is_selling_yes_at_the_complement(side, price):
    other = Side.SELL if side is Side.BUY else Side.BUY
    assert to_book("NO", side, price) == to_book("YES", other, 1 - price)


def test_tickers_with_dots_and_dashes_survive():
    ticker = "KXBTCD-26SEP2517-T114999.99"
    assert split_instrument(instrument_id(ticker, "NO")) == (ticker, "NO")


@pytest.mark.parametrize("bad", ["X.KALSHI", "X-YES.POLYMARKET", "-YES.KALSHI", "X-MAYBE.KALSHI"])
def test_other_instruments_are_refused(bad):
    with pytest.raises(MarketError):
        split_instrument(bad)


def test_results_pay_and_unknown_results_do_not():
    assert payouts("yes", None) == (1, 0)
    assert payouts("scalar", D("0.37")) == (D("0.37"), D("0.63"))
    for bad in ("", "void", "scalar"):
        with pytest.raises(VenueError):
            payouts(bad, None)


def test_an_unknown_book_side_is_an_error_not_a_guess():
    with pytest.raises(VenueError):
        from_book("YES", "buy", D("0.5"))


def decode(body, kind):
    return msgspec.convert(json.loads(json.dumps(body)), kind, strict=False)


def test_recorded_payloads_decode(shared_fixtures):
    folder = shared_fixtures / "kalshi"
    market = msgspec.json.decode(
        (folder / "rest_market.json").read_bytes(), type=schemas.MarketEnvelope
    )
    assert market.market.price_ranges
    fills = msgspec.json.decode((folder / "rest_fills.json").read_bytes(), type=schemas.FillsPage)
    assert len(fills.fills) == 33
    settled = msgspec.json.decode(
        (folder / "rest_settlements.json").read_bytes(), type=schemas.SettlementsPage
    )
    assert settled.settlements


def test_every_hand_written_frame_decodes_by_its_type(shared_fixtures):
    kinds = {
        "orderbook_snapshot": schemas.SnapshotMsg,
        "orderbook_delta": schemas.DeltaMsg,
        "trade": schemas.TradeMsg,
        "fill": schemas.FillMsg,
        "user_order": schemas.UserOrderMsg,
        "market_lifecycle_v2": schemas.LifecycleMsg,
        "error": schemas.ErrorMsg,
        "subscribed": schemas.SubscribedMsg,
    }
    frames = json.loads((shared_fixtures / "kalshi" / "synthetic_ws_frames.json").read_text())[
        "frames"
    ]
    seen = set()
    for raw in frames:
        frame = msgspec.json.decode(json.dumps(raw), type=schemas.Frame)
        if frame.type in kinds:
            msgspec.json.decode(frame.msg, type=kinds[frame.type])
            seen.add(frame.type)
    assert {"fill", "user_order", "trade", "market_lifecycle_v2"} <= seen


def test_every_recorded_stream_frame_decodes(shared_fixtures):
    stream = json.loads((shared_fixtures / "kalshi" / "ws_orderbook_stream.json").read_text())
    frames = stream if isinstance(stream, list) else stream["frames"]
    kinds = {"orderbook_snapshot": schemas.SnapshotMsg, "orderbook_delta": schemas.DeltaMsg}
    count = 0
    for raw in frames:
        body = raw if isinstance(raw, dict) and "type" in raw else raw.get("frame", raw)
        frame = msgspec.json.decode(
            body if isinstance(body, str) else json.dumps(body), type=schemas.Frame
        )
        if frame.type in kinds:
            msgspec.json.decode(frame.msg, type=kinds[frame.type])
            count += 1
    assert count > 200

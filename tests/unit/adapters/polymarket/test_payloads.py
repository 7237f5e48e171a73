"""Every recorded payload is read: no word, missing field or old form stops us."""

import json
from decimal import Decimal

import msgspec
import pytest

from adapters.polymarket import schemas
from adapters.polymarket.books import BookState, PolyBook
from adapters.polymarket.order_ids import OrderIds, SentOrder
from adapters.polymarket.orders import status_of
from adapters.polymarket.registry import Registry
from adapters.polymarket.sockets import events_of, market_hello
from adapters.polymarket.trades import TradeState, legs_of, state_of, venue_time_ns
from core.domain.errors import CorruptData
from core.domain.fees import Role, Side
from core.engine.live.port import VenueOrderStatus

D = Decimal
KINDS = {
    "clob/book.json": schemas.BookMsg,
    "clob/order_response_ok.json": schemas.OrderAnswer,
    "clob/order_response_failed.json": schemas.OrderAnswer,
    "clob/order_response_error_500.json": schemas.ErrorMsg,
    "clob/cancel_response_ok.json": schemas.CancelAnswer,
    "clob/cancel_response_failed.json": schemas.CancelAnswer,
    "clob/batch_cancel_response.json": schemas.CancelAnswer,
    "clob/balance_allowance_collateral.json": schemas.BalanceMsg,
    "clob/open_order.json": schemas.OrderMsg,
    "clob/open_orders_page.json": schemas.OrdersPage,
    "clob/trade_report.json": schemas.TradeMsg,
    "clob/trades_page.json": schemas.TradesPage,
    "ws_market/price_change.json": schemas.PriceChangeMsg,
    "ws_market/price_change_old_format.json": schemas.PriceChangeMsg,
    "ws_market/last_trade_price.json": schemas.LastTradeMsg,
    "ws_market/tick_size_change.json": schemas.TickSizeMsg,
    "ws_market/market_resolved.json": schemas.ResolvedMsg,
    "ws_market/new_market.json": schemas.NewMarketMsg,
    "ws_market/best_bid_ask.json": schemas.EventKind,
    "ws_user/order_placement.json": schemas.OrderMsg,
    "ws_user/order_cancellation.json": schemas.OrderMsg,
    "ws_user/order_fok_killed.json": schemas.OrderMsg,
    "ws_user/order_venue_cancel.json": schemas.OrderMsg,
    "ws_user/trade_1.json": schemas.TradeMsg,
    "ws_user/trade_2.json": schemas.TradeMsg,
    "ws_user/trade_3.json": schemas.TradeMsg,
    "ws_user/trade_4.json": schemas.TradeMsg,
}


def read(shared_fixtures, name, kind=None):
    data = (shared_fixtures / "polymarket" / name).read_bytes()
    return msgspec.json.decode(data, type=kind or KINDS[name])


@pytest.mark.parametrize("name", sorted(KINDS))
def test_the_recorded_payload_is_read(shared_fixtures, name):
    assert read(shared_fixtures, name) is not None


def test_every_user_message_says_what_happened_to_our_order(shared_fixtures):
    ends = {
        "order_placement": VenueOrderStatus.WORKING,
        "order_cancellation": VenueOrderStatus.CANCELED,
        "order_fok_killed": VenueOrderStatus.CANCELED,
        "order_venue_cancel": VenueOrderStatus.CANCELED,
    }
    for name, expected in ends.items():
        row = read(shared_fixtures, f"ws_user/{name}.json", schemas.OrderMsg)
        assert status_of(row.status.upper(), row.type, full=False) is expected
        assert schemas.number(row.size_matched, "size") >= 0


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("LIVE", VenueOrderStatus.WORKING),
        ("DELAYED", VenueOrderStatus.WORKING),
        ("UNMATCHED", VenueOrderStatus.WORKING),
        ("MATCHED", VenueOrderStatus.WORKING),
        ("SOMETHING_NEW", VenueOrderStatus.WORKING),
        ("CANCELED_MARKET_RESOLVED", VenueOrderStatus.CANCELED),
        ("CANCELED_NOT_ENOUGH_BALANCE", VenueOrderStatus.CANCELED),
        ("CANCELED_ORDER_TIMED_OUT", VenueOrderStatus.CANCELED),
        ("CANCELED_EXPIRED_ORDER", VenueOrderStatus.EXPIRED),
        ("CANCELED_ANYTHING AT ALL", VenueOrderStatus.CANCELED),
        ("INVALID", VenueOrderStatus.CANCELED),
    ],
)
def test_status_words_are_open(word, status):
    assert status_of(word, "UPDATE", full=False) is status
    assert status_of(word, "UPDATE", full=True) is VenueOrderStatus.FILLED


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("MATCHED", TradeState.PROVISIONAL),
        ("MATCHED_NOT_BROADCASTED", TradeState.PROVISIONAL),
        ("RETRYING", TradeState.PROVISIONAL),
        ("A_NEW_WORD", TradeState.PROVISIONAL),
        ("TRADE_STATUS_MINED", TradeState.MINED),
        ("TRADE_STATUS_CONFIRMED", TradeState.CONFIRMED),
        ("failed", TradeState.FAILED),
    ],
)
def test_trade_words_are_open(word, state):
    assert state_of(word) is state


def test_a_maker_order_on_the_other_token_buys_it_at_its_own_price(shared_fixtures):
    trade = read(shared_fixtures, "ws_user/trade_1.json")
    yes = legs_of(trade, "3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe")
    assert [(x.side, x.price, x.size, x.role) for x in yes] == [
        (Side.SELL, D("0.518"), D(5), Role.MAKER)
    ]
    no = legs_of(trade, "78132bc3-22af-6aa2-79ae-11929f821cae")
    assert [(x.side, x.price, x.size) for x in no] == [(Side.BUY, D("0.482"), D(10))]
    assert no[0].token_id.startswith("48331") and len(no[0].leg_id) <= 36


def test_two_maker_orders_of_ours_in_one_trade_are_two_executions(shared_fixtures):
    trade = read(shared_fixtures, "ws_user/trade_4.json")
    legs = legs_of(trade, "a93a3d32-74fa-dd2b-4b67-98bfa6fc5cb5")
    assert [(x.side, x.price) for x in legs] == [(Side.BUY, D("0.4")), (Side.BUY, D("0.3"))]
    assert len({x.leg_id for x in legs}) == 2
    assert state_of(trade.status) is TradeState.CONFIRMED


def test_a_taker_trade_is_one_execution_for_each_price_it_took(shared_fixtures):
    trade = read(shared_fixtures, "ws_user/trade_2.json")
    legs = legs_of(trade, "3e2c94ca-8124-c4c1-c7ea-be1ea21b71fe")
    assert [(x.side, x.price, x.size, x.role) for x in legs] == [
        (Side.BUY, D("0.52"), D(5), Role.TAKER)
    ]
    stranger = msgspec.structs.replace(
        read(shared_fixtures, "ws_user/trade_1.json"), trader_side="TAKER"
    )
    parts = legs_of(stranger, "nobody", {stranger.taker_order_id})
    assert len(parts) == 6 and sum(x.size for x in parts) == D("1096.87")
    assert {x.price for x in parts} == {D("0.518")}  # the NO maker's 0.482 is 0.518 to a YES buyer
    worse = legs_of(
        msgspec.structs.replace(read(shared_fixtures, "ws_user/trade_4.json"), trader_side="TAKER"),
        "nobody",
    )
    assert [(x.price, x.size) for x in worse] == [(D("0.5"), D(15))]  # parts worse than the limit


@pytest.mark.parametrize(
    ("value", "ns"),
    [
        ("1725868885871", 1_725_868_885_871_000_000),
        (1703875200, 1_703_875_200_000_000_000),
        ("2024-01-01T00:00:00Z", 1_704_067_200_000_000_000),
        ("", 0),
        (None, 0),
        ("soon", 0),
        ("NaN", 0),
        (-5, 0),
    ],
)
def test_times_come_in_many_forms(value, ns):
    assert venue_time_ns(value) == ns


def test_the_recorded_first_frame_is_an_array_and_loads_as_a_book(shared_fixtures):
    frame = (shared_fixtures / "polymarket/ws_market/book.json").read_bytes()
    events = events_of(frame)
    msg = msgspec.json.decode(events[0], type=schemas.BookMsg)
    book = PolyBook(msg.asset_id)
    book.load(msg)
    assert book.state is BookState.GOOD and book.best_bid[0] < book.best_ask[0]


def test_the_recorded_edited_change_crosses_the_book_and_is_not_believed(shared_fixtures):
    msg = read(shared_fixtures, "ws_market/price_change.json")
    book = PolyBook(msg.rows()[0].asset_id)
    level = schemas.Level
    book.load(
        schemas.BookMsg(
            asset_id=book.token,
            bids=(level("0.4", "1"),),
            asks=(level("0.7", "5"),),
            timestamp="1",
        )
    )
    with pytest.raises(CorruptData):
        book.apply(msg.rows(), 2)
    assert book.state is BookState.SUSPECT


def test_every_catalogue_market_is_taken_or_refused_with_a_reason(shared_fixtures):
    registry = Registry()
    seen = 0
    for path in sorted((shared_fixtures / "polymarket/gamma").glob("market_*.json")):
        payload = json.loads(path.read_text())
        for market in payload if isinstance(payload, list) else [payload]:
            registry.take(market)
            seen += 1
    assert seen == len(registry.markets) + len(registry.refused)
    assert registry.markets and all(why for _, why in registry.refused)


def test_a_long_subscription_is_cut_into_frames():
    frames = market_hello([str(i) for i in range(250)])
    assert [len(f["assets_ids"]) for f in frames] == [100, 100, 50]
    assert frames[0]["type"] == "market" and frames[1]["operation"] == "subscribe"
    assert all(f["custom_feature_enabled"] for f in frames)


def test_ids_survive_a_kill_in_the_middle_of_a_line(tmp_path):
    path = tmp_path / "ids.jsonl"
    order = SentOrder("0xa", "O-1", "i", Side.BUY, D("1.5"), D("0.4"), 5)
    with OrderIds(path) as ids:
        ids.write(order)
    path.write_bytes(path.read_bytes() + b'{"order_id":"0xb","cli')
    with OrderIds(path) as ids:
        assert (ids.of_client("O-1"), ids.since(0)) == (order, [order])
        ids.write(SentOrder("0xc", "O-3", "i", Side.SELL, D(2), D("0.5"), 6))
    with OrderIds(path) as ids:
        assert {o.order_id for o in ids.since(0)} == {"0xa", "0xc"}
        assert "0xb" not in ids
    assert path.stat().st_mode & 0o777 == 0o600

"""Spot prices behind windows: which pairs, and how a recording names them."""

from decimal import Decimal

import pytest

from adapters.kalshi.markets import underlying_of
from adapters.kalshi.schemas import SeriesMsg
from core.domain.errors import MissingData, UsageError
from core.engine.live.spot import (
    SpotSource,
    recorded_market,
    recorded_name,
    spot_markets,
    spot_reference,
)
from core.engine.references import PriceSource
from tests.integration.kalshi_session import market


def window(underlying):
    from dataclasses import replace

    return replace(market("KXBTC15M-26NOV21-A", 1), underlying=underlying)


def test_without_a_source_there_is_no_spot():
    assert spot_markets(None, [window("BTC")]) == []


@pytest.mark.parametrize(
    ("venue", "name"), [("KRAKEN", "BTC/USD.KRAKEN"), ("BINANCE", "BTCUSDT.BINANCE")]
)
def test_each_asset_is_followed_once(venue, name):
    (pair,) = spot_markets(SpotSource(venue=venue), [window("BTC"), window("BTC"), window("")])
    assert pair.market_id == name
    assert pair.underlying == "BTC"
    ref = spot_reference(pair)
    assert ref.source is PriceSource.TRADES
    assert ref.native.value == name


def test_markets_about_nothing_known_are_refused_with_a_mend():
    with pytest.raises(MissingData) as error:
        spot_markets(SpotSource(venue="KRAKEN"), [window(""), window("PEPE")])
    assert "--spot off" in error.value.mend
    with pytest.raises(UsageError):
        spot_markets(SpotSource(venue="KALSHI"), [window("BTC")])


def test_a_recording_has_no_slash_in_a_name():
    (pair,) = spot_markets(SpotSource(venue="KRAKEN"), [window("BTC")])
    named = recorded_market(pair)
    assert named.market_id == named.outcomes[0].instrument_id == recorded_name(pair.market_id)
    assert "/" not in named.market_id
    assert named.grid.finest == Decimal("0.01")
    question = window("BTC")
    assert recorded_market(question) is question


@pytest.mark.parametrize(
    ("ticker", "tags", "asset"),
    [
        ("KXBTC15M", None, "BTC"),
        ("KXETHD", [], "ETH"),
        ("KXBTC", ["Crypto"], "BTC"),
        ("SAMPLE15M", ["btc"], "BTC"),
        ("KXHIGHNY", ["Weather"], ""),
        ("KXBTCMAXY", None, ""),
        ("KXBTCVSETH", ["BTC", "ETH"], ""),
    ],
)
def test_a_series_says_which_asset_its_windows_are_about(ticker, tags, asset):
    assert underlying_of(SeriesMsg(ticker=ticker, tags=tags)) == asset

"""A node on stand-ins of Binance and Kraken on loopback: says what it was asked and what arrived."""

import asyncio
import json
import sys
import time

from aiohttp import web

from tests.integration.binance_sbe import exchange_info

BINANCE_FUTURES = {
    "symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
    "onboardDate": 1569398400000, "status": "TRADING", "maintMarginPercent": "2.5000",
    "requiredMarginPercent": "5.0000", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT",
    "pricePrecision": 2, "quantityPrecision": 3, "baseAssetPrecision": 8, "quotePrecision": 8,
    "underlyingType": "COIN", "underlyingSubType": ["PoW"], "triggerProtect": "0.0500",
    "liquidationFee": "0.012500", "marketTakeBound": "0.05", "maxMoveOrderLimit": 10000,
    "filters": [
        {"filterType": "PRICE_FILTER", "maxPrice": "4529764", "minPrice": "556.80", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "maxQty": "1000", "minQty": "0.001", "stepSize": "0.001"},
        {"filterType": "MARKET_LOT_SIZE", "maxQty": "120", "minQty": "0.001", "stepSize": "0.001"},
        {"filterType": "MIN_NOTIONAL", "notional": "100"},
    ],
    "orderTypes": ["LIMIT", "MARKET"], "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
}  # fmt: skip
KRAKEN_SPOT = {
    "altname": "XBTUSD", "wsname": "XBT/USD", "aclass_base": "currency", "base": "XXBT",
    "aclass_quote": "currency", "quote": "ZUSD", "lot": "unit", "cost_decimals": 5, "pair_decimals": 1,
    "lot_decimals": 8, "lot_multiplier": 1, "leverage_buy": [2, 3], "leverage_sell": [2, 3],
    "fees": [[0, 0.4]], "fees_maker": [[0, 0.25]], "fee_volume_currency": "ZUSD", "margin_call": 80,
    "margin_stop": 40, "ordermin": "0.00005", "costmin": "0.5", "tick_size": "0.1", "status": "online",
    "long_position_limit": 250, "short_position_limit": 200,
}  # fmt: skip
KRAKEN_FUTURES = {
    "symbol": "PF_XBTUSD", "type": "flexible_futures", "tickSize": 1, "contractSize": 1, "tradeable": True,
    "impactMidSize": 1, "maxPositionSize": 1000000, "openingDate": "2022-01-01T00:00:00.000Z",
    "marginLevels": [{"contracts": 0, "initialMargin": 0.02, "maintenanceMargin": 0.01}],
    "fundingRateCoefficient": 8, "maxRelativeFundingRate": 0.001, "contractValueTradePrecision": 4,
    "postOnly": False, "feeScheduleUid": "x", "mtf": False, "base": "BTC", "quote": "USD",
    "pair": "BTC:USD", "category": "", "tags": [], "isin": "GB00", "marginSchedules": {},
}  # fmt: skip
INSTRUMENTS = {
    ("BINANCE", "futures"): "BTCUSDT-PERP.BINANCE",
    ("BINANCE", "spot"): "BTCUSDT.BINANCE",
    ("KRAKEN", "spot"): "BTC/USD.KRAKEN",
    ("KRAKEN", "futures"): "PF_XBTUSD.KRAKEN",
}


def say(**values):
    print(json.dumps(values), flush=True)


def answers(product, asked):
    """Return what the venue's socket answers to a subscription."""
    now = int(time.time() * 1000)
    if asked.get("method") == "SUBSCRIBE":
        yield {"result": None, "id": asked.get("id")}
        yield {"e": "bookTicker", "u": 1, "s": "BTCUSDT", "b": "25000.10", "B": "3.5", "a": "25000.20", "A": "4.5", "T": now, "E": now}  # fmt: skip
    elif asked.get("method") == "subscribe" and asked["params"]["channel"] == "ticker":
        yield {"method": "subscribe", "result": {"channel": "ticker", "symbol": "BTC/USD"}, "success": True, "req_id": asked["req_id"]}  # fmt: skip
        yield {
            "channel": "ticker", "type": "snapshot",
            "data": [{
                "symbol": "BTC/USD", "bid": 25000.1, "bid_qty": 3.5, "ask": 25000.2, "ask_qty": 4.5,
                "last": 25000.1, "volume": 1.0, "vwap": 25000.0, "low": 24000.0, "high": 26000.0,
                "change": 1.0, "change_pct": 0.1, "timestamp": "2026-11-21T00:00:00.000000Z",
            }],
        }  # fmt: skip
    elif asked.get("event") == "subscribe":
        yield {"event": "subscribed", "feed": "book", "product_ids": ["PF_XBTUSD"]}
        yield {
            "feed": "book_snapshot", "product_id": "PF_XBTUSD", "timestamp": now, "seq": 1, "tickSize": None,
            "bids": [{"price": 25000, "qty": 3.5}], "asks": [{"price": 25001, "qty": 4.5}],
        }  # fmt: skip


def application(product):
    async def handle(request):
        await request.read()
        say(asked=f"{request.method} {request.path}", sbe=request.headers.get("x-mbx-sbe", ""))
        if request.headers.get("Upgrade", "").lower() == "websocket":
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                say(subscribed=str(message.data))
                for answer in answers(product, json.loads(message.data)):
                    await socket.send_json(answer)
            return socket
        if request.path == "/api/v3/exchangeInfo":
            return web.Response(body=exchange_info(), content_type="application/sbe")
        if request.path.endswith("/exchangeInfo"):
            now = int(time.time() * 1000)
            return web.json_response({"timezone": "UTC", "serverTime": now, "rateLimits": [], "exchangeFilters": [], "futuresType": "U_MARGINED", "assets": [], "symbols": [BINANCE_FUTURES]})  # fmt: skip
        if request.path.endswith("/AssetPairs"):
            return web.json_response({"error": [], "result": {"XXBTZUSD": KRAKEN_SPOT}})
        if request.path.endswith("/instruments"):
            return web.json_response({"result": "success", "serverTime": "2026-11-21T00:00:00.000Z", "instruments": [KRAKEN_FUTURES]})  # fmt: skip
        return web.json_response({"error": [], "result": {}})

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handle)
    return app


async def main(told):
    """Build a node from ``{"venue", "product", "environment", "run_s"}``, run it, say what arrives."""
    from nautilus_trader.common import DataActor, Environment, LoggerConfig, LogLevel
    from nautilus_trader.live import LiveNode
    from nautilus_trader.model import InstrumentId, TraderId

    from core.engine.live.venue import wire_venue

    instrument = InstrumentId.from_str(INSTRUMENTS[(told["venue"], told["product"])])

    class Watch(DataActor):
        def on_start(self):
            say(instruments=[i.id.value for i in self.cache.instruments()])
            self.subscribe_quotes(instrument)

        def on_quote(self, quote):
            say(quote=[str(quote.bid_price), str(quote.ask_price), str(quote.bid_size)])

    runner = web.AppRunner(application(told["product"]))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    builder = (
        LiveNode.builder("beta-trader", TraderId("BETA-001"), Environment.LIVE)
        .with_logging(LoggerConfig(stdout_level=LogLevel.OFF))
        .with_delay_post_stop_secs(1)
    )
    node = wire_venue(
        told["venue"],
        builder,
        {
            "product": told["product"],
            "environment": told["environment"],
            "base_url": f"http://127.0.0.1:{port}",
            "ws_url": f"ws://127.0.0.1:{port}/ws",
        },
    ).build()
    node.add_actor(Watch())
    handle = node.handle()
    run = asyncio.ensure_future(node.run_async())
    await asyncio.wait({run}, timeout=told["run_s"])
    handle.stop()
    await asyncio.wait({run}, timeout=8)
    say(ended=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))

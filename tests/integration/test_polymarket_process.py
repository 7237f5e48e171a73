"""The fake Polymarket as a user starts it: a process that replays a catalog and can be traded against."""

import asyncio
import json
import sys
import time

import aiohttp
import pytest
from pydantic import SecretStr

from adapters.polymarket.live import PolymarketSettings, live_venue
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.fees import Side
from tests.integration.polymarket_stand import KEY, D, News, eventually


@pytest.fixture
def sample(tmp_path):
    from adapters.sample.build import build_sample

    build_sample(tmp_path / "sample")
    return tmp_path / "sample"


@pytest.mark.slow
async def test_the_sample_is_replayed_and_an_order_fills_and_is_confirmed(
    sample, tmp_path, repo_root
):
    from core.engine.catalog import Catalog

    ids = [m.market_id for m in Catalog.open(sample).markets().values() if m.venue == "POLYMARKET"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "adapters.fake.polymarket.process",
        "--catalog",
        str(sample),
        "--markets",
        ",".join(ids[:3]),
        "--speed",
        "2000",
        cwd=repo_root,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        ours = PolymarketSettings.model_fields  # the relayer's address is for `beta tokens`
        urls = {k: v for k, v in told.items() if k.endswith("_url") and k in ours}
        venue = live_venue(
            urls
            | {"conditions": (), "private_key": SecretStr(KEY), "state_dir": tmp_path / "state"}
        )
        markets = await venue.open()
        assert {m.market_id for m in markets} <= set(told["markets"])
        port, news = venue.port({}), News()
        await port.connect(news)
        deadline = time.monotonic() + 60
        filled = False
        number = 0
        while not filled and time.monotonic() < deadline:
            filled = await buy_somewhere(venue, port, markets, number)
            number += 1
            await asyncio.sleep(0.2)
        assert filled
        await eventually(lambda: news.fills and not news.fills[-1].provisional, 60)
        async with aiohttp.ClientSession() as session, session.get(told["truth_url"]) as response:
            truth = await response.json()
        assert truth["executions"] >= 1 and truth["trades"].get("CONFIRMED", 0) >= 1
        await port.disconnect()
        await venue.close()
    finally:
        process.kill()
        await process.wait()


async def buy_somewhere(venue, port, markets, number):
    """Try to buy five dollars at the shown ask of each token; return whether the venue matched one."""
    from core.domain.errors import VenueRefused

    for index, market in enumerate(markets):
        for outcome in market.outcomes:
            try:
                book = await venue.rest.book(outcome.token_id)
            except VenueRefused:
                continue
            if not book.asks:
                continue
            price = D(str(book.asks[-1].price))
            size = (D(5) / price).quantize(D("0.01"))
            order = OrderIntent(
                f"p-{number}-{index}-{outcome.name}",
                "S",
                "POLYMARKET",
                outcome.instrument_id,
                market.market_id,
                "",
                Side.BUY,
                size,
                price,
                TimeInForce.IOC,
                time.time_ns(),
            )
            try:
                answer = await port.submit(order, price)
            except VenueRefused:
                continue
            if answer.filled > 0:
                return True
    return False

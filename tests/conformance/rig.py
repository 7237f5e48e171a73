"""One rig for every venue: the real client, its real port, a venue on loopback (or paper), virtual time."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace

from nautilus_trader.core import UUID4
from nautilus_trader.model import ClientOrderId

from adapters.fake.matrix.compare import compare
from adapters.fake.matrix.engine import STRATEGY, EngineDouble, HarnessClient
from adapters.fake.matrix.script import Trader, quiesce
from adapters.fake.matrix.stand import CAPITAL, Stand
from adapters.fake.matrix.virtual import run_virtual
from core.domain.decision import TimeInForce
from core.domain.fees import Side
from core.engine.live.context import LiveContext
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore

D = Decimal
VENUES = ("KALSHI", "POLYMARKET", "PAPER")
Events = list[str]


def play(tmp_path, venue, script, faults=(), options=None, *, check=None, at_rest=True):
    """Run `script(stand, trader)`, bring everything to rest, compare the three books, return the engine's events.

    `check(stand)` is called after the comparison, with the venue closed. `at_rest` False leaves out rest and
    comparison, for scripts that kill the client.
    """

    async def work(loop):
        stand = Stand(loop, tmp_path, venue, faults, options or {})
        await stand.open()
        trader = Trader(stand)
        await script(stand, trader)
        if not at_rest:
            await stand.close()
            return []
        assert await quiesce(stand)
        stand.client.refresh_cash()
        await asyncio.sleep(1.0)
        await stand.close()
        assert compare(stand, trader).broken == []
        if check is not None:
            check(stand)
        return [e.split(":")[0] for e in stand.engine.events]

    return run_virtual(work)


def one(*args, market=0, **kwargs):
    """Return a script that sends one order."""

    async def script(stand, trader):
        assert await trader.send(stand.markets[market], *args, **kwargs)
        await asyncio.sleep(2.0)

    return script


async def rest(trader, stand, quantity="5", price="0.38", market=0, tif=TimeInForce.GTC, **kwargs):
    """Send a bid that rests, wait for its acceptance, return its id."""
    cid = await trader.send(stand.markets[market], Side.BUY, D(quantity), D(price), tif, **kwargs)
    assert cid is not None
    await asyncio.sleep(1.0)
    return cid


def depth(stand, side, price, contracts, market=0):
    """Leave only `contracts` at one price of the book, and nothing else on that side."""
    book = stand.exchange.markets[stand.markets[market].market_id].book
    for other in list(book.levels[side]):
        if other != price:
            stand.level(stand.markets[market].market_id, side, other, 0)
    stand.level(stand.markets[market].market_id, side, price, int(contracts * 100))


async def send_list(stand, trader, wanted):
    """Send several limit orders as one list; `wanted` holds (side, quantity, price, post_only)."""
    sent, submit = [], stand.client._submit_order

    async def keep(command):
        sent.append(command.order)

    stand.client._submit_order = keep
    try:
        for side, quantity, price, post_only in wanted:
            assert await trader.send(
                stand.markets[0], side, D(quantity), D(price), TimeInForce.GTC, post_only=post_only
            )
    finally:
        stand.client._submit_order = submit
    await stand.client._submit_order_list(SimpleNamespace(order_inits=sent))
    return [o.client_order_id.value for o in sent]


async def cancel_list(stand, ids):
    """Cancel several orders with one command."""
    cancels = [SimpleNamespace(client_order_id=ClientOrderId(i)) for i in ids]
    await stand.client._batch_cancel_orders(SimpleNamespace(cancels=cancels))


async def restart(stand) -> HarnessClient:
    """Open a second client on the same account, as after a kill: nothing is left but venue, ledger and disk."""
    known = {c: o.instrument_id.value for c, o in stand.engine.orders.items()}
    await stand.client._disconnect()
    if isinstance(stand.port, PaperPort):
        stand.port.store.close()
        rules = stand.port.exchange.fee_book
        port = PaperPort(
            "KALSHI", rules, PaperStore(stand.root / "paper.sqlite"), stand.clock.timestamp_ns,
            capital=CAPITAL, netted=True,
        )  # fmt: skip
        for market in stand.markets:
            port.on_market(market)
        stand.exchange = port.exchange
    else:
        port = stand.live.port(known)
        if hasattr(port, "preflight"):
            port.preflight = False
            port.clock = port.executions.clock = stand.clock.timestamp_ns
    engine = EngineDouble(stand.gate, stand.clock.timestamp_ns, stand.markets[0].venue)
    engine.instruments = stand.engine.instruments
    context = LiveContext(
        port=port, gate=stand.gate, ledger=stand.ledger, currency="USD", provider=lambda: None,
        owners=dict.fromkeys(known, STRATEGY.value),
        known_trades=set(stand.engine.trades),
    )  # fmt: skip
    client = HarnessClient(context, engine, stand.clock)
    await client._connect()
    stand.client, stand.port, stand.engine = client, port, engine
    return client


async def reports(client):
    """Return what the engine would be told at a start: (orders, fills, positions)."""
    ask = SimpleNamespace(
        open_only=False, instrument_id=None, venue_order_id=None, command_id=UUID4()
    )
    return (
        await client._generate_order_status_reports(ask),
        await client._generate_fill_reports(ask),
        await client._generate_position_status_reports(ask),
    )


def cash(stand) -> Decimal:
    """Return the venue's own cash."""
    return D(stand.exchange.account.cash) / 1_000_000


async def eventually(check: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait (in virtual seconds) until `check` holds."""
    for _ in range(int(seconds / 0.05)):
        if check():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("did not happen")

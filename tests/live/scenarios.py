"""What contract tests let happen on a real node; each returns facts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import AccountBalance, InstrumentId, OrderSide, Price, Quantity
from nautilus_trader.model import TimeInForce as EngineTif

from adapters.fake.faults import Fault, FaultKind
from core.domain.decision import TimeInForce
from core.engine.currency import money
from core.engine.paper.exchange import FakeOrder
from core.ledger.kinds import RunMode
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from tests.live.rig import Rig, eventually, rig

D = Decimal
POST = {"KALSHI": "POST /trade-api/v2/portfolio/events/orders", "POLYMARKET": "POST /order"}


def rest(r: Rig, market: int, price: str = "0.38", quantity: str = "5") -> str:
    """Rest a bid and return its id."""
    iid = r.venue.instruments[market]
    cid = r.hands.buy(iid, D(quantity), D(price), tif=TimeInForce.GTC, reason="rest")
    assert cid is not None, r.hands.heard
    return cid


async def hung_post(code: str, home: Path) -> dict[str, Any]:
    """A create hangs for seconds; meanwhile another order is cancelled and a third one sent."""
    async with rig(code, home) as r:
        first = rest(r, 0)
        assert await eventually(lambda: r.status(first) == "ACCEPTED"), r.status(first)
        r.venue.fake.faults.faults = (
            Fault(FaultKind.DELAY, match=POST[code], count=1, seconds=3.0),
        )
        before = len(r.posts())
        hung = rest(r, 1)
        await eventually(lambda: len(r.posts()) > before)
        r.hands.cancel(first)
        third = rest(r, 2)
        cancelled = await eventually(lambda: r.status(first) == "CANCELED", 2.5)
        accepted = await eventually(lambda: r.status(third) == "ACCEPTED", 2.5)
        meanwhile = r.status(hung)
        arrived = await eventually(lambda: r.status(hung) == "ACCEPTED", 8)
        return {
            "cancelled": cancelled,
            "third": accepted,
            "meanwhile": meanwhile,
            "arrived": arrived,
            "posts": r.posts()[before:],
            "working": len(r.venue.fake.exchange.working()),
        }


async def nothing(code: str, home: Path) -> dict[str, Any]:
    """Come up and go down."""
    async with rig(code, home) as r:
        await asyncio.sleep(0.5)
        return {"heard": r.hands.heard}


async def traps(code: str, home: Path) -> dict[str, Any]:
    """What `tests.live.bare` does to the engine, done to a node of ours. One market each."""
    facts: dict[str, Any] = {}
    async with rig(code, home, markets=9) as r:
        exchange, faults = r.venue.fake.exchange, r.venue.fake.faults
        silent, filled, closing = rest(r, 0), rest(r, 1), rest(r, 2, "0.37")
        r.hands.buy(r.venue.instruments[2], D(5), D("0.42"), reason="holds")
        await eventually(lambda: r.hands.position(r.venue.instruments[2]) == 5)
        assert await eventually(
            lambda: {r.status(c) for c in (silent, filled, closing)} == {"ACCEPTED"}
        )
        facts |= await _ungated(r)
        # The venue acts and tells nobody: a cancel and a fill that no socket says.
        async with muted(r):
            exchange.cancel(venue_id(r, silent), r.venue.fake.clock(), "operator")
            exchange.trade(r.venue.ids[1], 3800, 2_200, "ask", r.venue.fake.clock())
        facts |= await _unknown(r, faults)
        facts["silent_cancel_found"] = await eventually(lambda: r.status(silent) == "CANCELED", 12)
        facts["silent_fill"] = await eventually(
            lambda: r.order(filled).filled_qty.as_decimal() > 0, 12
        )
        facts["silent_fill_trades"] = [t.value for t in r.order(filled).trade_ids]
        if (
            code == "KALSHI"
        ):  # the news comes after all, and again; Polymarket's trade goes through its states
            for execution in [e for e in exchange.executions if e.order_id == venue_id(r, filled)]:
                r.venue.fake.streams.on_exchange("execution", execution)
                r.venue.fake.streams.on_exchange("execution", execution)
        await asyncio.sleep(1.0)
        facts["silent_fill_quantity"] = str(r.order(filled).filled_qty.as_decimal().normalize())
        facts["venue_filled"] = str(
            (D(exchange.orders[venue_id(r, filled)].filled) / 100).normalize()
        )
        facts |= await _uncertain_polls(r, code)
        facts |= await _settle(r, closing)
        facts |= await _stopped(r)
        facts["executions"] = len(exchange.executions)
        facts["external"] = [
            o.client_order_id.value for o in r.cache.orders() if o.strategy_id.value == "EXTERNAL"
        ]
    kinds = ("order.filled", "order.unknown", "order.absent", "order.denied", "clock.read")
    facts["rows"] = {k: len(r.rows(k)) for k in kinds}
    return facts


@asynccontextmanager
async def muted(r: Rig) -> AsyncIterator[None]:
    """Let the private sockets lose whatever the venue says meanwhile."""
    fake = r.venue.fake
    if r.venue.code == "KALSHI":
        listeners, fake.exchange.listeners[:] = fake.exchange.listeners[:], []
        yield
        fake.exchange.listeners[:] = listeners
        return
    for connection in fake.streams.connections:
        connection.silent_until = float("inf") if connection.private else 0.0
    yield
    await asyncio.sleep(0.1)
    for connection in fake.streams.connections:
        connection.silent_until = 0.0


def venue_id(r: Rig, cid: str) -> str:
    """Return the venue's id of an order."""
    return str(r.order(cid).venue_order_id.value)


async def _ungated(r: Rig) -> dict[str, Any]:
    """Orders that the engine would let pass, and a thread that may not."""
    import threading

    from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity
    from nautilus_trader.model import TimeInForce as EngineTif
    from nautilus_trader.trading import Strategy

    iid, before = r.venue.instruments[3], len(r.posts())
    facts: dict[str, Any] = {
        "price_above_one": r.hands.buy(iid, D(5), D("1.20"), reason="no"),
        "naked_sale": r.hands.sell(iid, D(5), D("0.40"), reason="no"),
    }
    instrument = r.cache.instrument(InstrumentId.from_str(iid))
    order = r.hands.order_factory.limit(
        instrument.id, OrderSide.BUY, Quantity(5, instrument.size_precision),
        Price(0.40, instrument.price_precision), EngineTif.GTC,
    )  # fmt: skip
    Strategy.submit_order(r.hands, order)  # the engine's own method, around the gate
    facts["around_the_gate"] = await eventually(
        lambda: r.status(order.client_order_id.value) == "DENIED", 3
    )
    caught: list[str] = []

    def elsewhere() -> None:
        for act in (lambda: r.hands.buy(iid, D(5), D("0.38")), r.client._assert_thread):
            try:
                act()
            except Exception as exc:
                caught.append(type(exc).__name__)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    facts["other_thread"] = caught
    facts["left_meanwhile"] = [p for p in r.posts()[before:] if "heartbeat" not in p]
    return facts


async def halted(code: str, home: Path) -> dict[str, Any]:
    """A node with a resting order is halted; then its strategy wants another one."""
    async with rig(code, home) as r:
        resting = rest(r, 0)
        assert await eventually(lambda: r.status(resting) == "ACCEPTED"), r.status(resting)
        before = len(r.posts())
        r.node.halt("a test halts")
        refused = r.hands.buy(r.venue.instruments[1], D(5), D("0.39"), tif=TimeInForce.GTC)
        cleared = await eventually(lambda: r.status(resting) == "CANCELED", 5)
        await asyncio.sleep(0.3)
        return {
            "answer": r.status(refused) if refused else "REFUSED",
            "cleared": cleared,
            "working": len(r.venue.fake.exchange.working()),
            "creates": [p for p in r.posts()[before:] if p == POST[code]],
        }


async def _unknown(r: Rig, faults: Any) -> dict[str, Any]:
    """One create whose answer is lost, one that never arrives."""
    create = POST[r.venue.code]
    before = len(r.posts())
    faults.faults = (Fault(FaultKind.DROP_RESPONSE, match=create, count=1),)
    there = rest(r, 4)
    found = await eventually(lambda: r.status(there) == "ACCEPTED", 8)
    faults.faults, faults._seen = (Fault(FaultKind.DROP_REQUEST, match=create, count=1),), {}
    absent = rest(r, 5)
    await asyncio.sleep(0.3)
    meanwhile = r.status(absent)
    proven = await eventually(lambda: r.status(absent) == "REJECTED", 15)
    faults.faults = ()
    return {
        "lost_answer_found": found,
        "absent_meanwhile": meanwhile,
        "absent_proven": proven,
        "creates_sent": len([p for p in r.posts()[before:] if p.startswith(create)]),
    }


async def _uncertain_polls(r: Rig, code: str) -> dict[str, Any]:
    """For more than one interval the venue fails every read of orders, fills and positions."""
    order = rest(r, 6)
    await eventually(lambda: r.status(order) == "ACCEPTED")
    faults = r.venue.fake.faults
    match = "GET /trade-api/v2/portfolio" if code == "KALSHI" else "GET /data/"
    faults.faults, faults._seen = (Fault(FaultKind.HTTP_500, match=match, count=10**6),), {}
    await asyncio.sleep(7.0)
    facts = {"uncertain_polls": len(faults.fired), "order_after_them": r.status(order)}
    faults.faults = ()
    return facts


async def _settle(r: Rig, resting: str) -> dict[str, Any]:
    """The market resolves while an order rests and shares are held."""
    iid, market = r.venue.instruments[2], r.venue.ids[2]
    held = r.hands.position(iid)
    r.venue.fake.exchange.settle(market, 10_000, r.venue.fake.clock())
    gone = await eventually(lambda: r.hands.position(iid) == 0, 15)
    ended = await eventually(lambda: r.status(resting) in ("CANCELED", "EXPIRED"), 8)
    from nautilus_trader.model import InstrumentId

    later = r.hands.buy(iid, D(5), D("0.50"), reason="no")
    facts = {
        "held_at_close": str(held),
        "paid_out": gone,
        "resting_ended": ended,
        "resting_status": r.status(resting),
        "sent_after_close": later,
        "open_positions": len(r.cache.positions_open(None, InstrumentId.from_str(iid))),
        "resolved_kept": iid in r.client.context.resolved,
    }
    return facts


async def _stopped(r: Rig) -> dict[str, Any]:
    """A strategy that was stopped tries to trade."""
    r.hands.stop()
    await asyncio.sleep(0.2)
    before = len([p for p in r.posts() if p.startswith(POST[r.venue.code])])
    try:
        cid = r.hands.buy(r.venue.instruments[7], D(5), D("0.38"), tif=TimeInForce.GTC)
    except Exception as exc:
        cid = type(exc).__name__
    await asyncio.sleep(0.5)
    after = len([p for p in r.posts() if p.startswith(POST[r.venue.code])])
    return {"stopped_answer": cid, "sent_by_a_stopped_strategy": after - before}


async def paper_account(code: str, home: Path) -> dict[str, Any]:
    """Buy on paper, rest an order, end; run again in another process and say what is there."""
    from core.ledger.kinds import RunMode

    async with rig(code, home, mode=RunMode.PAPER) as r:
        iid = r.venue.instruments[0]
        before, found = r.client.port.exchange.account.cash, str(r.hands.position(iid))
        working = len(r.client.port.exchange.working())
        if found == "0":
            r.hands.buy(iid, D(5), D("0.42"), reason="holds")
            assert await eventually(lambda: r.hands.position(iid) == 5)
            rest(r, 1)
            assert await eventually(lambda: len(r.client.port.exchange.working()) == 1)
        return {
            "cash_at_start": before,
            "position_at_start": found,
            "working_at_start": working,
            "cash_at_end": r.client.port.exchange.account.cash,
            "engine_position": [str(p.quantity) for p in r.cache.positions_open()],
        }


async def raising(code: str, home: Path) -> dict[str, Any]:
    """A callback of the strategy raises."""

    def broken(quote: Any) -> None:
        raise ZeroDivisionError("a bug in a strategy")

    try:
        async with rig(code, home) as r:
            type(r.hands).on_quote_hook = staticmethod(broken)
            r.venue.level(r.venue.ids[0], "bid", 4000, 2_100)
            stopped = await eventually(lambda: r.node._stop.is_set(), 10)
    except ZeroDivisionError as exc:
        return {"stopped": stopped, "raised": str(exc)}
    return {"stopped": stopped, "raised": ""}


async def unresolved(code: str, home: Path) -> dict[str, Any]:
    """The node is stopped while the fate of an order is unknown."""
    faults = (
        Fault(FaultKind.DROP_REQUEST, match=POST[code], count=1),
        Fault(FaultKind.HTTP_500, match="GET ", at=0, count=10**6),
    )
    async with rig(code, home) as r:
        r.venue.fake.faults.faults = faults
        order = rest(r, 0)
        assert await eventually(lambda: r.client.unknowns.ids)
        status = r.status(order)
    ended = r.rows("run.ended")
    return {
        "status": status,
        "ended": [e.reason for e in ended],
        "unknown": len(r.rows("order.unknown")),
    }


async def by_hand(code: str, home: Path) -> dict[str, Any]:
    """The account's owner trades on the venue's own page, in markets of a running strategy."""
    async with rig(code, home) as r:
        exchange, clock = r.venue.fake.exchange, r.venue.fake.clock
        taken, rested = r.venue.instruments[:2]

        def order(market: int, price: int, tif: str) -> FakeOrder:
            number = f"0x{market + 1:064x}" if code == "POLYMARKET" else ""
            return FakeOrder(
                number, "", r.venue.ids[market], "bid", "YES", price, 300, tif, False, clock()
            )

        def by_hand_held(iid: str) -> D:
            return r.node.session.gate.position("EXTERNAL", iid)

        exchange.submit(order(0, 4200, "IOC"), clock())
        exchange.submit(order(1, 4100, "GTC"), clock())
        heard = await eventually(lambda: by_hand_held(taken) == 3)
        await asyncio.sleep(6)  # the engine's own check of orders finds the resting one
        exchange.trade(r.venue.ids[1], 4100, 300, "ask", clock())
        heard_too = await eventually(lambda: by_hand_held(rested) == 3)
        await asyncio.sleep(6)
        cid = r.hands.buy(taken, D(5), D("0.42"), reason="goes on")
        goes_on = await eventually(lambda: r.hands.position(taken) == 5, 5)
        await asyncio.sleep(2)  # until the venue has confirmed them
        sold = r.hands.sell(taken, D(5), D("0.40"), reason="and sells what is its own")
        all_sold = await eventually(lambda: r.hands.position(taken) == 0, 5)
        facts = {
            "heard": heard, "heard_too": heard_too, "goes_on": goes_on and cid is not None,
            "sold": all_sold and sold is not None, "executions": len(exchange.executions),
            "cash_right": await eventually(
                lambda: r.hands.cash() == D(exchange.account.cash) / 1_000_000, 8
            ),
            "cash": [str(r.hands.cash()), str(D(exchange.account.cash) / 1_000_000)],
        }  # fmt: skip
    rows = r.rows("order.filled")
    return facts | {
        "rows": len(rows),
        "owners": sorted({row.strategy_id for row in rows}),
    }


def purchases(r: Any, wanted: list[tuple[int, str, bool]]) -> list[Any]:
    """Return orders for five shares each: (number of the market, price, post-only)."""
    make, ids = r.hands.order_factory.limit, r.venue.instruments
    return [
        make(InstrumentId.from_str(ids[market]), OrderSide.BUY, Quantity.from_str("5.00"),
             Price.from_str(price), EngineTif.GTC, post_only=post_only)
        for market, price, post_only in wanted
    ]  # fmt: skip


async def lists(code: str, home: Path) -> dict[str, Any]:
    """A strategy sends a list: two markets, one order that the gate refuses, one that the venue refuses."""
    async with rig(code, home) as r:
        before = len(r.posts())
        wanted = [(0, "0.38", False), (0, "0.37", False), (1, "0.36", False)]
        wanted += [(2, "0.42", True), (2, "1.50", False)]
        orders = purchases(r, wanted)
        r.hands.submit_order_list(orders)
        working = await eventually(lambda: len(r.venue.fake.exchange.working()) == 3)
        names = [o.client_order_id.value for o in orders]
        await eventually(lambda: r.status(names[3]) == "REJECTED")
        return {
            "working": working,
            "posts": [p for p in r.posts()[before:] if "heartbeat" not in p],
            "statuses": [r.status(n) for n in names[:4]],
            "refused": [what for kind, what in r.hands.heard if kind == "refused"],
            "intents": len(r.rows("order.intent")),
        }


async def grid(code: str, home: Path) -> dict[str, Any]:
    """A market goes from tenths of a cent to whole cents while three orders rest, two of them between the cents."""
    async with rig(code, home, limits="research") as r:
        fake, ticker, iid = r.venue.fake, r.venue.ids[0], r.venue.instruments[0]

        def refusals() -> list[str]:
            found = [what for kind, what in r.hands.heard if kind == "refused"]
            r.hands.heard.clear()
            return found

        def grids() -> list[Any]:
            return [row for row in r.rows("state") if row.machine == "grid"]

        def at_venue(cid: str) -> FakeOrder:
            return next(o for o in fake.exchange.orders.values() if o.client_order_id == cid)

        fake.streams.grid_changed(ticker, 10)
        await eventually(lambda: len(grids()) == 1)
        changed, fills, stays = (rest(r, 0, p) for p in ("0.385", "0.386", "0.37"))
        rested = await eventually(
            lambda: {r.status(c) for c in (changed, fills, stays)} == {"ACCEPTED"}
        )
        fake.streams.grid_changed(ticker, 100)
        told = await eventually(lambda: len(grids()) == 2)
        works = sorted(o.price for o in fake.exchange.working())
        refused = r.hands.buy(iid, D(1), D("0.384"), tif=TimeInForce.GTC, reason="off the grid")
        codes = refusals()
        r.hands.modify_order(changed, Quantity.from_str("3.00"))
        smaller = await eventually(lambda: at_venue(changed).quantity == 300)
        # a second change waits for the answer to the first
        await eventually(lambda: r.node.gate.book.orders[changed].quantity == 3 * 10**9)
        await eventually(lambda: r.status(changed) == "ACCEPTED")
        r.hands.modify_order(changed, None, Price.from_str("0.3840"))
        codes += refusals()
        await asyncio.sleep(0.3)
        r.hands.modify_order(changed, None, Price.from_str("0.3600"))
        moved = await eventually(lambda: at_venue(changed).price == 3_600)
        await eventually(lambda: r.status(changed) == "ACCEPTED")
        r.venue.level(ticker, "ask", 3_800, 500)
        filled = await eventually(lambda: r.status(fills) == "FILLED")
        await eventually(lambda: r.rows("order.filled"))
        for cid in (changed, stays):
            r.hands.cancel(cid)
        cancelled = await eventually(
            lambda: {r.status(c) for c in (changed, stays)} == {"CANCELED"}
        )
        return {
            "rested": rested, "told": told, "works": works, "refused": refused, "codes": codes,
            "smaller": smaller, "moved": moved, "filled": filled, "cancelled": cancelled,
            "fills": [str(f.price) for f in r.rows("order.filled")],
            "rows": [f"{row.before}->{row.after}: {row.reason.split(':')[0]}" for row in grids()],
            "halted": r.node.trouble(), "left": len(fake.exchange.working()),
        }  # fmt: skip


async def paper_lists(code: str, home: Path) -> dict[str, Any]:
    """A list on paper: two markets, one order that takes, one that would cross post-only, one that the gate refuses."""
    async with rig(code, home, mode=RunMode.PAPER) as r:
        before = len(r.posts())
        ids = r.venue.instruments
        wanted = [(0, "0.38", False), (0, "0.37", False), (1, "0.42", False)]
        wanted += [(2, "0.42", True), (2, "1.50", False)]
        orders = purchases(r, wanted)
        names = [o.client_order_id.value for o in orders]
        r.hands.submit_order_list(orders)
        ends = ["ACCEPTED", "ACCEPTED", "FILLED", "REJECTED"]
        answered = await eventually(lambda: [r.status(n) for n in names[:4]] == ends)
        intents = r.rows("order.intent")
        await eventually(lambda: r.rows("order.filled"))
        r.hands.cancel_all(ids[0])
        cancelled = await eventually(lambda: {r.status(n) for n in names[:2]} == {"CANCELED"})
        return {
            "answered": answered, "statuses": [r.status(n) for n in names[:4]],
            "cancelled": cancelled, "held": str(r.hands.position(ids[1])),
            "refused": [what for kind, what in r.hands.heard if kind == "refused"],
            "intents": [i.client_order_id for i in intents] == names[:4],
            "posts": [p for p in r.posts()[before:] if "orders" in p or p.endswith("/order")],
            "fills": len(r.rows("order.filled")),
        }  # fmt: skip


async def engine_denies(code: str, home: Path) -> dict[str, Any]:
    """The engine's account is empty and the gate's is not: the engine refuses what the gate has approved."""
    async with rig(code, home) as r:
        zero = money(D(0), r.client.context.currency)
        r.client.generate_account_state(
            [AccountBalance(zero, zero, zero)], [], True, r.client.clock.timestamp_ns()
        )
        before = len(r.posts())
        cid = rest(r, 0)
        denied = await eventually(lambda: r.status(cid) == "DENIED")
        await eventually(lambda: r.rows("order.denied"))
        reader = LedgerReader(r.home / "ledger")
        rows = list(reader.rows(Selection(kinds=("order.*",))))
        return {
            "denied": denied, "names": [row.name for row in rows], "begun": bool(r.client.early),
            "linked": [rows[0].seq] == list(rows[-1].parent_seqs),
            "posts": [p for p in r.posts()[before:] if "orders" in p or p.endswith("/order")],
            "held": sum(1 for _ in r.node.gate.book.orders),
        }  # fmt: skip

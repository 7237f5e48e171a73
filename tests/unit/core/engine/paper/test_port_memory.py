"""The paper account keeps what is old in its file only, and answers as if it were in memory."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.kalshi.fees import KalshiFeeBook
from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import VenueRefused
from core.domain.fees import Side
from core.engine.live.port import VenueFill, VenueOrder
from core.engine.paper.port import FORGET_EVERY_NS, KEPT_NS, PaperPort
from core.engine.paper.store import PaperStore
from tests.integration.kalshi_session import market

D = Decimal
T = 1_790_000_000_000_000_000
MARKET = market("KXTEST-26NOV21-A", T + 10**18)
YES = MARKET.outcomes[0].instrument_id


class Clock:
    """A clock that is set."""

    now = T

    def __call__(self) -> int:
        """Return the time."""
        return self.now


def opened(path: Path, clock: Clock) -> PaperPort:
    """The account in a file, with a market whose book has ten thousand shares a side."""
    port = PaperPort(
        "KALSHI", KalshiFeeBook(), PaperStore(path), clock, capital=D(1000), netted=True
    )
    port.on_market(MARKET)
    levels = [(True, D("0.40"), D(10_000)), (False, D("0.42"), D(10_000))]
    port.on_levels(YES, True, levels, ts_ns=clock())
    return port


def send(port: PaperPort, number: int, price: str, tif: TimeInForce) -> VenueOrder:
    """Let an order arrive now."""
    now = port.clock()
    intent = OrderIntent(
        f"O-{number}", "Churn-001", "KALSHI", YES, MARKET.market_id, MARKET.event_id, Side.BUY, D(1), D(price), tif, now,
    )  # fmt: skip
    return port._submit(intent, D(price), now)


def traded(port: PaperPort, clock: Clock) -> list[VenueOrder]:
    """Ten orders a minute apart: taken, cancelled, and two that rest."""
    out = []
    for number in range(10):
        takes = number % 2 == 0
        tif = TimeInForce.IOC if takes else TimeInForce.GTC
        order = send(port, number, "0.42" if takes else "0.37", tif)
        if not takes and number < 6:
            port._cancel(order.venue_order_id, clock())
        out.append(order)
        clock.now += 60 * 10**9
    return out


async def told(port: PaperPort) -> tuple[list[VenueOrder], list[VenueFill], object, object]:
    """Everything that the venue says of an account."""
    orders = await port.orders(working_only=False, since_ns=0)
    fills = await port.fills(0)
    by_id = sorted(orders, key=lambda o: o.venue_order_id)
    return by_id, fills, await port.positions(), await port.cash()


async def test_what_is_old_is_asked_of_the_file_and_nothing_is_told_differently(
    tmp_path: Path,
) -> None:
    clock = Clock()
    port = opened(tmp_path / "p.sqlite", clock)
    orders = traded(port, clock)
    before, one = await told(port), await port.fills(0, orders[2].venue_order_id)
    assert len(before[0]) == 10 and len(before[1]) == 5 and len(one) == 1
    clock.now = T + KEPT_NS + FORGET_EVERY_NS + 5 * 60 * 10**9
    port.forget_old(clock())
    held = port.exchange
    assert {o.client_order_id for o in held.orders.values()} == {"O-7", "O-8", "O-9", "O-6"}
    assert len(held.executions) == 2 and not held.journal
    assert await told(port) == before
    assert await port.fills(0, orders[2].venue_order_id) == one
    for number in range(10):
        found = await port.find(f"O-{number}", YES, 0)
        assert found is not None and found.venue_order_id == orders[number].venue_order_id
    assert await port.find("O-none", YES, 0) is None
    for number in (0, 9):
        with pytest.raises(VenueRefused, match="already used"):
            send(port, number, "0.42", TimeInForce.IOC)
    port.store.close()


async def test_a_restarted_account_goes_on_with_what_it_had(tmp_path: Path) -> None:
    clock = Clock()
    port = opened(tmp_path / "p.sqlite", clock)
    traded(port, clock)
    clock.now = T + KEPT_NS + FORGET_EVERY_NS + 5 * 60 * 10**9
    port.forget_old(clock())
    send(port, 10, "0.42", TimeInForce.IOC)
    port._save()
    before = await told(port)
    assert len(before[1]) == 6
    port.store.close()
    again = opened(tmp_path / "p.sqlite", clock)
    assert set(again.exchange.markets[MARKET.market_id].book.resting) == {
        o.order_id for o in again.exchange.working()
    }
    assert await told(again) == before
    again.forget_old(clock())
    send(again, 11, "0.42", TimeInForce.IOC)
    assert [seq for seq, _ in again.store.executions()] == list(range(7))
    assert await told(again) != before
    again.store.close()


async def test_an_account_that_traded_a_market_which_is_not_followed_now_tells_of_the_others(
    tmp_path: Path,
) -> None:
    clock = Clock()
    port = opened(tmp_path / "p.sqlite", clock)
    send(port, 0, "0.42", TimeInForce.IOC)
    sold = OrderIntent(
        "O-1", "Churn-001", "KALSHI", YES, MARKET.market_id, MARKET.event_id, Side.SELL, D(1), D("0.40"), TimeInForce.IOC, clock(),
    )  # fmt: skip
    port._submit(sold, D("0.40"), clock())
    before = await told(port)
    assert (len(before[0]), len(before[1]), before[2]) == (2, 2, [])
    port.store.close()
    other = PaperPort(
        "KALSHI", KalshiFeeBook(), PaperStore(tmp_path / "p.sqlite"), clock, capital=D(1), netted=True,
    )  # fmt: skip
    other.on_market(market("KXTEST-26NOV21-B", T + 10**18))
    assert (await told(other))[:3] == ([], [], [])
    other.on_market(MARKET)
    assert await told(other) == before
    other.store.close()


async def test_a_minute_passes_between_two_looks_for_what_is_old(tmp_path: Path) -> None:
    clock = Clock()
    port = opened(tmp_path / "p.sqlite", clock)
    send(port, 0, "0.42", TimeInForce.IOC)
    clock.now += KEPT_NS + FORGET_EVERY_NS // 2
    port._since_ns = clock() - KEPT_NS - FORGET_EVERY_NS // 2
    port.forget_old(clock())
    assert len(port.exchange.orders) == 1
    port.store.close()


async def test_a_refused_order_has_the_moment_it_arrived_at(tmp_path: Path) -> None:
    clock = Clock()
    port = opened(tmp_path / "paper.sqlite", clock)
    with pytest.raises(VenueRefused) as refused:
        send(port, 1, "0.41", TimeInForce.FOK)
    assert refused.value.code == "fok_unfilled"
    assert refused.value.venue_ns == T


async def test_a_stop_cancels_after_the_news_that_was_received_before_it(tmp_path: Path) -> None:
    """A trade that was received before the cancel and is handled after it fills the order first, as in a replay."""
    clock = Clock()
    port = opened(tmp_path / "paper.sqlite", clock)
    order = send(port, 1, "0.41", TimeInForce.GTC)
    clock.now = T + 1_000_000
    cancelling = asyncio.ensure_future(port.cancel_everything())
    await asyncio.sleep(0)
    port.on_trade(YES, D("0.41"), D("0.50"), False, ts_ns=T + 900_000)
    port.on_trade(YES, D("0.41"), D("0.50"), False, ts_ns=T + 1_100_000)
    assert await cancelling == []
    found = await port.find("O-1", YES, 0)
    assert found is not None
    assert (found.venue_order_id, found.filled) == (order.venue_order_id, D("0.50"))
    assert found.ts_last_ns == T + 1_000_000

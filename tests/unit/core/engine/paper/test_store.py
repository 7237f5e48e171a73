"""What the paper venue has said is on disk: a process that dies right after it pays a market has paid it."""

import dataclasses
from decimal import Decimal

import pytest

from core.domain.decision import OrderIntent, TimeInForce
from core.domain.errors import LedgerWriteError
from core.domain.fees import Side
from core.engine.paper.port import PaperPort
from core.engine.paper.store import PaperStore
from core.engine.venues import load_venue
from tests.unit.core.engine.paper.test_oracle import CAPITAL, T0, VENUES, market_of

D = Decimal
each_venue = pytest.mark.parametrize("venue", sorted(VENUES))


def opened(folder, venue):
    rules = load_venue(venue)
    port = PaperPort(
        venue, rules.fee_book(), PaperStore(folder / "paper.sqlite"), lambda: T0,
        capital=CAPITAL, netted=rules.nets_outcomes, latency_s=0.0,
    )  # fmt: skip
    port.on_market(dataclasses.replace(market_of(venue, 1)))
    return port


def dies(port):
    """The process is gone: nobody has told the port to write anything more."""
    port.store.close()


async def bought(folder, venue):
    market_id, yes, _ = VENUES[venue]
    port = opened(folder, venue)
    port.on_levels(yes, True, [(True, D("0.39"), D(50)), (False, D("0.40"), D(50))])
    intent = OrderIntent(
        client_order_id="O-1", strategy_id="S-001", venue=venue, instrument_id=yes, market_id=market_id,
        event_id="E", side=Side.BUY, quantity=D(10), price=D("0.40"), tif=TimeInForce.IOC, ts_ns=T0,
    )  # fmt: skip
    await port.submit(intent, D("0.40"))
    (held,) = await port.positions()
    assert held.quantity == 10
    return port


@each_venue
@pytest.mark.parametrize(("payout", "paid"), [(D(1), 10), (D("0.5"), 5), (D(0), 0)])
async def test_a_payout_outlives_a_process_that_dies_right_after_it(tmp_path, venue, payout, paid):
    port = await bought(tmp_path, venue)
    before = (await port.cash()).total
    port.on_settlement(VENUES[venue][1], payout)
    dies(port)
    for _ in range(2):  # and no later start pays again
        port = opened(tmp_path, venue)
        assert (await port.cash()).total == before + paid
        assert await port.positions() == []
        port.on_settlement(VENUES[venue][1], payout)
        dies(port)


@each_venue
async def test_an_account_that_was_told_of_a_result_and_never_paid_is_paid_at_the_next_start(
    tmp_path, venue
):
    port = await bought(tmp_path, venue)
    before = (await port.cash()).total
    port.store.db.execute("INSERT INTO settled VALUES (?, 10000, 0, 0)", (VENUES[venue][0],))
    dies(port)
    for _ in range(2):
        port = opened(tmp_path, venue)
        assert (await port.cash()).total == before + 10 and await port.positions() == []
        dies(port)


@each_venue
async def test_a_disk_that_refuses_a_payout_stops_the_paper_venue(tmp_path, venue):
    port = await bought(tmp_path, venue)
    port.store.db.pragma("query_only", True)
    with pytest.raises(LedgerWriteError, match="paper account cannot be written"):
        port.on_settlement(VENUES[venue][1], D(1))
    dies(port)

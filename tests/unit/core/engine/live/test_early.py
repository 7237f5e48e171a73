"""Intent and signature begin while the engine has the order: what leaves, and when, is as before."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.decision import TimeInForce
from core.domain.errors import LedgerWriteError
from core.domain.fees import Side
from core.engine.live.control import RiskWatch
from core.ledger.kinds import OrderDenied, OrderIntended
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk import headroom
from core.risk.units import attos_down
from tests.conformance.rig import VENUES, play
from tests.live import rig
from tests.unit.core.risk.test_headroom import judged

D = Decimal
each_venue = pytest.mark.parametrize("venue", VENUES)


def rows_of(stand) -> list:
    rows = LedgerReader(stand.root / "ledger").rows(Selection(kinds=("order.*",)))
    return [(row, row.decoded()) for row in rows]


async def approved(stand, trader):
    """Begin an order as a strategy does; return what the engine still has to hand to the client."""
    kept, submit = [], stand.client._submit_order

    async def keep(command) -> None:
        kept.append(command)

    stand.client._submit_order = keep
    await trader.send(stand.markets[0], Side.BUY, D(5), D("0.38"), TimeInForce.GTC)
    stand.client._submit_order = submit
    assert stand.client.early
    return kept[0]


@each_venue
def test_an_order_waits_for_the_row_that_was_begun_before_the_engine_had_it(
    tmp_path: Path, venue: str
) -> None:
    async def script(stand, trader) -> None:
        answers, write = [], stand.ledger.begin_durable

        def slow(payload, **where):
            seq, _ = write(payload, **where)
            answers.append(asyncio.get_running_loop().create_future())
            return seq, answers[-1]

        stand.ledger.begin_durable = slow
        command = await approved(stand, trader)
        assert len(answers) == 1, "the row is on its way"
        await stand.client._submit_order(command)
        await asyncio.sleep(1.0)
        assert not stand.exchange.orders, "nothing leaves without it"
        stand.ledger.begin_durable = write
        answers[0].set_result(None)
        await asyncio.sleep(2.0)
        assert len(stand.exchange.orders) == 1 and not stand.client.early

    def once(stand) -> None:
        assert [type(p) for _, p in rows_of(stand)].count(OrderIntended) == 1

    play(tmp_path, venue, script, check=once)


@each_venue
def test_what_is_halted_after_the_intent_is_denied_and_never_leaves(
    tmp_path: Path, venue: str
) -> None:
    async def script(stand, trader) -> None:
        command = await approved(stand, trader)
        stand.halted = "an operator"
        await stand.client._submit_order(command)
        await asyncio.sleep(1.0)
        assert not stand.exchange.orders and not stand.client.early
        stand.halted = ""

    def denied(stand) -> None:
        (intent, first), (_, second) = rows_of(stand)
        assert isinstance(first, OrderIntended) and isinstance(second, OrderDenied)
        assert list(rows_of(stand)[1][0].parent_seqs) == [intent.seq]

    play(tmp_path, venue, script, check=denied)


@each_venue
def test_nothing_is_begun_while_nothing_may_leave(tmp_path: Path, venue: str) -> None:
    async def script(stand, trader) -> None:
        stand.halted = "an operator"
        await trader.send(stand.markets[0], Side.BUY, D(5), D("0.38"), TimeInForce.GTC)
        await asyncio.sleep(1.0)
        stand.halted = ""

    def no_intent(stand) -> None:
        assert [type(p) for _, p in rows_of(stand)] == [OrderDenied]

    play(tmp_path, venue, script, check=no_intent)


@each_venue
def test_a_row_that_the_disk_refused_before_the_client_had_the_order_stops_it(
    tmp_path: Path, venue: str
) -> None:
    async def script(stand, trader) -> None:
        def refuse(payload, **where):
            raise LedgerWriteError("the ledger takes no rows", "test", "")

        write, stand.ledger.begin_durable = stand.ledger.begin_durable, refuse
        command = await approved(stand, trader)
        stand.ledger.begin_durable = write
        await stand.client._submit_order(command)
        await asyncio.sleep(1.0)
        assert not stand.exchange.orders
        assert "ledger" in stand.halted

    play(tmp_path, venue, script)


@each_venue
def test_what_was_begun_for_other_terms_is_not_used(tmp_path: Path, venue: str) -> None:
    async def script(stand, trader) -> None:
        await approved(stand, trader)
        ((cid, intent),) = trader.intents.items()
        begun = stand.client.early._begun[cid]
        other = stand.client.early.take(intent, D("0.37"))
        assert other.writing is not begun.writing and other.send is not begun.send

    play(tmp_path, venue, script, at_rest=False)


def test_the_row_of_an_intent_has_the_id_that_the_venue_will_know_it_by(tmp_path: Path) -> None:
    async def script(stand, trader) -> None:
        command = await approved(stand, trader)
        (begun,) = [p for _, p in rows_of(stand) if isinstance(p, OrderIntended)]
        assert begun.venue_order_id and not stand.exchange.orders, "on disk before anything left"
        await stand.client._submit_order(command)
        await asyncio.sleep(2.0)
        assert stand.client.venue_orders[begun.client_order_id].venue_order_id == (
            begun.venue_order_id
        )

    play(tmp_path, "POLYMARKET", script)


@each_venue
def test_with_its_row_on_disk_an_order_begins_to_leave_in_the_handler_itself(
    tmp_path: Path, venue: str
) -> None:
    async def script(stand, trader) -> None:
        command = await approved(stand, trader)
        ((_, begun),) = stand.client.early._begun.items()
        asked = []

        async def send():
            asked.append(command)
            return await begun.send()

        stand.client.early._begun[begun.intent.client_order_id] = begun._replace(send=send)
        await stand.client._submit_order(command)
        assert asked == [command], "no turn of the loop later, and no answer is waited for"
        await asyncio.sleep(2.0)
        assert len(stand.exchange.orders) == 1 and not stand.client.in_flight

    play(tmp_path, venue, script)


@pytest.mark.parametrize("venue", ["KALSHI", "POLYMARKET"])
def test_an_order_that_the_engine_refuses_after_its_intent_ends_in_the_ledger(
    tmp_path: Path, venue: str
) -> None:
    facts = rig.play("tests.live.scenarios:engine_denies", venue, tmp_path)
    assert facts["exit"] == 0, facts["stderr"]
    assert facts["denied"] and facts["posts"] == []
    assert facts["names"] == ["order.intent", "order.denied"] and facts["linked"]
    assert not facts["begun"] and facts["held"] == 0


def test_the_numbers_beside_the_risk_file_wait_for_an_order_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    monkeypatch.setattr(headroom, "keep", lambda *args: kept.append(1))

    async def script(stand, trader) -> None:
        watch = RiskWatch(
            stand.gate, tmp_path, stand.ledger, stand.sweep, lambda: None, busy=lambda: True
        )
        watch.look()  # the tick
        watch.look()
        assert not kept
        watch._ticked -= 0.6
        watch.look()
        assert kept == [1]

    play(tmp_path / "stand", "PAPER", script)


def test_a_node_that_starts_again_goes_on_from_what_was_lost_today(tmp_path: Path) -> None:
    now = time.time_ns()
    headroom.keep(tmp_path, judged(now, "0.35").gate, now)

    async def script(stand, trader) -> None:
        RiskWatch(stand.gate, tmp_path, stand.ledger, stand.sweep, lambda: None)
        lost = {name: used for name, used, _ in stand.gate.governor.losses(0)}
        assert lost["governors.daily_loss"] == lost["governors.drawdown"] == attos_down(D(5))

    play(tmp_path / "stand", "PAPER", script)


def test_a_command_that_the_disk_keeps_out_of_the_ledger_is_said(tmp_path: Path) -> None:
    async def script(stand, trader) -> None:
        def refuse() -> None:
            raise OSError(28, "No space left on device")

        said: list[str] = []
        watch = RiskWatch(
            stand.gate, tmp_path, stand.ledger, stand.sweep, lambda: None,
            say=lambda event, **values: said.append(event),
        )  # fmt: skip
        watch.file.read = refuse  # type: ignore[method-assign, assignment]
        watch._record()
        assert watch._recording is not None
        await watch._recording
        assert said == ["risk.command_not_recorded"]

    play(tmp_path / "stand", "PAPER", script)

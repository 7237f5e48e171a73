"""The collector against a venue of calls with its own truth: each pair once, whatever the venue answers."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.domain.errors import BetaError, GateClosed, VenueUncertain
from core.engine.journal import Causes
from core.engine.live.collectable import MERGE, REDEEM, CallState, TokenCall, Winner
from core.engine.live.collector import Collector
from core.engine.live.conversions import Conversion
from core.engine.live.merged_away import Behind
from core.engine.live.passage import Passage
from core.ledger import DurableLedger
from core.ledger.kinds import Fault, PositionsMerged
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.states import TradingState
from tests.unit.core.ledger import rows_for_tests as make
from tests.unit.core.risk.world import PNO, PYES, D, Desk, world

T0 = make.T0


class Calls:
    """A venue that carries calls out when told to, and keeps its own record."""

    def __init__(self) -> None:
        self.smallest, self.most = D(1), D(50)
        self.trading = lambda: TradingState.RUNNING
        self.kept: dict[str, TokenCall] = {}
        self.asked: list[tuple[str, Decimal]] = []
        self.answer: Any = CallState.DONE
        self.later: CallState | None = None
        self.waiting: list[Winner] = []
        self.cached = False

    def calls(self) -> list[TokenCall]:
        return list(self.kept.values())

    async def resolve(self) -> list[TokenCall]:
        open_calls = [c for c in self.kept.values() if c.state is CallState.OPEN]
        if self.later is None:
            return open_calls
        return [
            self._keep(c.action, c.market_id, c.quantity, self.later, c.call_id) for c in open_calls
        ]

    def _keep(
        self, action: str, market: str, quantity: Decimal, state: CallState, cid: str = ""
    ) -> TokenCall:
        cid = cid or f"call-{len(self.kept)}"
        self.kept[cid] = TokenCall(cid, action, market, quantity, state, "why", there=False)
        return self.kept[cid]

    async def merge(self, market_id: str, quantity: Decimal) -> TokenCall:
        self.asked.append((market_id, quantity))
        same = [c for c in self.kept.values() if c.state is CallState.OPEN]
        if isinstance(self.answer, VenueUncertain) and not same:
            self._keep(MERGE, market_id, quantity, CallState.OPEN)
        if isinstance(self.answer, BetaError):
            raise self.answer
        return self._keep(MERGE, market_id, quantity, self.answer, same[0].call_id if same else "")

    async def winners(self) -> list[Winner]:
        return self.waiting

    async def redeem(self, winner: Winner) -> TokenCall:
        self.asked.append((REDEEM, winner.quantity))
        self.waiting = self.waiting if self.cached else []
        return self._keep(REDEEM, winner.market_id, winner.quantity, CallState.DONE)


class Stand:
    """Gate, ledger and collector of ten pairs."""

    def __init__(
        self, folder: Path, calls: Calls, every_s: float = 0.001, behind: Behind | None = None
    ) -> None:
        self.desk = Desk(world())
        self.gate = self.desk.gate
        self.desk.hold(PYES, "12")
        self.desk.hold(PNO, "10")
        self.calls, self.folder, self.reason = calls, folder, ""
        self.ledger = DurableLedger(folder)
        self.ledger.begin_run(make.started(), ts_event=T0)
        self.context = SimpleNamespace(
            gate=self.gate, ledger=self.ledger, causes=Causes(), currency="USD", passage=Passage(),
            halted=lambda: self.reason, reached=lambda name: None,
        )  # fmt: skip
        client = SimpleNamespace(
            context=self.context, gate=self.gate, port=SimpleNamespace(venue="POLYMARKET"),
            clock=SimpleNamespace(timestamp_ns=lambda: T0), refresh_cash=lambda: None,
        )  # fmt: skip
        self.collector = Collector(client, calls, every_s, behind or Behind())  # type: ignore[arg-type]

    async def look(self, times: int = 1) -> None:
        for _ in range(times):
            await self.collector.step()
            await asyncio.sleep(0.02)

    def rows(self) -> list[Any]:
        self.ledger.flush()
        kinds = ("position.merged", "fault")
        return [r.decoded() for r in LedgerReader(self.folder).rows(Selection(kinds=kinds))]

    @property
    def books(self) -> tuple[Decimal, Decimal, Decimal]:
        return (
            self.gate.cash("POLYMARKET"),
            self.gate.position("S1", PYES),
            self.gate.position("S1", PNO),
        )


@pytest.fixture
def stand(tmp_path: Path) -> Any:
    made = Stand(tmp_path, Calls())
    yield made
    made.ledger.close()


async def test_pairs_become_dollars_in_gate_and_ledger_once(stand: Stand) -> None:
    await stand.look(3)
    assert stand.calls.asked == [("P1", D(10))]
    assert stand.books == (110, 2, 0)
    (row,) = stand.rows()
    assert isinstance(row, PositionsMerged)
    assert (row.strategy_id, row.quantity, row.proceeds) == ("S1", 10, 10)
    assert stand.gate.sellable("S1", PYES) == 2
    passage = stand.context.passage
    assert passage.more(PYES, T0) == 10 and passage.fewer(PYES) == 0
    assert passage.dollars_late(T0 + 61 * 10**9) == 0


async def test_a_call_takes_at_most_its_cap_and_the_next_one_the_rest(stand: Stand) -> None:
    stand.calls.most = D(7)
    await stand.look(2)
    assert stand.calls.asked == [("P1", D(7)), ("P1", D(3))]
    assert stand.books == (110, 2, 0)


async def test_an_unanswered_call_keeps_its_promise_and_is_asked_for_again_not_repeated(
    stand: Stand,
) -> None:
    stand.calls.answer = VenueUncertain("nobody knows", "c", "beta tokens resolve")
    await stand.look()
    assert stand.books == (100, 12, 10)
    assert stand.gate.sellable("S1", PNO) == 0
    assert stand.context.passage.fewer(PNO) == 10
    stand.calls.answer = CallState.DONE
    await stand.look(2)
    assert stand.calls.asked == [("P1", D(10))] * 2
    assert len(stand.calls.kept) == 1, "the second time it is the same call"
    assert stand.books == (110, 2, 0)
    assert [type(r) for r in stand.rows()] == [Fault, PositionsMerged]


@pytest.mark.parametrize(
    ("later", "books"), [(CallState.DONE, (110, 2, 0)), (CallState.NOT_DONE, (110, 2, 0))]
)
async def test_a_call_that_ends_while_it_is_looked_up_is_booked_or_given_back(
    stand: Stand, later: CallState, books: tuple[int, ...]
) -> None:
    stand.calls.answer = CallState.OPEN
    await stand.look()
    assert stand.books == (100, 12, 10)
    stand.calls.answer, stand.calls.later = CallState.DONE, later
    await stand.look(3)
    assert stand.books == books
    assert len(stand.calls.kept) == (1 if later is CallState.DONE else 2)


async def test_a_refusal_leaves_everything_as_it_was_says_what_mends_it_and_waits_longer(
    tmp_path: Path,
) -> None:
    calls = Calls()
    calls.answer = GateClosed("above the cap of 24 hours", 210, "the cap is 200: --collect-day-cap")
    made = Stand(tmp_path, calls, every_s=60.0)
    await made.look(5)
    assert calls.asked == [("P1", D(10))]
    (row,) = made.rows()
    assert isinstance(row, Fault)
    assert (row.where, row.error) == ("collect", "above the cap of 24 hours")
    assert "--collect-day-cap" in row.detail
    assert made.books == (100, 12, 10)
    assert made.gate.sellable("S1", PNO) == 10
    made.ledger.close()


async def test_nothing_leaves_while_halted_and_everything_while_only_sales_pass(
    stand: Stand,
) -> None:
    stand.reason = "stopped"
    await stand.look()
    assert stand.calls.asked == [] and stand.calls.trading() is TradingState.HALTED
    stand.reason = ""
    stand.gate.on_hold("operator", TradingState.REDUCE_ONLY, "test", T0)
    assert stand.calls.trading() is TradingState.REDUCE_ONLY
    await stand.look()
    assert stand.books == (110, 2, 0)


async def test_pairs_paid_out_before_the_call_is_heard_are_not_booked_twice(stand: Stand) -> None:
    stand.calls.answer = CallState.OPEN
    await stand.look()
    for iid, payout in ((PYES, D(1)), (PNO, D(0))):
        stand.gate.on_settlement(iid, payout, T0)
    stand.calls.later = CallState.DONE
    await stand.look(2)
    assert stand.books == (112, 0, 0)
    assert stand.rows() == []


async def test_a_winner_of_this_run_is_in_the_gate_already_and_one_of_before_comes_in(
    tmp_path: Path,
) -> None:
    old = "P0-YES.POLYMARKET"
    stand = Stand(tmp_path, Calls(), behind=Behind(paid=frozenset({old})))
    stand.calls.waiting = [Winner("P0", old, D(6), D(6))]
    await stand.look()
    assert stand.gate.cash("POLYMARKET") == 100 + 10 + 6
    assert stand.context.passage.dollars_late(T0) == 16
    stand.desk.hold(PYES, "3", strategy="S2")
    stand.gate.on_settlement(PYES, D(1), T0)
    cash = stand.gate.cash("POLYMARKET")
    stand.calls.waiting = [Winner("P1", PYES, D(5), D(5))]
    await stand.look()
    assert stand.gate.cash("POLYMARKET") == cash
    assert stand.collector.redeemed == 2
    stand.ledger.close()


async def test_a_winner_that_a_cached_balance_still_shows_is_redeemed_and_counted_once(
    tmp_path: Path,
) -> None:
    old = "P0-YES.POLYMARKET"
    stand = Stand(tmp_path, Calls(), behind=Behind(paid=frozenset({old})))
    stand.calls.most, stand.calls.cached = D(0), True
    stand.calls.waiting = [Winner("P0", old, D(6), D(6))]
    await stand.look(3)
    assert stand.calls.asked == [(REDEEM, D(6))]
    stand.collector._failures.clear()  # the minute is over
    await stand.look()
    assert stand.calls.asked == [(REDEEM, D(6))] * 2, "shares that came later are not left there"
    assert stand.gate.cash("POLYMARKET") == 106, "what the account has more, the audit finds"
    stand.ledger.close()


async def test_a_record_of_calls_that_cannot_be_read_is_a_row_and_read_again(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable() -> list[TokenCall]:
        raise OSError("the disk is away")

    with monkeypatch.context() as patch:
        stand.calls.answer = VenueUncertain("nobody knows", "c", "beta tokens resolve")
        patch.setattr(stand.calls, "calls", unreadable)
        running = asyncio.create_task(stand.collector.run())
        while not stand.rows():
            await asyncio.sleep(0.01)
    assert not running.done()
    stand.calls.answer = CallState.DONE
    while stand.books != (110, 2, 0):
        assert not running.done()
        await asyncio.sleep(0.01)
    running.cancel()


async def test_a_winner_that_the_gate_still_holds_waits_for_its_payout(stand: Stand) -> None:
    stand.calls.most = D(0)
    stand.calls.waiting = [Winner("P1", PYES, D(12), D(12))]
    await stand.look()
    assert stand.calls.asked == []
    stand.gate.on_settlement(PYES, D(1), T0)
    await stand.look()
    assert stand.calls.asked == [(REDEEM, D(12))]


async def test_an_open_call_of_the_owners_is_waited_for_and_never_taken_for_ours(
    stand: Stand,
) -> None:
    calls = stand.calls
    calls.answer = GateClosed("an earlier merge is not resolved", "c", "beta tokens resolve")
    calls._keep(MERGE, "P1", D(3), CallState.OPEN)
    await stand.look()
    assert stand.gate.sellable("S1", PNO) == 10, "nothing of ours has left: nothing stays promised"
    await stand.look(3)
    assert calls.asked == [("P1", D(10))], "what the owner has sent is not sent again by the node"
    calls.later, calls.answer = CallState.DONE, CallState.DONE
    await stand.look()
    assert stand.books[0] == 110, "the owner's three are the audit's to find; ours are ours"
    assert stand.rows()[-1].quantity == 10


async def test_pairs_the_ledger_has_beyond_the_account_are_no_excuse_for_a_call_of_this_run(
    tmp_path: Path,
) -> None:
    made = Stand(tmp_path, Calls(), behind=Behind(pairs={"P1": D(10)}))
    await made.look()
    assert made.books == (110, 2, 0)
    made.ledger.close()


async def test_an_inherited_call_that_the_account_knew_of_at_the_start_is_a_row_and_no_more(
    tmp_path: Path,
) -> None:
    calls = Calls()
    call = calls._keep(MERGE, "P1", D(4), CallState.OPEN)
    made = Stand(tmp_path, calls, behind=Behind([call], {"P1": D(4)}))
    calls.most = D(0)
    pairs = Conversion("P1", (PNO, PYES), D(4))
    made.context.passage.begin(made.gate, pairs, call.call_id)
    calls.later = CallState.DONE
    await made.look()
    assert made.books == (100, 12, 10)
    (row,) = made.rows()
    assert (row.quantity, row.strategy_id) == (4, "S1")
    assert made.gate.sellable("S1", PNO) == 10
    made.ledger.close()

"""The fault matrix: seeded runs against fake venues leave no difference; planted bugs are caught."""

import asyncio
import json

import pytest

from adapters.fake.matrix.cases import CASES
from adapters.fake.matrix.run import plan_runs, run_matrix, run_one
from console.cli.faults import app
from core.domain.errors import UsageError
from core.engine.live.client import VenueClient
from core.engine.live.unknowns import UnknownOrders


@pytest.mark.parametrize("fault", sorted(CASES))
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_after_the_fault_the_three_books_are_equal(fault, seed):
    run = run_one(fault, seed)
    assert not run.broken, run.command


@pytest.mark.parametrize("fault", ["F1", "F8", "F12"])
def test_a_run_repeats_to_the_last_row(fault):
    first, again = run_one(fault, 21), run_one(fault, 21)
    assert first.digest
    assert first.digest == again.digest


def test_the_faults_really_happen():
    fired = {
        f: sum(run_one(f, s).fired for s in range(1, 7)) for f in ("F2", "F4", "F6", "F8", "F9")
    }
    assert all(fired.values()), fired


def test_runs_are_shared_out_and_every_fault_gets_one():
    work = plan_runs(list(CASES), 200, 5)
    assert {f for f, _ in work} == set(CASES)
    assert 190 <= len(work) <= 215
    assert min(s for _, s in work) == 5


def test_an_unknown_fault_names_the_known_ones():
    with pytest.raises(UsageError, match="F8"):
        run_one("F99", 1)


def test_between_two_lives_nobody_looks_at_the_connections():
    run = run_one("F15", 59)  # a socket ends between its lives: a row there would halt the next
    assert not run.broken, run.broken


def caught(faults, seeds=range(1, 25)):
    return any(run_one(f, s).broken for f in faults for s in seeds)


class TestPlantedBugs:
    """Each removes one protection; the matrix has to notice."""

    def test_fills_booked_as_often_as_they_are_heard(self, monkeypatch):
        real = VenueClient.on_fill

        def forgetful(self, fill):
            self.seen.pop(fill.trade_id, None)
            real(self, fill)

        monkeypatch.setattr(VenueClient, "on_fill", forgetful)
        assert caught(["F4"])

    def test_an_unanswered_order_taken_for_rejected(self, monkeypatch):
        async def hasty(self, intent, why):
            self._client.gate.on_done(intent.client_order_id)
            order = self._client.cache.order
            from nautilus_trader.model import ClientOrderId

            self._client._reject(order(ClientOrderId(intent.client_order_id)), why)

        monkeypatch.setattr(UnknownOrders, "add", hasty)
        assert caught(["F8"])

    def test_an_unanswered_order_given_up_after_one_look(self, monkeypatch):
        async def never(self, intent):
            return None

        monkeypatch.setattr(UnknownOrders, "_chase", never)
        assert caught(["F9"])

    def test_orders_ended_before_their_fills_are_delivered(self, monkeypatch):
        async def skip(self, order, cid):
            return None

        monkeypatch.setattr(VenueClient, "deliver_fills_of", skip)
        assert caught(["F2", "F1"])

    def test_no_catching_up_after_a_lost_link(self, monkeypatch):
        async def nothing(self):
            return None

        async def deaf(self, order, cid):
            return None

        monkeypatch.setattr(VenueClient, "_catch_up", nothing)
        monkeypatch.setattr(VenueClient, "deliver_fills_of", deaf)
        assert caught(["F1"])

    def test_orders_that_leave_although_trading_is_halted(self, monkeypatch):
        from core.engine.live.context import LiveContext

        monkeypatch.setattr(LiveContext, "check_mode", lambda self, now: None)
        assert caught(["HALT"])

    def test_orders_sent_without_an_intent_on_disk(self, monkeypatch):
        from core.engine.live.journal import OrderJournal

        def no_row(self, intent):
            written = asyncio.get_running_loop().create_future()
            written.set_result(None)
            return written

        monkeypatch.setattr(OrderJournal, "intended", no_row)
        assert caught(["F2"], range(1, 3))

    def test_an_order_sent_twice(self, monkeypatch):
        from adapters.kalshi.port import KalshiPort

        real = KalshiPort.submit

        async def twice(self, intent, price, signed=None):
            from copy import replace

            await real(self, replace(intent, client_order_id=intent.client_order_id + "x"), price)
            return await real(self, intent, price)

        monkeypatch.setattr(KalshiPort, "submit", twice)
        assert caught(["F2"], range(2, 5))


def test_the_command_prints_json_and_repeats_one_seed():
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["run", "--fault", "F8", "--seed", "7", "--json"])
    assert done.exit_code == 0, done.output
    body = json.loads(done.stdout)
    assert (body["runs"], body["failed"]) == (1, 0)
    named = CliRunner().invoke(app, ["list"])
    assert "F12" in named.stdout


def test_finished_runs_are_not_run_again(tmp_path, monkeypatch):
    from adapters.fake.matrix import run

    work, journal = plan_runs(["F2"], 3, 1), tmp_path / "runs.jsonl"
    first = run_matrix(work, journal=journal)
    with journal.open("a") as file:
        file.write('{"fault": "F2", "se')  # torn by a kill
    monkeypatch.setattr(run, "run_one", None)
    again = run_matrix(work, journal=journal)
    assert (again.runs, again.orders, again.failed) == (first.runs, first.orders, 0)


def test_several_processes_count_the_same_runs():
    work = plan_runs(["F2"], 4, 1)
    report = run_matrix(work, processes=2)
    assert (report.runs, report.failed) == (4, 0)


class TestPlantedBugsOfARestart:
    """What a life forgets of the one before."""

    def test_fills_older_than_the_usual_look_back(self, monkeypatch):
        from core.engine.live.memory import LedgerMemory

        monkeypatch.setattr(LedgerMemory, "resume_ns", 0)
        assert caught(["F15"])

    def test_orders_without_an_end(self, monkeypatch):
        from core.engine.live.leftovers import Leftovers

        async def nothing(self):
            return None

        monkeypatch.setattr(Leftovers, "run", nothing)
        assert caught(["F15"])

    def test_fills_that_are_rows_already(self, monkeypatch):
        from core.engine.live.reports import ReportHooks

        def again(self, fill, cid):
            self._client().journal.filled(fill, cid, "Matrix-001")

        monkeypatch.setattr(ReportHooks, "_write_recovered", again)
        assert caught(["F15"])


def test_without_rows_for_ends_that_only_a_check_finds_the_matrix_notices(monkeypatch):
    async def fills_only(self, order, cid):
        await self.deliver_fills_of(order, cid)

    monkeypatch.setattr(VenueClient, "take_report", fills_only)
    broken = [text for s in range(52, 60) for i, text in run_one("F1", s).broken if i == "I1"]
    assert any("whether it still works" in text for text in broken)


class TestPlantedBugsOfAHalt:
    def test_working_orders_left_on_the_book(self, monkeypatch):
        from core.engine.live.sweep import Sweep

        monkeypatch.setattr(Sweep, "start", lambda self, reason, *, kill_switch: None)
        assert caught(["HALT", "F16"])

    def test_a_secret_in_a_row(self, monkeypatch):
        from adapters.fake.matrix.stand import API_SECRET
        from core.engine.live.journal import OrderJournal

        real = OrderJournal.rejected
        monkeypatch.setattr(
            OrderJournal,
            "rejected",
            lambda self, cid, why, *at: real(self, cid, why + API_SECRET, *at),
        )
        broken = [b for s in range(1, 20) for b in run_one("F26", s).broken]
        assert any(invariant == "I7" for invariant, _ in broken)

    def test_a_fill_that_costs_more_than_was_reserved(self, monkeypatch):
        from core.risk.bounds import Bounds

        monkeypatch.setattr(Bounds, "cash_bound", lambda self, rules, price, quantity, now: 0)
        broken = [b for s in range(1, 8, 2) for b in run_one("F26", s).broken]
        assert any(invariant == "I5" for invariant, _ in broken)


class TestPlantedBugsOfAFeed:
    def test_changes_that_overtake_each_other(self, monkeypatch):
        from adapters.polymarket.audit import BookAudit

        async def never(self):
            return None

        monkeypatch.setattr(BookAudit, "run", never)
        assert caught(["F2", "F3"])


class TestOrdersForDollars:
    def test_a_buy_that_gets_more_shares_for_its_dollars_loses_no_fill(self):
        run = run_one("F6", 321)
        assert not run.broken, run.command
        assert run.venue == "POLYMARKET"
        assert run.executions > 2, "trading went on after it"

    def test_without_room_for_the_surplus_the_matrix_notices(self, monkeypatch):
        from core.engine.live.sizes import Sizes

        monkeypatch.setattr(Sizes, "make_room", lambda self, order, fill: True)
        assert caught(["F6"], [321])

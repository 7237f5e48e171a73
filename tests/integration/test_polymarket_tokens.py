"""Calls on tokens sent to the fake relayer: exact, once, and known to the ledger whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from adapters.connection import venue_session
from adapters.fake.faults import Fault, FaultKind, FaultSchedule
from adapters.fake.polymarket.relayer import CONFIRMED, FAILED, UnredeemedAccount
from adapters.fake.polymarket.server import FakePolymarket
from adapters.fake.polymarket.wire import FakeInfo
from adapters.polymarket.catalogue import Catalogue
from adapters.polymarket.positions import Action, Caps
from adapters.polymarket.registry import Registry
from adapters.polymarket.relayer.client import Relayer
from adapters.polymarket.relayer.funds import Funds
from adapters.polymarket.relayer.service import Pace, TokenCalls, ended_by_owner
from adapters.polymarket.rest import ClobRest
from adapters.polymarket.signing import ApiKey, Wallet
from core.domain.errors import (
    BetaError,
    GateClosed,
    HaltedError,
    UsageError,
    VenueError,
    VenueUncertain,
)
from core.domain.faultpoints import listen
from core.ledger import DurableLedger
from core.ledger.kinds import CallOutcome
from core.ledger.reader import LedgerReader
from core.risk.states import TradingState
from tests.integration.polymarket_stand import (
    C1,
    C2,
    KEY,
    NO1,
    SECRET,
    eventually,
    exchange,
    infos,
)

D = Decimal
FUNDER = "0x" + "f1" * 20
RELAYER_KEY = "relayer-key-canary-0190b317"
C3 = "0x" + "c3" * 32
MICRO = 1_000_000


class Killed(BaseException):
    """The process has gone."""


class Desk:
    """One fake, one wallet, one ledger folder; `calls()` is what a fresh process would build."""

    def __init__(self, tmp_path, fake, server, session, kind):
        self.folder, self.fake, self.session = tmp_path / "ledger", fake, session
        self.folder.mkdir(exist_ok=True)
        DurableLedger(self.folder).close()
        self.url = str(server.make_url("/")).rstrip("/")
        self.wallet = Wallet.from_key(SecretStr(KEY), kind, FUNDER)
        self.key = ApiKey(SecretStr("fake-key"), SecretStr(SECRET), SecretStr("pass"))
        self.trading = TradingState.RUNNING
        self.lines = []

    def calls(self, ledger, **changes):
        relayer = Relayer(
            self.session, self.url, self.wallet, SecretStr(RELAYER_KEY), timeout_s=10.0
        )
        options = {"caps": Caps(), "pace": Pace(0.4, 20.0, 0.02), "actor": "tester"} | changes
        rest = ClobRest(self.session, self.url, self.wallet, self.key)
        reader = LedgerReader(self.folder)
        return TokenCalls(
            ledger, reader, relayer, Funds(rest), lambda: self.trading, tell=self.lines.append, **options
        )  # fmt: skip

    async def send(self, action, condition=C1, amount="10", outcome=0, **changes):
        with DurableLedger(self.folder) as ledger:
            market = await self.market(condition)
            return await self.calls(ledger, **changes).send(action, market, D(amount), outcome)

    async def resolve(self, **changes):
        with DurableLedger(self.folder) as ledger:
            return await self.calls(ledger, **changes).resolve()

    async def market(self, condition):
        registry = Registry()
        for payload in await Catalogue(self.session, self.url).by_condition([condition]):
            registry.take(payload)
        return registry.markets[condition]

    @property
    def truth(self):
        """Dollars and shares of the first market, in millionths."""
        relayer = self.fake.relayer
        return (
            self.fake.exchange.account.cash,
            relayer.shares(C1, "YES"),
            relayer.shares(C1, "NO"),
        )

    def rows(self):
        return [r for r in LedgerReader(self.folder).rows() if r.name.startswith("tokens.")]

    def names(self):
        return [r.name.removeprefix("tokens.") for r in self.rows()]

    def release(self):
        """Let the chain, which stood still, go on."""
        self.fake.relayer.step_s = 0.02
        for one in self.fake.relayer.transactions:
            one.due_ns = 0

    @property
    def submits(self):
        return sum(1 for _, what in self.fake.requests if what == "POST /submit")


@asynccontextmanager
async def desk(tmp_path, *faults, kind=3, kept=False):
    ex = exchange()
    if kept:
        ex.account = UnredeemedAccount(ex.account.cash)
    ex.account.held |= {(C1, "YES"): 3_000, (C1, "NO"): 2_000, (C2, "YES"): 500, (C2, "NO"): 500}
    known = infos() | {C3: FakeInfo(C3, ("31", "32"), "Three?", "three", neg_risk=True)}
    ex.markets[C3] = ex.markets[C1].__class__(C3, ex.markets[C1].fees, ex.markets[C1].close_ns)
    fake = FakePolymarket(ex, known, secret=SECRET, faults=FaultSchedule(faults))
    fake.relayer.key = RELAYER_KEY
    server = TestServer(fake.app())
    await server.start_server()
    session = venue_session()
    try:
        yield Desk(tmp_path, fake, server, session, kind)
    finally:
        listen(None)
        await session.close()
        await server.close()


def lost(kind=FaultKind.DROP_RESPONSE, at=0, count=1):
    return Fault(kind, at=at, count=count, match="POST /submit")


# -- what happens when all goes well ----------------------------------------------------------
@pytest.mark.parametrize("kind", [1, 2, 3])
async def test_a_merge_and_a_split_move_both_outcomes_and_dollars_to_the_millionth(tmp_path, kind):
    async with desk(tmp_path, kind=kind) as d:
        cash, yes, no = d.truth
        done = await d.send(Action.MERGE, amount="3.000001")
        assert (done.status, done.intent.nonce, done.intent.wallet_kind) == (
            "confirmed",
            0,
            {1: "PROXY", 2: "SAFE", 3: "WALLET"}[kind],
        )
        assert d.truth == (cash + 3_000_001, yes - 3_000_001, no - 3_000_001)
        done = await d.send(Action.SPLIT, amount="1.5")
        assert (done.status, done.intent.nonce) == ("confirmed", 1)
        assert d.truth == (cash + 1_500_001, yes - 1_500_001, no - 1_500_001)


@pytest.mark.parametrize("condition", [C2, C3])
async def test_version_2_and_neg_risk_markets_go_through_their_own_contracts(tmp_path, condition):
    async with desk(tmp_path) as d:
        done = await d.send(Action.SPLIT, condition, "2")
        assert done.status == "confirmed"
        before = 5 * MICRO if condition == C2 else 0
        assert d.fake.relayer.shares(condition, "YES") == before + 2 * MICRO


async def test_a_resolved_market_is_redeemed_whole_or_by_outcome(tmp_path):
    async with desk(tmp_path, kept=True) as d:
        with pytest.raises(GateClosed, match="not been resolved"):
            await d.send(Action.REDEEM, amount="0")
        with pytest.raises(UsageError, match="everything"):
            await d.send(Action.REDEEM, amount="5")
        cash = d.truth[0]
        d.fake.exchange.settle(C1, 10_000, 0)
        done = await d.send(Action.REDEEM, amount="0")
        assert (done.status, done.intent.amount) == ("confirmed", D(30))
        assert d.truth == (cash + 30 * MICRO, 0, 0)
        with pytest.raises(GateClosed, match="no shares"):
            await d.send(Action.REDEEM, amount="0")


async def test_rows_name_the_rows_they_came_from(tmp_path):
    async with desk(tmp_path) as d:
        await d.send(Action.MERGE)
        rows = {r.seq: r for r in LedgerReader(d.folder).rows()}
        assert d.names()[0] == "intended"
        assert d.names()[-1] == "ended"
        assert "submitted" in d.names()
        for row in d.rows():
            assert row.parent_seqs
            assert all(p < row.seq for p in row.parent_seqs)
        first = d.rows()[0]
        assert rows[first.parent_seqs[0]].name == "operator.command"
        end = d.rows()[-1].decoded()
        assert (end.outcome, end.transaction_hash[:2]) == (CallOutcome.CONFIRMED, "0x")


# -- what is refused before anything leaves -----------------------------------------------------
@pytest.mark.parametrize(
    ("action", "amount", "changes", "words"),
    [
        (Action.MERGE, "51", {}, "cap of one call"),
        (Action.MERGE, "20.000001", {}, "does not cover"),
        (Action.SPLIT, "100.000001", {"caps": Caps(D(500), D(500))}, "does not cover"),
        (Action.MERGE, "1", {"caps": Caps(D(5), D("0.5"))}, "24 hours"),
    ],
)
async def test_caps_and_balance_hold_before_anything_leaves(
    tmp_path, action, amount, changes, words
):
    async with desk(tmp_path) as d:
        before = d.truth
        with pytest.raises(GateClosed, match=words):
            await d.send(action, amount=amount, **changes)
        assert (d.truth, d.submits, d.rows()) == (before, 0, [])


async def test_the_cap_of_a_day_counts_calls_of_earlier_processes(tmp_path):
    async with desk(tmp_path) as d:
        caps = Caps(D(10), D(15))
        await d.send(Action.MERGE, amount="10", caps=caps)
        with pytest.raises(GateClosed, match="24 hours"):
            await d.send(Action.MERGE, amount="6", caps=caps)
        assert (await d.send(Action.MERGE, amount="5", caps=caps)).status == "confirmed"


@pytest.mark.parametrize("state", [TradingState.HALTED, TradingState.LIQUIDATING])
async def test_nothing_leaves_while_trading_is_halted(tmp_path, state):
    async with desk(tmp_path) as d:
        d.trading = state
        with pytest.raises(HaltedError):
            await d.send(Action.MERGE)
        assert d.submits == 0


async def test_while_only_sales_pass_pairs_may_be_merged_but_not_made(tmp_path):
    async with desk(tmp_path) as d:
        d.trading = TradingState.REDUCE_ONLY
        with pytest.raises(HaltedError):
            await d.send(Action.SPLIT)
        assert (await d.send(Action.MERGE)).status == "confirmed"


async def test_a_halt_between_intent_and_send_keeps_the_bytes_here(tmp_path):
    async with desk(tmp_path) as d:

        def halt(name):
            if name == "tokens.intended":
                d.trading = TradingState.HALTED

        listen(halt)
        done = await d.send(Action.MERGE)
        assert (done.status, d.submits) == ("refused", 0)


async def test_shares_that_resting_sales_promise_are_not_merged(tmp_path):
    async with desk(tmp_path) as d:
        market = await d.market(C1)
        funds = d.calls(None).funds

        async def resting(**params):
            from adapters.polymarket import schemas

            return [
                schemas.OrderMsg(
                    id="1", asset_id=NO1, side="SELL", original_size="15", size_matched="1", price="0.6"
                )
            ]  # fmt: skip

        funds.rest.orders = resting
        with pytest.raises(GateClosed, match="does not cover"):
            await funds.demand(Action.MERGE, market, D("6.01"), 0)
        assert await funds.demand(Action.MERGE, market, D(6), 0) == 6


async def test_a_conversion_a_plain_key_and_a_wallet_that_is_not_there_are_not_sent(tmp_path):
    async with desk(tmp_path) as d:
        d.fake.relayer.undeployed.add(d.wallet.funder.lower())
        with pytest.raises(GateClosed, match="not on this chain"):
            await d.send(Action.MERGE)
        with pytest.raises(UsageError):
            await d.send(Action.CONVERT)
        d.wallet = Wallet.from_key(SecretStr(KEY))
        with pytest.raises(BetaError, match="plain key"):
            await d.send(Action.MERGE)
        assert d.submits == 0


# -- lost answers, faults, kills ----------------------------------------------------------------
@pytest.mark.parametrize("kind", [1, 2, 3])
async def test_a_lost_answer_is_found_in_the_list_and_never_sent_again(tmp_path, kind):
    async with desk(tmp_path, lost(), kind=kind) as d:
        cash, *_ = d.truth
        done = await d.send(Action.MERGE)
        assert (done.status, d.submits, d.truth[0]) == ("confirmed", 1, cash + 10 * MICRO)
        assert d.names()[:3] == ["intended", "unknown", "submitted"]
        assert d.rows()[2].decoded().found


async def test_an_answer_without_an_id_or_a_server_error_is_looked_up_too(tmp_path):
    async with desk(tmp_path) as d:
        d.fake.tamper = lambda what, body: b'{"state": "STATE_NEW"}' if "submit" in what else body
        assert (await d.send(Action.MERGE)).status == "confirmed"
        assert d.submits == 1


@pytest.mark.parametrize("status", [408, 409, 425, 500, 504])
async def test_a_gateway_that_says_no_to_a_call_that_was_taken_is_not_believed(tmp_path, status):
    async with desk(tmp_path) as d:
        cash, *_ = d.truth
        d.fake.relayer.answer_status = status
        assert (await d.send(Action.MERGE)).status == "confirmed"
        assert (d.submits, d.truth[0]) == (1, cash + 10 * MICRO)


async def test_a_call_that_the_list_shows_late_stays_unknown_until_it_does(tmp_path):
    async with desk(tmp_path, lost()) as d:
        cash, *_ = d.truth
        d.fake.relayer.list_late_s = 3600
        with pytest.raises(VenueUncertain):
            await d.send(Action.MERGE)
        with pytest.raises(GateClosed, match="not resolved"):
            await d.send(Action.MERGE, amount="1")
        (open_call,) = await d.resolve()
        assert open_call.status == "unknown"
        d.fake.relayer.list_late_s = 0
        (done,) = await d.resolve()
        assert (done.status, d.submits, d.truth[0]) == ("confirmed", 1, cash + 10 * MICRO)
        assert (await d.send(Action.MERGE, amount="1")).status == "confirmed"


@pytest.mark.parametrize("kind", [2, 3])
async def test_a_request_that_never_arrived_is_repeated_only_when_asked_for_and_under_its_nonce(
    tmp_path, kind
):
    async with desk(tmp_path, lost(FaultKind.DROP_REQUEST), kind=kind) as d:
        cash, *_ = d.truth
        with pytest.raises(VenueUncertain):
            await d.send(Action.MERGE)
        assert (d.submits, len(d.fake.relayer.transactions)) == (1, 0)
        with pytest.raises(GateClosed, match="not resolved"):
            await d.send(Action.SPLIT)
        done = await d.send(Action.MERGE)
        assert (done.status, done.intent.attempt, done.intent.nonce) == ("confirmed", 2, 0)
        assert d.truth[0] == cash + 10 * MICRO


async def test_two_attempts_that_both_arrive_are_carried_out_once(tmp_path):
    """The first is held back from the list and from the check for a busy wallet: the worst that can be."""
    async with desk(tmp_path, lost()) as d:
        cash, *_ = d.truth
        relayer = d.fake.relayer
        relayer.busy, relayer.list_late_s, relayer.step_s = False, 3600, 3600
        with pytest.raises(VenueUncertain):
            await d.send(Action.MERGE)
        done = await d.send(Action.MERGE, pace=Pace(0.4, 0.5, 0.05))
        assert (done.intent.attempt, done.ended) == (2, None)
        d.release()
        await eventually(
            lambda: sorted(t.state for t in relayer.transactions) == [CONFIRMED, FAILED]
        )
        assert (await d.resolve())[0].status == "unknown"
        with pytest.raises(GateClosed, match="not resolved"):  # its nonce is used: by whom?
            await d.send(Action.MERGE)
        relayer.list_late_s = 0
        (done,) = await d.resolve()
        assert (done.status, done.transaction_id) == (
            "confirmed",
            relayer.transactions[0].transaction_id,
        )
        assert d.truth[0] == cash + 10 * MICRO
        assert len(relayer.executed) == 1


@pytest.mark.parametrize("at", ["tokens.intended", "tokens.answered"])
async def test_a_kill_between_intent_and_answer_is_resolved_by_the_next_start(tmp_path, at):
    async with desk(tmp_path) as d:
        cash, *_ = d.truth

        def kill(name):
            if name == at:
                raise Killed

        listen(kill)
        with pytest.raises(Killed):
            await d.send(Action.MERGE)
        listen(None)
        assert d.names() == ["intended"]
        gone = at == "tokens.intended"
        assert d.submits == (0 if gone else 1)
        await asyncio.sleep(0.5)  # longer than `Pace.settle_s`
        (call,) = await d.resolve()
        assert call.status == ("unknown" if gone else "confirmed")
        assert d.truth[0] == (cash if gone else cash + 10 * MICRO)
        if gone:
            assert (await d.send(Action.MERGE)).intent.attempt == 2
            assert d.truth[0] == cash + 10 * MICRO


async def test_a_refusal_and_a_pause_asked_for_are_ends_and_the_next_call_goes_out(tmp_path):
    fault = Fault(FaultKind.HTTP_429, match="POST /submit", seconds=0.1)
    async with desk(tmp_path, fault) as d:
        assert (await d.send(Action.MERGE)).status == "refused"
        d.fake.relayer.owners[d.wallet.address.lower()] = ("WALLET", "0x" + "99" * 20)
        done = await d.send(Action.MERGE)
        assert (done.status, "does not belong" in done.ended.detail) == ("refused", True)
        d.fake.relayer.owners.clear()
        assert (await d.send(Action.MERGE)).status == "confirmed"


async def test_a_call_that_fails_on_chain_changes_nothing_and_says_so(tmp_path):
    async with desk(tmp_path) as d:
        before = d.truth
        d.fake.relayer.fail = lambda number: True
        done = await d.send(Action.MERGE)
        assert (done.status, done.ended.detail) == ("failed", "execution reverted")
        assert d.truth == before
        d.fake.relayer.fail = lambda number: False
        assert (await d.send(Action.MERGE)).status == "confirmed"


async def test_a_call_that_is_slow_is_told_as_such_and_found_final_later(tmp_path):
    async with desk(tmp_path) as d:
        d.fake.relayer.step_s = 3600
        done = await d.send(Action.MERGE, pace=Pace(0.4, 0.1, 0.02))
        assert done.status == "submitted"
        with pytest.raises(GateClosed, match="not resolved"):
            await d.send(Action.MERGE)
        d.release()
        await eventually(lambda: d.fake.relayer.transactions[0].state == CONFIRMED)
        (done,) = await d.resolve()
        assert (done.status, d.submits) == ("confirmed", 1)


async def test_the_owner_can_end_a_call_that_nobody_can_resolve(tmp_path):
    async with desk(tmp_path, lost(FaultKind.DROP_REQUEST)) as d:
        with pytest.raises(VenueUncertain):
            await d.send(Action.MERGE)
        with DurableLedger(d.folder) as ledger:
            known = d.calls(ledger).known()
            (call_id,) = known
            done = ended_by_owner(ledger, known, call_id, CallOutcome.FAILED, "tester")
            assert (done.status, done.ended.source) == ("failed", "owner")
            with pytest.raises(UsageError):
                ended_by_owner(ledger, {}, call_id, CallOutcome.FAILED, "tester")
        assert (await d.send(Action.MERGE)).intent.attempt == 1


async def test_a_transaction_that_the_relayer_has_forgotten_stays_open(tmp_path):
    async with desk(tmp_path) as d:
        d.fake.relayer.step_s = 3600
        await d.send(Action.MERGE, pace=Pace(0.4, 0.1, 0.02))
        kept, d.fake.relayer.transactions = d.fake.relayer.transactions, []
        await asyncio.sleep(0.5)  # longer than `Pace.settle_s`
        assert (await d.resolve())[0].status == "submitted"
        with pytest.raises(GateClosed, match="not resolved"):
            await d.send(Action.MERGE)
        d.fake.relayer.transactions = kept
        d.release()
        await eventually(lambda: kept[0].state == CONFIRMED)
        assert (await d.resolve())[0].status == "confirmed"


# -- bad input ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("params", b'{"nonce": "-1", "address": "x"}'),
        ("params", b'{"nonce": "9" '),
        ("params", b'{"nonce": null}'),
        ("params", b"\xff\xfe"),
        ("params", b'{"nonce": "' + b"9" * 5_000 + b'"}'),
        ("params", b'{"nonce": ' + b"9" * 5_000 + b"}"),
        ("deployed", b'{"deployed": "yes"}'),
        ("deployed", b"[]"),
        ("/balance-allowance", b'{"balance": "NaN"}'),
    ],
)
async def test_an_answer_that_cannot_be_read_sends_nothing(tmp_path, path, body):
    async with desk(tmp_path) as d:
        d.fake.tamper = lambda what, real: body if path in what else real
        with pytest.raises(BetaError):
            await d.send(Action.MERGE)
        assert (d.submits, d.rows()) == (0, [])


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"[]",
        b"{",
        b'[{"transactionID": "0190b317-0000-4000-8000-000000000001", "state": "STATE_WEIRD"}]',
        b'[{"transactionID": "other", "state": "STATE_CONFIRMED"}]',
        b"[" * 10_000,
    ],
)
async def test_a_transaction_that_cannot_be_read_leaves_the_call_open(tmp_path, body):
    async with desk(tmp_path) as d:
        d.fake.tamper = lambda what, real: body if what == "GET /transaction" else real
        done = await d.send(Action.MERGE, pace=Pace(0.2, 0.5, 0.02))
        assert done.status == "submitted"
        d.fake.tamper = None
        (done,) = await d.resolve()
        assert (done.status, d.submits) == ("confirmed", 1)


async def test_a_body_that_was_changed_on_the_way_is_not_carried_out(tmp_path):
    """The fake recovers the signer from the bytes: one changed digit is somebody else's signature."""
    async with desk(tmp_path) as d:
        calls = d.calls(None)
        market = await d.market(C1)
        from adapters.polymarket.positions import build
        from adapters.polymarket.relayer.signing import Turn, signed_body

        call = build(Action.MERGE, market, D(10))
        turn = await calls.relayer.turn()
        body = signed_body(d.wallet, call, turn, "x")
        for change in (
            {"nonce": "1"},
            {"signature": body["signature"][:-4] + "001b"},
            {"signature": "0x00"},
            {"from": "0x" + "11" * 20},
            {"type": "SAFE"},
            {"depositWalletParams": {}},
            {"depositWalletParams": body["depositWalletParams"] | {"deadline": "1"}},
        ):
            with pytest.raises(VenueError):
                await calls.relayer.submit(body | change)
        stale = signed_body(d.wallet, call, Turn(0, 1_000), "x")
        with pytest.raises(VenueError, match="deadline"):
            await calls.relayer.submit(stale)
        assert d.fake.relayer.transactions == []


async def test_no_secret_is_in_rows_lines_or_errors(tmp_path):
    async with desk(tmp_path, lost(FaultKind.DROP_REQUEST)) as d:
        d.fake.tamper = lambda what, real: (
            json.dumps({"error": f"bad key {RELAYER_KEY}"}).encode() if "submit" in what else real
        )
        d.fake.relayer.key = "another"
        said = []
        for _ in range(2):
            try:
                said.append((await d.send(Action.MERGE)).ended.detail)
            except BetaError as exc:
                said.append(str(exc))
        text = "\n".join([*said, *d.lines])
        files = b"".join(p.read_bytes() for p in d.folder.rglob("*") if p.is_file())
        for secret in (RELAYER_KEY, KEY, KEY[2:], SECRET):
            assert secret not in text
            assert secret.encode() not in files
        assert RELAYER_KEY not in repr(d.calls(None).relayer.__dict__)

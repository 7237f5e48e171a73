"""What the relayer's list proves of a call that nobody answered; what the ledger keeps of calls."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.polymarket.relayer.calls import (
    DEADLINE_MARGIN_S,
    KnownCall,
    spent_since,
    verdict_on,
)
from adapters.polymarket.relayer.client import Transaction, nonce_of
from core.ledger.kinds import CallOutcome, TokenCallEnded, TokenCallIntended

D = Decimal
WALLET = "0x" + "f1" * 20
INTENT = TokenCallIntended(
    venue="POLYMARKET", call_id="beta-1", attempt=1, action="merge", market_id="0x", amount=D(10),
    wallet=WALLET, wallet_kind="WALLET", signer="0x", nonce=7, deadline_s=1_000, relay="", to="0x",
    data="0x",
)  # fmt: skip
NOW = {"now_s": 500.0, "age_s": 60.0, "settle_s": 15.0}


def seen(**changes):
    base = {"transactionID": "t", "state": "STATE_NEW", "nonce": "7", "type": "WALLET"}
    return msgspec.convert(base | {"proxyAddress": WALLET.upper().replace("X", "x")} | changes, Transaction)  # fmt: skip


def judge(*listed, nonce=7, intent=INTENT, **changes):
    return verdict_on(intent, "0xsigned", list(listed), nonce, **(NOW | changes))


@pytest.mark.parametrize("mark", [{"metadata": "beta-1"}, {"signature": "0xsigned"}])
@pytest.mark.parametrize("state", ["STATE_NEW", "STATE_CONFIRMED", "STATE_FAILED", "STATE_ODD"])
def test_our_mark_or_our_signature_is_our_transaction_in_any_state(mark, state):
    assert judge(seen(state=state, **mark)).found is not None


def test_of_two_attempts_the_one_that_came_further_counts_and_a_failed_one_proves_nothing_alone():
    twice = msgspec.structs.replace(INTENT, attempt=2)
    lost = seen(metadata="beta-1", state="STATE_FAILED")
    won = seen(metadata="beta-1", state="STATE_MINED", transactionID="won")
    assert judge(lost, won, intent=twice).found is won
    assert judge(lost, intent=twice).found is None
    assert judge(lost, lost, intent=twice).found is lost


def test_absence_needs_proof():
    assert judge(seen(state="STATE_CONFIRMED"), nonce=8).absent
    assert not judge(seen(state="STATE_MINED"), nonce=8).absent
    assert not judge(seen(state="STATE_CONFIRMED", type="SAFE"), nonce=8).absent
    assert not judge(seen(state="STATE_CONFIRMED", proxyAddress="0x" + "00" * 20), nonce=8).absent
    late = {"now_s": 1_000.0 + DEADLINE_MARGIN_S + 1}
    assert judge(**late).absent
    assert not judge(nonce=8, **late).absent
    assert not judge(now_s=1_000.0 + DEADLINE_MARGIN_S).absent
    no_deadline = msgspec.structs.replace(INTENT, deadline_s=0, wallet_kind="SAFE")
    assert not judge(intent=no_deadline, now_s=1e12).absent


def test_a_call_may_be_repeated_only_after_the_wait_and_while_its_nonce_is_free():
    assert judge().repeatable
    assert not judge(age_s=14.0).repeatable
    assert not judge(nonce=8).repeatable
    assert not judge(nonce=6).repeatable
    assert not judge(seen(metadata="beta-1")).repeatable


@given(
    st.lists(
        st.builds(
            seen,
            state=st.sampled_from(["STATE_NEW", "STATE_CONFIRMED", "STATE_FAILED", "odd", ""]),
            nonce=st.one_of(st.none(), st.integers(-3, 9), st.text(max_size=4)),
            metadata=st.sampled_from([None, "", "beta-1", "beta-2"]),
            type=st.sampled_from([None, "WALLET", "SAFE", "?"]),
        ),
        max_size=5,
    ),
    st.integers(5, 9),
    st.floats(0, 3_000),
    st.floats(0, 3_000),
)
def test_a_list_of_any_content_never_makes_a_call_both_absent_and_repeatable(
    listed, nonce, now_s, age_s
):
    told = judge(*listed, nonce=nonce, now_s=now_s, age_s=age_s)
    assert sum((told.found is not None, bool(told.absent), told.repeatable)) <= 1
    if any(t.metadata == "beta-1" for t in listed):
        assert told.found is not None
    if told.repeatable:
        assert nonce == INTENT.nonce


@given(st.one_of(st.none(), st.integers(), st.text(max_size=90)))
def test_a_nonce_is_a_number_of_32_bytes_or_nothing(told):
    number = nonce_of(told)
    assert number is None or 0 <= number < 1 << 256


def test_what_only_looks_like_a_nonce_is_none():
    for told in ("9" * 5_000, 1 << 300, 10**5_000, "٣", "-1", "1.0", "", None):
        assert nonce_of(told) is None


def test_a_day_counts_what_moved_or_may_have_moved():
    def known(call_id, at, outcome=None, amount=10):
        intent = msgspec.structs.replace(INTENT, call_id=call_id, amount=D(amount))
        call = KnownCall(intent, 1, at)
        if outcome is None:
            return call
        return replace(
            call, ended=TokenCallEnded(venue="POLYMARKET", call_id=call_id, outcome=outcome)
        )

    calls = [
        known("old", 0, CallOutcome.CONFIRMED),
        known("done", 100, CallOutcome.CONFIRMED, 1),
        known("open", 100, amount=2),
        known("failed", 100, CallOutcome.FAILED, 4),
        known("refused", 100, CallOutcome.REFUSED, 8),
        known("absent", 100, CallOutcome.ABSENT, 16),
    ]
    assert spent_since(calls, 50) == 3

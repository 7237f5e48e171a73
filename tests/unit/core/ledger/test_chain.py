"""From a fill on to what closed its position, and rows by number and by place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import UsageError
from core.ledger import BatchLedger
from core.ledger.chain import Move, closings
from core.ledger.kinds import Settled
from core.ledger.reader import LedgerReader
from tests.unit.core.ledger import rows_for_tests as make

D = Decimal
A, B = "M-YES.PM", "M-NO.PM"


def test_every_fill_of_a_position_leads_to_the_sale_the_merge_and_the_settlement_that_closed_it():
    moves = [
        Move(1, "s", (A,), D(5)),
        Move(2, "s", (A,), D(-2)),
        Move(3, "s", (A,), D(4)),
        Move(4, "s", (B,), D(3)),
        Move(5, "s", (A, B), D(-3)),
        Move(6, "s", (A,), D(-4)),
    ]
    assert closings(moves) == {1: (2, 5, 6), 3: (5, 6), 4: (5,)}


def test_a_later_position_of_the_same_instrument_is_not_mixed_in():
    moves = [
        Move(1, "s", (A,), D(1)),
        Move(2, "s", (A,), D(-1)),
        Move(3, "s", (A,), D(1)),
        Move(4, "other", (A,), D(1)),
        Move(5, "s", (A,), D(-1)),
    ]
    assert closings(moves) == {1: (2,), 3: (5,), 4: ()}


def test_a_settlement_of_the_account_closes_what_every_strategy_holds():
    moves = [Move(1, "s", (A,), D(1)), Move(2, "t", (A,), D(2)), Move(3, "s", (B,), D(1))]
    assert closings([*moves, Move(4, "", (A,), D(-3))]) == {1: (4,), 2: (4,), 3: ()}


@given(st.lists(st.tuples(st.sampled_from("st"), st.sampled_from([A, B]), st.integers(-5, 5))))
def test_what_closes_a_position_always_comes_later_and_takes_shares_away(steps):
    moves = [Move(n, s, (iid,), D(q)) for n, (s, iid, q) in enumerate(steps, 1)]
    by_seq = {m.seq: m for m in moves}
    for seq, after in closings(moves).items():
        opened = by_seq[seq]
        assert opened.quantity > 0
        assert all(n > seq and by_seq[n].quantity <= 0 for n in after)
        assert all(by_seq[n][1:3] == opened[1:3] for n in after)


@pytest.fixture
def ledger(tmp_path: Path) -> tuple[Path, list[int]]:
    """Two buys of one position, paid out together: the settlement names only the last of them."""
    with BatchLedger(tmp_path, start_ns=make.T0) as out:
        out.begin_run(make.started(), ts_event=make.T0)
        first = out.append(make.fill("O-1", "T-1"), ts_event=make.T0 + 1)
        second = out.append(make.fill("O-2", "T-2"), ts_event=make.T0 + 40 * make.DAY_NS)
        paid = Settled(
            venue="KALSHI",
            instrument_id=make.YES,
            payout=D(1),
            quantity=D(20),
            currency="USD",
            strategy_id="arb-1",
        )
        end = out.append(paid, ts_event=make.T0 + 80 * make.DAY_NS, parents=(second,))
        out.end_run(make.ended(), ts_event=make.T0 + 80 * make.DAY_NS)
    return tmp_path, [first, second, end]


def test_a_settlement_is_found_from_the_first_of_many_fills(ledger):
    folder, (first, second, end) = ledger
    reader = LedgerReader(folder)
    assert [r.seq for r in reader.closings(first)] == [end]
    assert [r.seq for r in reader.closings(second)] == [end]
    assert reader.closings(end) == []


def test_rows_are_read_by_number_over_all_files_and_unknown_numbers_are_left_out(ledger):
    folder, seqs = ledger
    reader = LedgerReader(folder)
    found = reader.rows_at([*seqs, 10_000])
    assert sorted(found) == seqs
    assert all(found[n] == reader.row(n) for n in seqs)


@pytest.mark.parametrize(("number", "place"), [(1, 0), (2, 1), (-1, 1), (-2, 0)])
def test_a_fill_is_named_by_its_place_in_the_newest_run(ledger, number, place):
    folder, seqs = ledger
    assert LedgerReader(folder).nth("order.filled", number).seq == seqs[place]


@pytest.mark.parametrize("number", [0, 3, -3])
def test_a_place_that_is_none_is_refused(ledger, number):
    with pytest.raises(UsageError, match="the newest run has no such"):
        LedgerReader(ledger[0]).nth("order.filled", number)

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.download import Download, Page, RawStore, Unit
from adapters.download.client import Unreachable
from adapters.download.ranges import missing
from core.domain.errors import CorruptData, UsageError, VenueError

WHO = {"venue": "TEST"}


class Killed(Exception):
    pass


class Numbers:
    """A venue whose row at second t of every key is t; pages of `size` rows."""

    phases = 1

    def __init__(self, units: list[Unit], size: int = 3) -> None:
        self.units, self.size = units, size
        self.asked: list[tuple[str, str | None]] = []
        self.break_after: int | None = None
        self.error: Exception = Killed()

    def plan(self, phase: int, store: RawStore) -> list[Unit]:
        return self.units

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        if self.break_after is not None and len(self.asked) >= self.break_after:
            raise self.error
        self.asked.append((unit.name, cursor))
        await asyncio.sleep(0)
        at = int(cursor) if cursor else unit.start_s
        rows = list(range(at, min(at + self.size, unit.end_s)))
        end = at + self.size
        return Page(rows, str(end) if end < unit.end_s else None)


def run(source: Any, root: Path, **options: Any) -> Any:
    with RawStore(root, WHO) as store:
        return asyncio.run(Download(source, store, **options).run())


def stored(root: Path, table: str = "t", key: str | None = None) -> list[Any]:
    with RawStore(root, WHO) as store:
        return [row.value for row in store.rows(table, key)]


def test_everything_arrives_once(tmp_path):
    units = [Unit("t", f"k{i}", 0 + 1, 11) for i in range(5)]
    outcome = run(Numbers(units), tmp_path)
    assert (outcome.units, outcome.pages, outcome.rows) == (5, 20, 50)
    assert sorted(stored(tmp_path)) == sorted(list(range(1, 11)) * 5)
    assert stored(tmp_path, key="k3") == list(range(1, 11))


@pytest.mark.parametrize("broken_at", range(21))
def test_a_kill_after_any_page_loses_and_doubles_nothing(tmp_path, broken_at):
    units = [Unit("t", f"k{i}", 1, 11) for i in range(5)]
    first = Numbers(units)
    first.break_after = broken_at
    if broken_at < 20:
        with pytest.raises(Killed):
            run(first, tmp_path)
    else:
        run(first, tmp_path)
    second = Numbers(units)
    outcome = run(second, tmp_path)
    assert sorted(stored(tmp_path)) == sorted(list(range(1, 11)) * 5)
    assert len(first.asked) + len(second.asked) == 20
    assert outcome.resumed is (broken_at < 20)


def test_a_torn_last_line_and_rows_without_a_line_do_no_harm(tmp_path):
    units = [Unit("t", "k", 1, 11)]
    first = Numbers(units)
    first.break_after = 2
    with pytest.raises(Killed):
        run(first, tmp_path)
    state = tmp_path / "state.jsonl"
    state.write_bytes(state.read_bytes() + b'{"unit":"t|k|1|11","ta')
    orphan = tmp_path / "t" / "part-000002.parquet"
    orphan.write_bytes(b"written, but never recorded")
    run(Numbers(units), tmp_path)
    assert stored(tmp_path) == list(range(1, 11))


def test_a_second_run_asks_only_for_what_is_new(tmp_path):
    run(Numbers([Unit("t", "k", 5, 11)]), tmp_path)
    again = Numbers([Unit("t", "k", 5, 11)])
    assert run(again, tmp_path).skipped == 1
    assert again.asked == []
    wider = Numbers([Unit("t", "k", 1, 17)])
    run(wider, tmp_path)
    assert {name for name, _ in wider.asked} == {"t|k|1|5", "t|k|11|17"}
    assert sorted(stored(tmp_path)) == list(range(1, 17))


class Listing(Numbers):
    """A listing that grows."""

    def __init__(self, size: int) -> None:
        super().__init__([Unit("l", "all")])
        self.rows = size

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        self.asked.append((unit.name, cursor))
        at = int(cursor or 0)
        return Page(
            list(range(at, min(at + 3, self.rows))), str(at + 3) if at + 3 < self.rows else None
        )


def test_a_listing_is_taken_anew_in_every_run(tmp_path):
    run(Listing(4), tmp_path)
    run(Listing(8), tmp_path)
    assert stored(tmp_path, "l") == list(range(8))


class Circle(Numbers):
    async def page(self, unit: Unit, cursor: str | None) -> Page:
        return Page([1], {None: "a", "a": "b", "b": "a"}[cursor])


class Hollow(Numbers):
    async def page(self, unit: Unit, cursor: str | None) -> Page:
        return Page([], str(int(cursor or 0) + 1))


@pytest.mark.parametrize(("source", "what"), [(Circle, "circles"), (Hollow, "empty pages")])
def test_a_cursor_that_leads_nowhere_is_reported(tmp_path, source, what):
    units = [Unit("t", "k", 1, 9)]
    outcome = run(source(units), tmp_path)
    assert what in outcome.failed["t|k|1|9"]
    assert stored(tmp_path) == []  # an unfinished unit is no data


class Expiring(Numbers):
    """A venue that forgets cursors between runs."""

    def __init__(self, units: list[Unit]) -> None:
        super().__init__(units)
        self.fresh = False

    async def page(self, unit: Unit, cursor: str | None) -> Page:
        if cursor is None:
            self.fresh = True
        elif not self.fresh:
            raise VenueError("invalid cursor", cursor)
        return await super().page(unit, cursor)


def test_an_expired_cursor_starts_the_unit_again_without_doubles(tmp_path):
    units = [Unit("t", "k", 1, 11)]
    first = Numbers(units)
    first.break_after = 2
    with pytest.raises(Killed):
        run(first, tmp_path)
    outcome = run(Expiring(units), tmp_path)
    assert not outcome.failed
    assert stored(tmp_path) == list(range(1, 11))


def test_a_refused_unit_is_named_and_the_others_go_on(tmp_path):
    class Picky(Numbers):
        async def page(self, unit: Unit, cursor: str | None) -> Page:
            if unit.key == "k1":
                raise VenueError("no")
            return await super().page(unit, cursor)

    outcome = run(Picky([Unit("t", f"k{i}", 1, 5) for i in range(3)]), tmp_path)
    assert list(outcome.failed) == ["t|k1|1|5"]
    assert outcome.units == 2
    healed = run(Numbers([Unit("t", f"k{i}", 1, 5) for i in range(3)]), tmp_path)
    assert (healed.units, healed.skipped) == (1, 2)


def test_a_dead_venue_ends_the_run_with_everything_kept(tmp_path):
    units = [Unit("t", f"k{i:02}", 1, 4) for i in range(20)]
    source = Numbers(units)
    source.break_after, source.error = 5, Unreachable("gone")
    with pytest.raises(Unreachable):
        run(source, tmp_path, workers=1)
    assert len(stored(tmp_path)) == 15


def test_two_processes_cannot_share_a_folder(tmp_path):
    with RawStore(tmp_path, WHO), pytest.raises(UsageError, match="another process"):
        RawStore(tmp_path, WHO)


def test_another_download_in_the_same_folder_is_refused(tmp_path):
    run(Numbers([Unit("t", "k", 1, 4)]), tmp_path)
    with pytest.raises(UsageError, match="another download"):
        RawStore(tmp_path, {"venue": "OTHER"})
    with RawStore(tmp_path, {"venue": "OTHER"}, restart=True) as store:
        assert store.keys("t") == []


def test_a_corrupt_state_says_how_to_go_on(tmp_path):
    run(Numbers([Unit("t", "k", 1, 4)]), tmp_path)
    state = tmp_path / "state.jsonl"
    lines = state.read_text().splitlines()
    state.write_text("\n".join([lines[0], "{broken", *lines[1:]]) + "\n")
    with pytest.raises(CorruptData, match="restart"):
        RawStore(tmp_path, WHO)


def test_a_corrupt_raw_file_is_named(tmp_path):
    run(Numbers([Unit("t", "k", 1, 4)]), tmp_path)
    part = next((tmp_path / "t").glob("*.parquet"))
    part.write_bytes(b"PAR1")
    with pytest.raises(CorruptData, match="part-000001"):
        stored(tmp_path)


def test_rows_are_kept_verbatim_whatever_they_are(tmp_path):
    odd = [None, 3, "x", [1, 2], {"a": {"b": "ü", "c": 1e-7}}]

    class Odd(Numbers):
        async def page(self, unit: Unit, cursor: str | None) -> Page:
            return Page(odd)

    run(Odd([Unit("t", "k", 1, 4)]), tmp_path)
    assert json.dumps(stored(tmp_path)) == json.dumps(odd)


ranges = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda t: (t[0], t[0] + t[1])),
    max_size=8,
)


@given(st.integers(0, 40), st.integers(1, 30), ranges)
def test_missing_ranges_are_exactly_the_seconds_that_nobody_covered(start, length, covered):
    want = (start, start + length)
    gaps = missing(want, covered)
    have = {t for low, high in covered for t in range(low, high)}
    got = [t for low, high in gaps for t in range(low, high)]
    assert got == [t for t in range(*want) if t not in have]
    assert all(low < high for low, high in gaps)

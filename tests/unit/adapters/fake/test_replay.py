"""A tape is a catalog as a feed: repeated passes are new markets that follow each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.fake.replay import CHUNK_ROWS, Tape, load_tape, repeated
from core.engine.catalog import Catalog
from tests.integration.kalshi_session import TICKERS, write_catalog


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Tape:
    path = write_catalog(tmp_path_factory.mktemp("tape") / "c")
    return load_tape(Catalog.open(Path(path)), None, 10, "KALSHI")


def test_a_tape_played_once_is_as_it_was(tape: Tape) -> None:
    assert repeated(tape, 1) is tape
    assert len(list(tape)) == len(tape)


def test_each_further_pass_has_markets_of_its_own_and_begins_after_the_last(tape: Tape) -> None:
    steps = list(repeated(tape, 3))
    assert len(steps) == 3 * len(tape) == len(repeated(tape, 3))
    names = {t: {f"{t}{s}" for s in ("", "-R2", "-R3")} for t in TICKERS}
    assert {s.market_id for s in steps} == set().union(*names.values())
    times = [s.ts_ns for s in steps]
    assert times == sorted(times)
    ends = [m.close_ns for m in repeated(tape, 3).markets if not m.market_id.endswith(("R2", "R3"))]
    second = next(s for s in steps if s.market_id.endswith("-R2"))
    assert second.ts_ns > max(ends), "one pass is over before the next begins"


def test_passes_differ_only_in_time_and_name(tape: Tape) -> None:
    steps, n = list(repeated(tape, 2)), len(tape)
    for first, again in zip(steps[:n], steps[n:], strict=True):
        assert again[2:] == first[2:]
        assert again.market_id == f"{first.market_id}-R2"


def test_rows_come_out_whole_across_chunks(tape: Tape, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(tape)
    assert len(whole) < CHUNK_ROWS
    monkeypatch.setattr("adapters.fake.replay.CHUNK_ROWS", 7)
    assert list(tape) == whole

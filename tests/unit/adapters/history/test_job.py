"""What lies beside a catalog belongs to it: a failed, interrupted or killed import leaves it alone."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from adapters.history import Fate, IngestJob, Issue
from adapters.history.report import IngestReport
from adapters.history.tabular import TableOptions, ingest_table
from core.domain.errors import MissingData
from core.engine.catalog import Catalog
from core.engine.catalog.staging import sweep
from core.engine.catalog.writer import Mode

HEAD = "ts,market,price,size,taker\n"
GOOD = "2026-03-{:02}T00:00:00Z,m1,0.41,10,buy\n"
BAD = "2026-03-{:02}T00:00:01Z,m1,nan,10,buy\n"


def table(tmp_path: Path, day: int, rows: str, mode: Mode) -> IngestReport:
    source = tmp_path / "t.csv"
    source.write_text(HEAD + rows.format(day))
    return ingest_table(source, "trades", tmp_path / "c", TableOptions(), mode=mode)


def codes(path: Path) -> list[str]:
    return [json.loads(line)["code"] for line in path.read_text().splitlines()]


def beside(tmp_path: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in tmp_path.glob("c.*")}


def hidden(tmp_path: Path) -> list[str]:
    return [p.name for p in tmp_path.iterdir() if p.name.startswith(".c.") and "lock" not in p.name]


@pytest.fixture
def made(tmp_path: Path) -> dict[str, bytes]:
    """A catalog with a bad row in its list, and what lies beside it."""
    table(tmp_path, 1, GOOD + BAD.format(1), "create")
    return beside(tmp_path)


def test_a_failed_import_keeps_the_earlier_list_and_tells_its_own_under_another_name(
    tmp_path: Path, made: dict[str, bytes]
) -> None:
    with pytest.raises(MissingData, match=r"failed\.issues"):
        table(tmp_path, 2, BAD, "replace")
    left = beside(tmp_path)
    assert {name: left[name] for name in made} == made
    assert codes(tmp_path / "c.failed.issues.jsonl")[0] == "not_a_number"
    assert hidden(tmp_path) == []
    table(tmp_path, 3, GOOD, "replace")
    assert "c.failed.issues.jsonl" not in beside(tmp_path)


def test_ctrl_c_keeps_the_earlier_list(tmp_path: Path, made: dict[str, bytes]) -> None:
    job = IngestJob("x", tmp_path, tmp_path / "c", mode="replace")
    with pytest.raises(KeyboardInterrupt), job:
        job.issues.add(Issue.CROSSED, Fate.DROPPED, file="x")
        raise KeyboardInterrupt
    assert beside(tmp_path) == made
    assert hidden(tmp_path) == []


def _killed(folder: Path) -> None:
    with IngestJob("x", folder, folder / "c", mode="replace") as job:
        job.issues.add(Issue.CROSSED, Fate.DROPPED, file="x")
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_kill_keeps_the_earlier_list_and_its_draft_is_swept(
    tmp_path: Path, made: dict[str, bytes]
) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_killed, args=(tmp_path,))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL
    assert beside(tmp_path) == made
    assert len(hidden(tmp_path)) == 2  # the folder and the list
    sweep(tmp_path / "c")
    assert hidden(tmp_path) == []
    assert Catalog.open(tmp_path / "c").markets()


def test_what_extends_a_catalog_is_added_to_its_list(
    tmp_path: Path, made: dict[str, bytes]
) -> None:
    first = codes(tmp_path / "c.issues.jsonl")
    assert first.count("not_a_number") == 1
    table(tmp_path, 2, GOOD + BAD.format(2), "extend")
    both = codes(tmp_path / "c.issues.jsonl")
    assert both[: len(first)] == first
    assert both.count("not_a_number") == 2


def test_a_sound_import_in_its_place_has_only_its_own_list(
    tmp_path: Path, made: dict[str, bytes]
) -> None:
    report = table(tmp_path, 2, GOOD, "replace")
    assert codes(tmp_path / "c.issues.jsonl") == list(report.issues) == ["unresolved"]

"""The writer is all or nothing, refuses overlaps, and names what is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.errors import CorruptData, MissingData, OverlappingData, UsageError
from core.engine.catalog import Catalog, CatalogWriter
from core.engine.catalog.writer import ROWS_PER_FILE
from tests.unit.core.engine.catalog.conftest import (
    NO,
    T0,
    YES,
    S,
    make_deltas,
    make_market,
    make_quotes,
    make_trades,
)


def left_behind(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_an_error_inside_the_block_leaves_no_catalog(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), CatalogWriter(tmp_path / "c", name="c") as writer:
        writer.markets([make_market()])
        writer.deltas(YES, make_deltas())
        raise RuntimeError("stop")
    assert left_behind(tmp_path) == []


def test_ctrl_c_leaves_the_old_catalog_untouched(small_catalog: Path) -> None:
    before = Catalog.open(small_catalog).meta
    with (
        pytest.raises(KeyboardInterrupt),
        CatalogWriter(small_catalog, mode="extend") as writer,
    ):
        writer.quotes(NO, make_quotes(start=T0 + 1000 * S))
        raise KeyboardInterrupt
    assert Catalog.open(small_catalog).meta == before
    assert left_behind(small_catalog.parent) == ["small"]


def test_a_killed_writer_leaves_nothing_that_opens_and_the_next_one_sweeps(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path;"
        "from core.engine.catalog import CatalogWriter;"
        "from tests.unit.core.engine.catalog.conftest import *;"
        "w = CatalogWriter(Path(sys.argv[1]), name='c'); w.__enter__();"
        "w.markets([make_market()]); w.deltas(YES, make_deltas()); print('ready', flush=True);"
        "time.sleep(60)"
    )
    target = tmp_path / "c"
    child = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    with pytest.raises(UsageError, match="another process"), CatalogWriter(target, name="d"):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert left_behind(tmp_path) == [f".c.tmp-{child.pid}"]
    with pytest.raises(MissingData):
        Catalog.open(target)
    assert left_behind(tmp_path) == []
    with CatalogWriter(target, name="c") as writer:
        writer.markets([make_market()])
        writer.deltas(YES, make_deltas())
    assert Catalog.open(target).instrument_ids() == (YES,)


def test_a_swap_cut_between_its_renames_is_repaired(small_catalog: Path) -> None:
    small_catalog.rename(small_catalog.with_name(".small.old-1"))
    assert Catalog.open(small_catalog).meta.name == "small"
    assert left_behind(small_catalog.parent) == ["small"]


def test_create_refuses_a_catalog_that_exists(small_catalog: Path) -> None:
    with pytest.raises(OverlappingData, match="exists already"):
        CatalogWriter(small_catalog, name="small")


def test_extend_adds_a_later_period_and_keeps_the_rest(small_catalog: Path) -> None:
    before = Catalog.open(small_catalog)
    with CatalogWriter(small_catalog, mode="extend", synthetic=True) as writer:
        writer.quotes(NO, make_quotes(start=T0 + 1000 * S))
    after = Catalog.open(small_catalog)
    assert len(after.quotes(NO)) == 6
    assert after.meta.synthetic
    assert after.meta.content_sha != before.meta.content_sha
    assert after.markets() == before.markets()
    assert len(after.deltas(YES)) == 4


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_period_that_is_there_already_is_refused(small_catalog: Path, offset: int) -> None:
    with (
        pytest.raises(OverlappingData, match=r"quotes of KXTEST-26-NO.KALSHI"),
        CatalogWriter(small_catalog, mode="extend") as writer,
    ):
        writer.quotes(NO, make_quotes(start=T0 + offset * S))


def test_a_second_settlement_is_refused(small_catalog: Path) -> None:
    with (
        pytest.raises(OverlappingData, match="settlement"),
        CatalogWriter(small_catalog, mode="extend") as writer,
    ):
        writer.closes(YES, T0 + 99 * S, Decimal(0))


@pytest.mark.parametrize("payout", ["1.5", "-0.1", "0.33333"])
def test_a_payout_that_the_engine_would_not_settle_is_refused(tmp_path: Path, payout: str) -> None:
    with (
        pytest.raises(CorruptData, match="payout"),
        CatalogWriter(tmp_path / "c", name="c") as writer,
    ):
        writer.markets([make_market()])
        writer.closes(YES, T0, Decimal(payout))


def test_data_without_its_instrument_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(CorruptData, match="not defined"),
        CatalogWriter(tmp_path / "c", name="c") as writer,
    ):
        writer.deltas(YES, make_deltas())


def test_data_with_other_decimals_than_its_instrument_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(CorruptData, match="other decimals"),
        CatalogWriter(tmp_path / "c", name="c") as writer,
    ):
        writer.markets([make_market()])
        writer.quotes(YES, make_quotes(size_precision=3))


def test_an_empty_catalog_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(MissingData), CatalogWriter(tmp_path / "c", name="c"):
        pass
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("bad", ["../../etc.KALSHI", "a/b.KALSHI", "", "NOVENUE", ".x.KALSHI"])
def test_an_instrument_id_that_is_not_a_safe_name_is_refused(tmp_path: Path, bad: str) -> None:
    with (
        pytest.raises(CorruptData, match="instrument id"),
        CatalogWriter(tmp_path / "c", name="c") as writer,
    ):
        writer.trades(bad, make_trades())


def test_equal_content_gives_equal_bytes_and_hash(tmp_path: Path) -> None:
    shas = []
    for name in ("a", "b"):
        with CatalogWriter(tmp_path / name, name="same", created_ns=T0) as writer:
            writer.markets([make_market()])
            writer.deltas(YES, make_deltas())
        shas.append({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()})
    assert shas[0] == shas[1]


def test_long_columns_are_split_between_moments(tmp_path: Path) -> None:
    n = ROWS_PER_FILE + 10
    cols = make_deltas(n)
    # one moment straddles the border of the first file
    cols.ts_event[ROWS_PER_FILE - 3 : ROWS_PER_FILE + 3] = cols.ts_event[ROWS_PER_FILE - 3]
    with CatalogWriter(tmp_path / "c", name="c") as writer:
        writer.markets([make_market()])
        writer.deltas(YES, cols)
    catalog = Catalog.open(tmp_path / "c")
    entries = sorted(
        (e for e in catalog.manifest() if e.kind == "deltas"), key=lambda e: e.start_ns
    )
    assert [e.rows for e in entries] == [ROWS_PER_FILE - 3, 13]
    assert entries[0].end_ns < entries[1].start_ns
    assert (catalog.deltas(YES).size == cols.size).all()


def test_the_name_of_a_damaged_file_is_in_the_error(small_catalog: Path) -> None:
    (path,) = (small_catalog / "data" / "quotes").rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptData) as caught:
        Catalog.open(small_catalog).quotes(NO)
    assert str(path) in str(caught.value.seen)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"schema_version": 99}'])
def test_a_damaged_description_is_corrupt_not_a_crash(small_catalog: Path, text: str) -> None:
    (small_catalog / "catalog.json").write_text(text)
    with pytest.raises(CorruptData):
        Catalog.open(small_catalog)


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    for _ in range(3):
        with pytest.raises(MissingData), CatalogWriter(tmp_path / "x", name="x"):
            pass


def test_a_mistyped_name_leaves_no_trace(tmp_path: Path) -> None:
    with pytest.raises(MissingData, match="no catalog"):
        Catalog.open(tmp_path / "nosuch")
    assert list(tmp_path.iterdir()) == []

"""Verification finds what would make a backtest lie."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from core.engine.catalog import Catalog, CatalogWriter
from core.engine.catalog.verify import Verification, verify_catalog
from tests.unit.core.engine.catalog.conftest import (
    NO,
    T0,
    YES,
    S,
    make_deltas,
    make_market,
    make_quotes,
)


def codes(result: Verification) -> set[str]:
    return {f.code for f in result.findings}


def test_a_sound_catalog_passes(small_catalog: Path) -> None:
    result = verify_catalog(Catalog.open(small_catalog))
    assert codes(result) == {"half_settled"}  # the fixture's market states no payout
    with CatalogWriter(small_catalog, mode="extend") as writer:
        writer.markets([make_market().resolved_as((Decimal(1), Decimal(0)))])
    result = verify_catalog(Catalog.open(small_catalog))
    assert result.passed
    assert result.findings == []
    assert result.rows == 4 + 3 + 3 + 3 + 2 + 2


@pytest.mark.parametrize("damage", ["cut", "flip", "gone", "stray"])
def test_a_damaged_file_is_named(small_catalog: Path, damage: str) -> None:
    (path,) = (small_catalog / "data" / "quotes").rglob("*.parquet")
    blob = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(blob[: len(blob) // 2])
    elif damage == "flip":
        blob[len(blob) // 2] ^= 1
        path.write_bytes(blob)
    elif damage == "gone":
        path.unlink()
    else:
        path.with_name("1999.parquet").write_bytes(blob)
    result = verify_catalog(Catalog.open(small_catalog))
    assert not result.passed
    bad = {f.code: f.subject for f in result.findings}
    expected = {"gone": "missing_file", "stray": "stray_file"}.get(damage, "changed_file")
    name = path.with_name("1999.parquet") if damage == "stray" else path
    assert bad[expected] == name.relative_to(small_catalog).as_posix()


def test_a_crossed_book_is_found(tmp_path: Path) -> None:
    cols = make_deltas(4)
    cols.price[3], cols.size[3] = 4300, 100
    cols.action[3] = 0
    with CatalogWriter(tmp_path / "c", name="c") as writer:
        writer.markets([make_market()])
        writer.deltas(YES, cols)
    result = verify_catalog(Catalog.open(tmp_path / "c"))
    assert codes(result) == {"crossed_book", "unresolved"}
    assert not result.passed


def test_a_market_settled_on_one_side_is_an_error(tmp_path: Path) -> None:
    with CatalogWriter(tmp_path / "c", name="c") as writer:
        writer.markets([make_market()])
        writer.quotes(YES, make_quotes())
        writer.quotes(NO, make_quotes())
        writer.closes(YES, T0 + S, Decimal(1))
    found = {f.code: f for f in verify_catalog(Catalog.open(tmp_path / "c")).findings}
    assert found["half_settled"].level == "error"
    assert found["after_settlement"].level == "warning"


def test_an_unreadable_manifest_is_a_finding_not_a_crash(small_catalog: Path) -> None:
    (small_catalog / "manifest.parquet").write_bytes(b"not parquet")
    result = verify_catalog(Catalog.open(small_catalog))
    assert codes(result) == {"unreadable"}
    assert str(small_catalog / "manifest.parquet") in result.findings[0].detail


def test_a_crossed_quote_is_not_written(tmp_path: Path) -> None:
    bid = np.array([4000, 4200, 4000], dtype=np.int64)
    with (
        pytest.raises(Exception, match="crossed quote"),
        CatalogWriter(tmp_path / "c", name="c") as writer,
    ):
        writer.markets([make_market()])
        writer.quotes(NO, make_quotes(bid=bid))

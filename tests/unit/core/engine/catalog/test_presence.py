"""A run starts only on the files that its catalog lists, as they were written."""

from __future__ import annotations

import os
import shutil

import pytest

from core.domain.errors import CorruptData, MissingData, OverlappingData
from core.engine.catalog import Catalog
from core.engine.catalog.presence import require_whole


@pytest.fixture
def first_file(small_catalog):
    return sorted((small_catalog / "data").rglob("*.parquet"))[0]


def test_a_catalog_as_written_is_whole(small_catalog):
    require_whole(Catalog.open(small_catalog))


def test_a_copy_with_new_file_times_is_whole(small_catalog, tmp_path):
    copy = shutil.copytree(small_catalog, tmp_path / "copy", copy_function=shutil.copy)
    for path in copy.rglob("*.parquet"):
        os.utime(path)
    os.utime(copy / "manifest.parquet", (1, 1))
    require_whole(Catalog.open(copy))


def test_a_missing_file_is_named(small_catalog, first_file):
    first_file.unlink()
    with pytest.raises(MissingData) as caught:
        require_whole(Catalog.open(small_catalog))
    assert first_file.name in caught.value.seen


def test_a_shorter_file_and_a_changed_byte_are_named(small_catalog, first_file):
    blob = first_file.read_bytes()
    first_file.write_bytes(blob[:-1])
    with pytest.raises(CorruptData):
        require_whole(Catalog.open(small_catalog))
    first_file.write_bytes(blob[:40] + bytes([blob[40] ^ 1]) + blob[41:])
    with pytest.raises(CorruptData) as caught:
        require_whole(Catalog.open(small_catalog))
    assert first_file.name in caught.value.seen


def test_a_file_nobody_listed_is_refused_because_it_would_count_twice(small_catalog, first_file):
    shutil.copy(first_file, first_file.with_name("another.parquet"))
    with pytest.raises(OverlappingData):
        require_whole(Catalog.open(small_catalog))

"""Ticks survive the way into 128-bit decimals and back."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import CorruptData
from core.engine.catalog.arrays import from_text
from core.engine.catalog.decimals import decode_ticks, encode_ticks


@given(
    ticks=st.lists(st.integers(0, 2**63 - 1), max_size=20),
    precision=st.integers(0, 16),
)
def test_ticks_become_exact_decimals_and_come_back(ticks: list[int], precision: int) -> None:
    ticks = [t for t in ticks if t * 10 ** (16 - precision) < 10**38]
    array = encode_ticks(np.array(ticks, dtype=np.int64), precision)
    assert array.to_pylist() == [Decimal(t).scaleb(-precision) for t in ticks]
    back = decode_ticks(pa.chunked_array([array]), precision)
    assert back.tolist() == ticks


def test_a_value_finer_than_its_precision_is_refused() -> None:
    array = encode_ticks(np.array([12345], dtype=np.int64), 4)
    with pytest.raises(CorruptData, match="more than 2 decimals"):
        decode_ticks(pa.chunked_array([array]), 2)


@pytest.mark.parametrize("precision", [-1, 17])
def test_a_precision_that_the_engine_lacks_is_refused(precision: int) -> None:
    with pytest.raises(CorruptData):
        encode_ticks(np.array([1], dtype=np.int64), precision)


def test_negative_ticks_are_refused() -> None:
    with pytest.raises(CorruptData, match="negative"):
        encode_ticks(np.array([-1], dtype=np.int64), 4)


@given(st.lists(st.text(max_size=8) | st.none(), max_size=30))
def test_text_arrays_hold_what_went_in(values: list[str | None]) -> None:
    assert from_text(values).to_pylist() == values

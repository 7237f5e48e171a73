"""Data that a clean-up has thinned, and books beside quotes: what is whole runs, what is missing is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.domain.errors import UsageError
from core.engine.catalog import BarColumns, CatalogWriter
from tests.unit.core.engine.rig import Tape, market, ns, run, write
from tests.unit.core.engine.test_backtest_run import (
    BOOK,
    TRADES,
    YES,
    TakesBoth,
    Trader,
    catalog,
)


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 50])
def test_a_chunk_never_ends_between_a_trade_and_the_first_book_of_its_instrument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    from core.engine.backtest import runners

    late = Tape(trades=TRADES, quotes=[(5.0, "0.30", "0.31", "5", "5")], close=(9, "1"))
    tapes = {YES: Tape(books=BOOK, close=(9, "1")), "N-YES.PM": late}
    path = write(tmp_path / "c", [market(), market("N")], tapes)
    monkeypatch.setattr(runners, "CHUNK_ROWS", rows)
    filled = {f.instrument_id for f in run(path, TakesBoth).fills if f.role == "taker"}
    assert filled == {YES, "N-YES.PM"}


def test_what_a_clean_up_left_as_bars_does_not_stand_in_the_way_of_what_is_whole(
    tmp_path: Path,
) -> None:
    one = np.array([4_000], dtype=np.int64)
    path = write(tmp_path / "c", [market(), market("OLD")], {YES: Tape(books=BOOK, close=(9, "1"))})
    with CatalogWriter(path, mode="extend") as out:
        out.bars(
            "OLD-YES.PM-1-HOUR-MID-EXTERNAL",
            BarColumns(
                ts_event=one * 0 + ns(0.5), open=one, high=one, low=one, close=one, volume=one * 0
            ),
        )
    with pytest.raises(UsageError, match="books and bars"):
        run(path, TakesBoth)
    with CatalogWriter(path, mode="extend") as out:
        out.detail(ns(1), ns(1))
    result = run(path, TakesBoth)
    assert result.fills
    assert any("hourly bars only" in w and "OLD-YES.PM" in w for w in result.warnings)


def test_data_that_was_thinned_is_named_when_the_period_reaches_into_it(tmp_path: Path) -> None:
    path = catalog(tmp_path / "c")
    with CatalogWriter(path, mode="extend") as out:
        out.detail(ns(5), ns(2))
    (said,) = [w for w in run(path, Trader).warnings if w.startswith("THINNED")]
    assert "hourly bars" in said
    late = run(path, Trader, start_ns=ns(3)).warnings
    assert any(w.startswith("THINNED") and "hourly" not in w for w in late)
    assert not any(w.startswith("THINNED") for w in run(path, Trader, start_ns=ns(5)).warnings)

"""A recording: parts survive a kill, become a catalog through the writer's checks, and memory is bounded."""

import json
import resource
import threading
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.domain.errors import MissingData
from core.engine.catalog import F_LAST, Catalog, Kind
from core.engine.catalog.verify import verify_catalog
from core.engine.live import recorder, recording
from core.engine.live.recorder import PartWriter
from core.engine.live.recording import CLOSE, DELTA, STATUS, TRADE, About
from tests.integration.kalshi_session import market

TICKER = "KXTEST-26NOV21-A"
YES, NO = f"{TICKER}-YES.KALSHI", f"{TICKER}-NO.KALSHI"
T = 1_790_000_000_000_000_000


def about(run_id="paper-1"):
    return About(
        run_id=run_id, mode="paper", venue="KALSHI", instruments=(NO, YES), cash="100",
        positions={}, latency_s=0.05, synthetic=True, started_ns=T,
    )  # fmt: skip


def start(home, run_id="paper-1"):
    folder = recording.parts_path(home, run_id)
    recording.begin(folder, about(run_id), [market(TICKER, T + 10**12)])
    return PartWriter(folder)


def level(writer, at, price, size, code=1, side=1):
    writer.add(code, DELTA, at, at, 1 if size else 2, side, price, size, F_LAST, 7)


def test_everything_a_node_sees_becomes_a_catalog_that_verifies(tmp_path):
    writer = start(tmp_path)
    writer.add(1, DELTA, T, T, 3, 0, 0, 0, F_LAST, 0)
    level(writer, T + 1, 4500, 1000)
    level(writer, T + 2, 4500, 0)
    writer.add(1, TRADE, T + 2, T + 3, 0, 2, 4600, 200, F_LAST, 0, text="t-1")
    writer.add(1, STATUS, T + 4, T + 4, 0, 0, 0, 0, F_LAST, 0, text="PAUSE")
    writer.add(1, CLOSE, T + 5, T + 5, 0, 0, 10_000, 0, F_LAST, 0)
    writer.add(1, CLOSE, T + 6, T + 6, 0, 0, 10_000, 0, F_LAST, 0)
    writer.add(0, CLOSE, T + 6, T + 6, 0, 0, 0, 0, F_LAST, 0)
    writer.close()
    catalog = recording.open_recording(tmp_path, "paper-1")
    assert catalog.deltas(YES).price.tolist() == [0, 4500, 4500]
    assert catalog.deltas(YES).size.tolist() == [0, 1000, 0]
    trades = catalog.trades(YES)
    assert (trades.trade_id, trades.aggressor.tolist(), trades.size.tolist()) == (
        ["t-1"],
        [2],
        [200],
    )
    assert catalog.kinds(YES) == {Kind.DELTAS, Kind.TRADES, Kind.STATUSES, Kind.CLOSES}
    assert catalog.rows(Kind.CLOSES) == 2
    assert catalog.meta.synthetic
    assert catalog.markets()[TICKER].question == f"{TICKER}?"
    assert recording.about_of(tmp_path, "paper-1") == about()
    assert not recording.parts_path(tmp_path, "paper-1").exists()
    assert verify_catalog(catalog).passed


def test_a_killed_node_leaves_what_it_flushed(tmp_path):
    writer = start(tmp_path)
    level(writer, T, 4500, 1000)
    writer.flush()
    writer._pool.shutdown(wait=True)
    level(writer, T + 1, 4600, 1000)  # never flushed: the process dies here
    (writer.folder / "00000002.tmp").write_bytes(b"half a part")
    catalog = recording.open_recording(tmp_path, "paper-1")
    assert catalog.deltas(YES).price.tolist() == [4500]


def test_a_run_without_a_recording_is_named(tmp_path):
    with pytest.raises(MissingData, match="not recorded"):
        recording.open_recording(tmp_path, "paper-9")
    with pytest.raises(MissingData, match="not recorded"):
        recording.about_of(tmp_path, "paper-9")


def test_a_clock_that_is_set_back_does_not_reorder_what_was_seen(tmp_path):
    writer = start(tmp_path)
    for at, price in ((T + 5, 10), (T + 9, 20), (T + 3, 30), (T + 12, 40)):
        writer.add(1, DELTA, at + 50, at, 1, 1, price, 5, F_LAST, 0)
        writer.flush()
    writer.close()
    cols = recording.open_recording(tmp_path, "paper-1").deltas(YES)
    assert cols.price.tolist() == [10, 20, 30, 40]
    assert (np.diff(cols.ts) >= 0).all()
    assert (cols.ts_event <= cols.ts).all()


@settings(max_examples=20)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(1, 9999)),
        min_size=1,
        max_size=40,
    ),
    window=st.integers(1, 12),
)
@example(rows=[(1, 0, 3)] * 9, window=1)  # more flushes than parts may wait for the disk
def test_sealing_in_windows_of_any_size_keeps_every_row_in_order(tmp_path_factory, rows, window):
    home = tmp_path_factory.mktemp("rec")
    writer, at = start(home), T
    wanted = {0: [], 1: []}
    for code, step, price in rows:
        at += step  # equal times happen
        level(writer, at, price, 5, code=code)
        wanted[code].append(price)
        if price % 3 == 0:
            writer.flush()
    writer.close()
    before, recording.SEAL_ROWS = recording.SEAL_ROWS, window
    try:
        catalog = recording.open_recording(home, "paper-1")
    finally:
        recording.SEAL_ROWS = before
    for code, iid in ((0, NO), (1, YES)):
        if wanted[code]:
            assert catalog.deltas(iid).price.tolist() == wanted[code]


def test_a_batch_is_never_cut_and_a_full_buffer_is_flushed(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "FLUSH_ROWS", 4)
    writer = start(tmp_path)
    for n in range(7):
        flags = F_LAST if n == 6 else 0
        writer.add(1, DELTA, T, T, 1, 1, 100 + n, 5, flags, 0)
    assert not writer._texts
    writer.close()
    assert len(list(writer.folder.glob("*.parquet"))) == 1


def blocked_disk(monkeypatch):
    """Let no part be written before the returned event is set."""
    gate, real = threading.Event(), recorder.write_part

    def write(*args):
        gate.wait(20)
        real(*args)

    monkeypatch.setattr(recorder, "write_part", write)
    return gate


def test_a_slow_disk_loses_nothing_while_the_buffer_has_room(tmp_path, monkeypatch):
    gate = blocked_disk(monkeypatch)
    writer = start(tmp_path)
    flushes = 2 * recorder.MAX_WAITING
    for n in range(flushes):  # as the clock does, whatever has arrived
        level(writer, T, n + 1, 5)
        writer.flush()
    assert len(writer._waiting) == recorder.MAX_WAITING
    gate.set()
    writer.close()
    assert writer.lost == 0
    catalog = recording.open_recording(tmp_path, "paper-1")
    assert catalog.deltas(YES).price.tolist() == list(range(1, flushes + 1))
    assert not catalog.meta.notes


def test_closing_writes_the_last_rows_although_every_place_in_the_line_is_taken(
    tmp_path, monkeypatch
):
    gate = blocked_disk(monkeypatch)
    writer = start(tmp_path)
    for n in range(recorder.MAX_WAITING):
        level(writer, T + n, n + 1, 5)
        writer.flush()
    level(writer, T + 100, 77, 5)
    threading.Timer(0.05, gate.set).start()
    writer.close()
    assert (writer.lost, writer._waiting) == (0, [])
    assert recording.open_recording(tmp_path, "paper-1").deltas(YES).price[-1] == 77


def test_a_disk_that_does_not_keep_up_loses_rows_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(recorder, "FLUSH_ROWS", 2)
    gate = blocked_disk(monkeypatch)
    writer = start(tmp_path)
    for n in range(2 * recorder.MAX_WAITING + 5):
        level(writer, T + n, n + 1, 5)
    assert writer.lost == 4  # two buffers that were full; the last row still waits in a third
    gate.set()
    writer.close()
    assert json.loads((writer.folder / "lost.json").read_text())["rows"] == 4
    catalog = recording.open_recording(tmp_path, "paper-1")
    kept = [*range(1, 2 * recorder.MAX_WAITING + 1), 2 * recorder.MAX_WAITING + 5]
    assert catalog.deltas(YES).price.tolist() == kept
    assert catalog.meta.notes == ("4 row(s) could not be written",)


def test_a_disk_that_fails_stops_nothing_but_the_recording(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder, "write_part", full)
    writer = start(tmp_path)
    for n in range(3):
        level(writer, T + n, 4500, 5)
    writer.close()
    assert "No space left" in writer.error
    assert writer.lost == 3


def test_changed_terms_that_the_disk_takes_in_part_stop_nothing_and_leave_the_file_as_it_was(
    tmp_path,
):
    folder, target = recording.parts_path(tmp_path, "paper-1"), tmp_path / "made"
    made = recorder.Recording(folder, target, about(), [market(TICKER, T + 10**12)])
    level(made.writer, T, 4500, 5)
    file = folder / "markets.jsonl"
    before, limits = file.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, limits[1]))
    try:
        made.on_market(market(TICKER, T + 2 * 10**12))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before and "File too large" in made.error
    made.on_market(market(TICKER, T + 3 * 10**12))
    made.finish()
    assert Catalog.open(target).markets()[TICKER].close_ns == T + 3 * 10**12


def test_payouts_keep_their_exact_value(tmp_path):
    writer = start(tmp_path)
    level(writer, T, 4500, 5)
    writer.add(1, CLOSE, T + 5, T + 5, 0, 0, 5000, 0, F_LAST, 0)
    writer.close()
    catalog = recording.open_recording(tmp_path, "paper-1")
    from core.engine.catalog.reader import read_table

    table = read_table(catalog.files(Kind.CLOSES, YES)[0])
    assert table["close_price"][0].as_py() == Decimal("0.5")

"""Bad frames, gaps and breaks of a venue's connections become rows, once each, with what to do."""

from __future__ import annotations

from pathlib import Path

from adapters.connection import SocketState, SocketStats
from core.engine.live.feed_watch import FeedWatch, connections_of
from core.ledger import DurableLedger
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection


class Line:
    def __init__(self) -> None:
        self.state, self.stats = SocketState.UP, SocketStats(connects=1)


def rows(folder: Path, kind: str) -> list:
    return [r.decoded() for r in LedgerReader(folder).rows(Selection(kinds=(kind,)))]


def test_what_goes_wrong_on_a_connection_is_a_row_and_a_counter(tmp_path: Path) -> None:
    ledger, line = DurableLedger(tmp_path / "l"), Line()
    watch = FeedWatch(ledger)
    watch.look({"KALSHI data": line}, 1)
    line.stats.frames, line.stats.bad_frames, line.stats.gaps = 10, 3, 1
    line.stats.note("frame: DecodeError: JSON is malformed")
    line.state = SocketState.DOWN
    totals = watch.look({"KALSHI data": line}, 2)
    watch.look({"KALSHI data": line}, 3)
    ledger.close()
    assert totals == {
        "frames": 10,
        "bad_frames": 3,
        "gaps": 1,
        "repeats": 0,
        "connects": 1,
        "limited": 0,
        "mended": 0,
    }
    (fault,) = rows(tmp_path / "l", "fault")
    assert fault.where == "KALSHI data" and "malformed" in fault.error and "stop" in fault.action
    assert [r.state for r in rows(tmp_path / "l", "feed.state")] == ["gap", "down"]


def test_every_book_that_was_not_the_venues_is_a_row_of_its_own(tmp_path: Path) -> None:
    ledger, line = DurableLedger(tmp_path / "l"), Line()
    watch = FeedWatch(ledger)
    for at, books in enumerate((["A"], ["B", "C"], [])):
        for book in books:
            line.stats.mended += 1
            line.stats.note(f"book: {book}")
            line.stats.note("429")
        watch.look({"KALSHI REST": line}, at)
    ledger.close()
    found = [(r.state, r.detail) for r in rows(tmp_path / "l", "feed.state")]
    assert found == [("mended", f"book: {b}") for b in "ABC"]


def test_what_has_no_sockets_has_no_connections() -> None:
    assert connections_of(object()) == {}


def test_a_break_before_the_first_look_is_a_row(tmp_path: Path) -> None:
    ledger, line = DurableLedger(tmp_path / "l"), Line()
    line.stats.connects = 2
    FeedWatch(ledger).look({"KALSHI data": line}, 1)
    ledger.close()
    assert [r.detail for r in rows(tmp_path / "l", "feed.state")] == ["2 connects"]

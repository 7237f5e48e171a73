"""A recorded run repeats row by row; every planted divergence is caught at its first row, with its cause."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.domain.errors import LedgerCorrupt, MissingData, StrategyError, UsageError
from core.engine.replay import ReplayReport, ReplayRequest, replay
from core.engine.replay.recorded import recorded_run, with_changes
from core.ledger import BatchLedger
from core.ledger.kinds import RunMode, RunStarted
from core.ledger.reader import LedgerReader
from core.ledger.rows import Head, WaitingRow, link
from core.ledger.segment import Segment, StoreOptions, segments
from core.ledger.selection import Selection, window
from core.risk import load_profile
from tests.unit.core.engine.rig import BID, D, Tape, level, market, ns, run, snapshot, write

YES, NO = "M-YES.PM", "M-NO.PM"
STRATEGY = '''
import os, random, socket, time
from decimal import Decimal
from core.domain.decision import TimeInForce
from core.engine.strategy import BetaStrategy, StrategyConfig


class Config(StrategyConfig):
    size: Decimal = Decimal(5)


class Trader(BetaStrategy):
    """Buys every third change of the book, exits every seventh, rests every fifth."""

    config_type = Config

    def on_start(self):
        self.n = 0
        self.watch_book("M-YES.PM")

    def on_book(self, iid):
        self.n += 1
        ask, bid = self.best_ask(iid), self.best_bid(iid)
        if ask is None or bid is None:
            return
        size = self.config.size + SIZE
        if self.n % 3 == 0:
            self.buy(iid, size, ask.price, reason="third")
        if self.n % 5 == 0:
            self.buy(iid, size, bid.price, tif=TimeInForce.GTC, post_only=True, reason="rest")
        if self.n % 7 == 0:
            self.exit(iid, "seventh")
'''
#: The planted line is the one that decides the size from the 20th change on.
PLANTS = {
    "unseeded random": ("random.randrange(50)", "draws unseeded randomness", "randrange"),
    "wall clock": ("time.time_ns() % 53", "reads the wall clock", "time_ns"),
    "environment": ("len(os.environ.get('PYTHONHASHSEED', ''))", "reads the environment", "get"),
    # another place for every order: one place alone is the same in one pair of processes of fifty
    "set order": ("[*{str(i) for i in range(90)}].index(str(self.n % 90)) % 50", "", ""),
}
LINE = next(i for i, text in enumerate(STRATEGY.splitlines(), 1) if "SIZE" in text)


def catalog(path: Path, price: str = "0.38") -> Path:
    rows = snapshot(1, [("0.39", "50"), ("0.38", "80")], [("0.41", "400"), ("0.42", "600")])
    for n in range(90):
        # the 61st change is the row of data that can be changed
        bid = price if n == 60 else f"0.3{5 + n % 4}"
        rows += level(2 + n, BID, bid, str(20 + n % 7))
    tape = Tape(books=rows, close=(120, "1"))
    other = Tape(books=snapshot(1, [("0.58", "5")], [("0.62", "5")]), close=(120, "0"))
    return write(path, [market()], {YES: tape, NO: other})


@dataclass
class Recorded:
    """A recorded run of a strategy file, and what is needed to replay it."""

    folder: Path

    @property
    def file(self) -> Path:
        return self.folder / "trader.py"

    def write(self, size: str = "0") -> None:
        guarded = f"(({size}) if self.n > 20 else 0)" if size != "0" else "0"
        self.file.write_text(STRATEGY.replace("SIZE", guarded))

    def record(self, size: str = "0", **spec: object) -> None:
        self.write(size)
        name = "strategy_file_trader"
        found = importlib.util.spec_from_file_location(name, self.file)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[name] = module
        found.loader.exec_module(module)
        if not (self.folder / "c").exists():
            catalog(self.folder / "c")
        run(self.folder / "c", f"{name}:Trader", ledger=self.folder / "ledger", **spec)

    def replay(self, **changes: object) -> ReplayReport:
        fields: dict[str, object] = {
            "ledger": self.folder / "ledger",
            "catalog": self.folder / "c",
            "files": {"strategy_file_trader": str(self.file)},
        } | changes
        return replay(ReplayRequest(**fields))  # type: ignore[arg-type]


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def test_a_run_repeats_in_a_process_with_another_hash_seed(recorded: Recorded):
    recorded.record()
    report = recorded.replay()
    assert report.same, report
    assert report.rows > 100
    assert report.causes == []
    told = []
    fields = ReplayRequest(
        ledger=recorded.folder / "ledger",
        catalog=recorded.folder / "c",
        files={"strategy_file_trader": str(recorded.file)},
        keep=recorded.folder / "again",
    )
    assert replay(fields, lambda *a: told.append(a)).same
    assert told
    assert len(LedgerReader(recorded.folder / "again").runs()) == 1


def size_row(report: ReplayReport) -> tuple[str, str]:
    """Return recorded and replayed quantity of the first differing row: the gate's verdict."""
    assert not report.same
    found = report.divergence
    assert found is not None
    assert found.recorded is not None
    assert found.replayed is not None
    sizes = [
        next(c["value"] for c in side.payload["checks"] if c["name"] == "size")
        for side in (found.recorded, found.replayed)
    ]
    return sizes[0], sizes[1]


@pytest.mark.parametrize("name", PLANTS)
def test_a_decision_from_outside_is_caught_at_its_first_row(recorded: Recorded, name: str):
    source, what, call = PLANTS[name]
    recorded.record(source)
    report = recorded.replay()
    assert not report.same, "the same size by chance is as good as impossible"
    assert report.divergence is not None
    # the 21st change of the book is the first it can matter for
    assert report.divergence.recorded is not None
    assert report.divergence.recorded.ts_event >= ns(2 + 19)
    assert report.rows > 20
    if what:
        assert any(what in f and call in f and f":{LINE} " in f for f in report.findings), report
    else:
        assert report.findings == []


def test_a_forbidden_read_that_changes_nothing_is_still_no_proof(recorded: Recorded):
    recorded.record("time.time_ns() * 0")
    report = recorded.replay()
    assert report.divergence is None
    assert len(report.findings) == 1
    assert not report.same


def test_changed_code_is_caught_at_its_first_row_and_named(recorded: Recorded):
    recorded.record()
    recorded.write("3")
    report = recorded.replay()
    assert size_row(report) == ("5", "8")
    assert report.divergence.recorded.ts_event == ns(2 + 19)
    assert any(c.startswith("code: strategy_file_trader:Trader has changed") for c in report.causes)


def test_changed_code_that_decides_the_same_is_the_same_and_named(recorded: Recorded):
    recorded.record()
    recorded.file.write_text(recorded.file.read_text() + "\n# a comment\n")
    report = recorded.replay()
    assert report.same
    assert [c[:5] for c in report.causes] == ["code:"]


def test_a_changed_configuration_is_caught_at_its_first_row_and_named(recorded: Recorded):
    recorded.record()
    report = recorded.replay(changes={"params": {"size": "6"}})
    assert size_row(report) == ("5", "6")
    assert report.rows <= 3
    assert "params of strategy_file_trader:Trader: size 5 -> 6" in report.causes
    limited = recorded.replay(changes={"limits": "usd100"})
    assert not limited.same
    assert any(c.startswith("config: limits: exposure.order 1 -> 0.02") for c in limited.causes)
    later = recorded.replay(changes={"latency_ms": 250.0})
    assert not later.same
    assert "config: latency_ms None -> 250.0" in later.causes


def test_a_changed_row_of_data_is_caught_at_the_first_decision_that_saw_it(recorded: Recorded):
    recorded.record()
    shutil.move(recorded.folder / "c", recorded.folder / "old")
    catalog(recorded.folder / "c", price="0.40")
    report = recorded.replay()
    assert report.divergence is not None
    assert report.divergence.recorded is not None
    # the 61st change is at 62 s; the first decision after it at 63 s
    assert report.divergence.recorded.ts_event == ns(63)
    assert report.divergence.recorded.kind == "data.snapshot@1"
    assert any(c.startswith("data: the catalog's content has changed") for c in report.causes)


def test_only_the_chosen_window_is_compared(recorded: Recorded):
    from core.domain.clock import iso_from_ns

    recorded.record()
    recorded.write("3")
    assert recorded.replay(selection=window("", iso_from_ns(ns(20)))).same
    late = recorded.replay(selection=window(iso_from_ns(ns(60)), ""))
    assert not late.same
    assert late.divergence.recorded.ts_event >= ns(60)
    assert late.rows <= 1
    nothing = recorded.replay(selection=Selection(start_ns=ns(20) + 1, end_ns=ns(20) + 2))
    assert nothing.same
    assert nothing.rows == 0


def test_the_network_is_closed(recorded: Recorded):
    recorded.record("0")
    recorded.write("socket.create_connection(('127.0.0.1', 9)) or 0")
    report = recorded.replay()
    assert not report.same
    assert any("reaches for the network" in f for f in report.findings)
    assert "network is closed" in report.error


def test_a_replay_that_raises_says_so_beside_the_row_it_reached(recorded: Recorded):
    recorded.record()
    recorded.write("1 // 0")
    report = recorded.replay()
    assert not report.same
    assert "ZeroDivisionError" in report.error
    assert report.rows > 20


def test_what_a_strategy_prints_does_not_disturb(recorded: Recorded):
    recorded.record("print('hello') or 0")
    assert recorded.replay().same


def test_a_run_that_broke_off_is_compared_as_far_as_it_goes(recorded: Recorded):
    with pytest.raises(StrategyError):
        recorded.record("1 // (self.n < 40)")
    recorded.write("1")
    report = recorded.replay()
    assert not report.complete
    assert report.divergence is None
    assert report.rows > 20


def test_what_cannot_be_replayed_says_why(recorded: Recorded, tmp_path: Path, monkeypatch):
    recorded.record()
    with pytest.raises(UsageError, match="no such run"):
        recorded.replay(run_id="nosuch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c").rename(tmp_path / "hidden")
    with pytest.raises(MissingData, match="catalog of the run"):
        recorded.replay(catalog=None)
    with pytest.raises(MissingData):
        replay(ReplayRequest(ledger=tmp_path / "nothing"))
    (tmp_path / "hidden").rename(tmp_path / "c")
    recorded.file.unlink()
    with pytest.raises(StrategyError, match="cannot be repeated"):
        recorded.replay()
    known = recorded_run(recorded.folder / "ledger")
    with pytest.raises(UsageError, match="no such setting"):
        with_changes(known, {"colour": "red"})


def started(mode: RunMode, config: str) -> RunStarted:
    return RunStarted(
        run_id="r", mode=mode, config_sha256="", code_sha="", seed=0, strategies=(), data=(), config=config
    )  # fmt: skip


def test_other_modes_and_unreadable_configurations_are_refused(tmp_path: Path):
    for n, (mode, config, error) in enumerate(
        [
            (RunMode.LIVE, "{}", UsageError),
            (RunMode.BACKTEST, "{", LedgerCorrupt),
            (RunMode.BACKTEST, '{"strategies": []}', LedgerCorrupt),
        ]
    ):
        folder = tmp_path / str(n)
        with BatchLedger(folder) as ledger:
            ledger.begin_run(started(mode, config), ts_event=1)
        with pytest.raises(error):
            recorded_run(folder, "r")
    with pytest.raises(UsageError, match="holds no backtest"):
        recorded_run(tmp_path / "0")


def test_a_damaged_record_is_named_and_no_code_is_blamed_for_it(recorded: Recorded):
    recorded.record()
    (file,) = (recorded.folder / "ledger").glob("ledger-*.sqlite")
    row = next(r for r in LedgerReader(file.parent).rows() if r.name == "order.filled")
    stored = file.read_bytes()
    assert stored.count(row.payload) == 1
    forged = row.payload.replace(b'"fee":"0', b'"fee":"9')
    assert forged != row.payload
    file.write_bytes(stored.replace(row.payload, forged))
    with pytest.raises(LedgerCorrupt) as caught:
        recorded.replay()
    assert f"row {row.seq}" in str(caught.value)
    assert caught.value.exit_code == 8


def test_limits_of_a_run_are_rebuilt_whole(recorded: Recorded):
    recorded.record(limits=load_profile("usd10000").changed({"blacklist": "X,Y"}))
    report = recorded.replay()
    assert report.same, report.causes
    assert (
        D(json.loads(json.dumps(recorded_run(recorded.folder / "ledger").config))["capital"]) == 100
    )


def test_a_draw_that_differs_is_the_first_row_and_comes_before_the_decision_it_changed(
    recorded: Recorded,
):
    recorded.record("self.rng.randrange(50)")
    rows = [r for r in LedgerReader(recorded.folder / "ledger").rows() if r.name == "random.draw"]
    assert rows
    assert recorded.replay().same, "draws are repeated from the seed"
    recorded.write("self.rng.randrange(50) + 0 * self.rng.randrange(7)")
    found = recorded.replay().divergence
    assert found is not None
    assert found.replayed is not None
    assert found.replayed.kind == "random.draw@1", (
        "one draw more is seen, though it decides nothing"
    )


def as_recorded_before(ledger: Path, old: Path, parents: dict[str, str] | None = None) -> None:
    """Write the rows of a ledger again as they were before every row named its causes (`run.started@1`)."""
    rows = list(LedgerReader(ledger).rows())
    told: list[WaitingRow] = []
    for row in rows[1:]:
        kind, payload, links = row.kind, row.payload, row.parents
        if row.name == "run.started":
            plain = json.loads(payload)
            assert plain.pop("recording") == 2
            kind, payload = "run.started@1", json.dumps(plain, separators=(",", ":")).encode()
        elif row.name in {"account", "state", "settlement"}:
            links = (parents or {}).get(row.name, "[]")
        told.append((*row[:4], kind, links, payload))
    old.mkdir()
    segment = Segment.create(old / segments(ledger)[0].path.name, rows[0], StoreOptions())
    segment.insert(link(told, Head(rows[0].seq, rows[0].hash))[0])
    segment.close()


def test_a_run_from_before_every_row_named_its_causes_still_replays(recorded: Recorded):
    recorded.record()
    old = recorded.folder / "old"
    as_recorded_before(recorded.folder / "ledger", old)
    assert recorded_run(old).recording == 1
    report = recorded.replay(ledger=old)
    assert report.same, report.divergence
    assert report.rows == recorded.replay().rows
    recorded.write("self.n % 2")
    changed = recorded.replay(ledger=old)
    assert not changed.same, "what decides is compared as ever"


def test_a_cause_that_such_a_run_names_must_still_be_one(recorded: Recorded):
    recorded.record()
    old = recorded.folder / "old"
    as_recorded_before(recorded.folder / "ledger", old, {"account": "[2]"})
    report = recorded.replay(ledger=old)
    assert report.divergence is not None
    assert (report.divergence.field, report.divergence.recorded.kind) == ("parents", "account@1")


def test_a_window_in_which_the_run_was_not_proves_nothing(recorded: Recorded):
    recorded.record()
    for chosen in (window("2001-01-01", "2001-01-02"), window("2090-01-01", "")):
        with pytest.raises(UsageError, match="no rows in this window"):
            recorded.replay(selection=chosen)

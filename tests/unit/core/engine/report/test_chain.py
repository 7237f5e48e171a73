"""The rows behind the fills of a report: whole from the data to the settlement, bounded, and absent without a ledger."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from core.engine.report import chain as chain_module
from core.engine.report import summarise, write_report
from core.engine.report.chain import Chains, chains_of
from core.engine.strategy import BetaStrategy
from core.ledger.reader import LedgerReader
from tests.unit.core.engine.rig import D, Tape, market, run, snapshot, write

HOSTILE_REASON = "</script><img src=x onerror=alert(1)> {{data}}"


class BuysTwice(BetaStrategy):
    """Buy at the first two looks and wait for the settlement."""

    def on_start(self) -> None:
        self.bought = 0
        self.watch_quotes("M-YES.PM")

    def on_quote(self, quote) -> None:
        if self.bought < 2:
            self.bought += 1
            self.buy("M-YES.PM", D(2), D("0.60"), reason=HOSTILE_REASON)


def catalog(path: Path) -> Path:
    books = [
        *snapshot(1, [("0.40", "50")], [("0.50", "50")]),
        *snapshot(5, [("0.41", "50")], [("0.52", "50")]),
        *snapshot(9, [("0.42", "50")], [("0.53", "50")]),
    ]
    return write(
        path,
        [market()],
        {
            "M-YES.PM": Tape(books=books, close=(20, "1")),
            "M-NO.PM": Tape(books=snapshot(1, [("0.45", "9")], [("0.60", "9")]), close=(20, "0")),
        },
    )


@pytest.fixture
def told(tmp_path):
    result = run(catalog(tmp_path / "c"), BuysTwice, ledger=tmp_path / "led ger")
    return result, tmp_path / "led ger"


def plain(chains: Chains) -> dict[int, list]:
    return {int(k): v for k, v in json.loads(msgspec.json.encode(chains.rows)).items()}


def test_each_fill_leads_from_the_data_set_to_the_settlement(told):
    result, ledger = told
    chains = chains_of(result, ledger)
    rows = plain(chains)
    first, second, paid = [f.ledger_seq for f in result.fills]
    kinds = []
    seq = first
    while rows[seq][2]:
        kinds.append(rows[seq][0])
        seq = rows[seq][2][-1]
    assert [*kinds, rows[seq][0]] == [
        "order.filled",
        "order.accepted",
        "order.intent",
        "verdict",
        "data.snapshot",
        "data.manifest",
    ]
    assert rows[paid][0] == "settlement"
    assert chains.ends == {first: (paid,), second: (paid,)}
    assert (chains.carried, chains.fills) == (3, 3)
    assert f"--dir '{ledger}'" in chains.command


def test_a_decision_names_the_moment_of_the_data_it_saw(told):
    _, ledger = told
    (snap, *_) = [r for r in LedgerReader(ledger).rows() if r.name == "data.snapshot"]
    seen = snap.decoded()
    assert (seen.bid, seen.ask) == (D("0.40"), D("0.50"))
    assert seen.ts_data_ns == snap.ts_event


def test_what_the_page_shows_is_what_the_ledger_holds(told):
    result, ledger = told
    reader = LedgerReader(ledger)
    for seq, row in plain(chains_of(result, ledger)).items():
        stored = reader.row(seq)
        assert row[3] == json.loads(stored.payload)
        assert row[4] == stored.hash.hex()[:12]


def test_a_long_run_carries_its_newest_fills_only(told, monkeypatch):
    result, ledger = told
    monkeypatch.setattr(chain_module, "CHAIN_FILLS", 1)
    chains = chains_of(result, ledger)
    assert (chains.carried, chains.fills) == (1, 3)
    written = write_report(summarise(result), ledger.parent / "out", ledger)
    text = written.page.read_text()
    assert "the newest 1 of 3 fills carry it" in text
    assert "beta ledger show SEQ --chain --effects --dir" in text


def test_a_row_of_thousands_of_entries_is_counted_not_embedded(told, monkeypatch):
    result, ledger = told
    monkeypatch.setattr(chain_module, "ROW_BYTES", 10)
    assert plain(chains_of(result, ledger))  # short lists stay
    short = msgspec.json.decode(
        chain_module._shortened(msgspec.json.encode({"a": list(range(50)), "b": [1]}))
    )
    assert short == {"a": "50 entries", "b": [1]}


def test_without_a_ledger_the_page_says_why_there_is_no_chain(tmp_path):
    result = run(catalog(tmp_path / "c"), BuysTwice)
    assert chains_of(result, None) == Chains(fills=3)
    page = write_report(summarise(result), tmp_path / "out").page.read_text()
    assert "the run kept no ledger" in page
    assert "--ledger off" in page


def test_hostile_text_of_a_ledger_row_stays_inside_the_data_of_the_page(told):
    result, ledger = told
    page = write_report(summarise(result), ledger.parent / "out", ledger).page.read_text()
    assert "<img src=x" not in page
    assert page.count("\\u003c/script>\\u003cimg src=x onerror=alert(1)>") >= 2

"""The report folder: JSON, CSV and page, whole or not at all, hostile text kept inert."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain.errors import UsageError
from core.engine.report import SCHEMA_VERSION, document, dumps, summarise, write_report
from core.engine.report import files as files_module
from core.engine.report.downsample import keep
from tests.unit.core.engine.report.samples import HOSTILE, fill, large, market, result


@pytest.fixture(scope="module")
def summary():
    return summarise(large(points=3_000))


@pytest.fixture(scope="module")
def written(summary, tmp_path_factory):
    return write_report(summary, tmp_path_factory.mktemp("report") / "out")


def test_the_folder_holds_page_json_and_tables(written):
    names = {p.name for p in written.folder.iterdir()}
    assert names == set(files_module.FILES)


def test_the_json_document_is_strict_and_money_is_exact_text(written, summary):
    doc = json.loads(written.result.read_text(), parse_constant=pytest.fail)
    assert doc["schema_version"] == SCHEMA_VERSION
    assert doc["totals"]["pnl"] == format(summary.totals.pnl, "f")
    assert doc["header"]["start"] == "2026-07-01T00:00:00Z"
    assert doc == json.loads(dumps(summary))
    assert len(doc["markets"]) == len(summary.markets)


def test_what_cannot_be_computed_is_null_in_json():
    totals = document(summarise(result()))["totals"]
    assert totals["sharpe"] is None
    assert totals["profit_factor"] is None
    assert totals["max_drawdown"] is None


def test_every_fill_and_order_is_in_its_csv(written, summary):
    with (written.folder / "fills.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(summary.result.fills)
    assert rows[0]["price"] == str(summary.result.fills[0].price)
    with (written.folder / "orders.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == len(summary.result.orders)


def test_a_csv_cell_cannot_become_a_formula(tmp_path):
    row = fill(0, "BUY", "0.4", "1", reason='=HYPERLINK("http://x")')
    paths = write_report(summarise(result(fills=[row])), tmp_path / "r")
    with (paths.folder / "fills.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["reason"] == '\'=HYPERLINK("http://x")'


def test_hostile_texts_never_reach_the_page_as_markup(written):
    text = written.page.read_text(encoding="utf-8")
    data_at = text.index('<script type="application/json"')
    static, rest = text[:data_at], text[data_at:]
    block = rest[: rest.index("</script>")]
    assert "<script>document" not in static
    assert 'onerror="document' not in static
    assert "<" not in block.removeprefix('<script type="application/json" id="data">')
    assert json.loads(block.partition(">")[2])["markets"]
    assert text.count("<script") == 4
    for hostile in HOSTILE[:2]:
        assert hostile not in static


def test_the_page_needs_no_network_and_names_its_scripts_by_hash(written):
    text = written.page.read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text).group(1)
    assert "default-src 'none'" in policy
    assert policy.count("'sha256-") == 3
    head = text[: text.index("<script")]
    assert not re.search(r'(src|href)="', head)


def test_an_earlier_report_is_replaced_and_a_strangers_folder_is_not(tmp_path):
    folder = tmp_path / "r"
    write_report(summarise(result()), folder)
    write_report(summarise(result(markets=[market()])), folder)
    assert len(json.loads((folder / "result.json").read_text())["markets"]) == 1
    (folder / "thesis.docx").write_text("years of work")
    with pytest.raises(UsageError, match="other files"):
        write_report(summarise(result()), folder)
    assert (folder / "thesis.docx").exists()


def test_a_report_that_fails_half_way_leaves_the_old_one_and_no_rest(tmp_path, monkeypatch):
    folder = tmp_path / "r"
    write_report(summarise(result()), folder)
    before = (folder / "result.json").read_text()

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(files_module, "_tables", broken)
    with pytest.raises(KeyboardInterrupt):
        write_report(summarise(result(markets=[market()])), folder)
    assert (folder / "result.json").read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "r").write_text("a file")
    with pytest.raises(UsageError, match="is a file"):
        write_report(summarise(result()), tmp_path / "r")


def test_neither_the_charts_library_nor_a_frame_library_is_imported(tmp_path, repo_root):
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from core.engine.report import summarise, write_report\n"
        "from tests.unit.core.engine.report.samples import result\n"
        f"write_report(summarise(result()), Path({str(tmp_path / 'r')!r}))\n"
        "bad = {'plotly', 'pandas', 'jinja2', 'polars', 'nautilus_trader'} & set(sys.modules)\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=repo_root)


@given(
    st.lists(st.floats(-1e6, 1e6) | st.just(float("nan")), min_size=1, max_size=400),
    st.integers(2, 50),
)
def test_downsampling_keeps_ends_extremes_and_every_named_point(values, limit):
    array = np.array(values)
    named = np.array([len(values) // 3], dtype=np.int64)
    rows = keep(array, limit, named)
    assert {0, len(values) - 1, int(named[0])} <= set(rows.tolist())
    assert (np.diff(rows) > 0).all()
    assert rows.size <= max(len(values) if len(values) <= limit else limit + 5, 2)
    known = array[~np.isnan(array)]
    if known.size:
        assert known.max() == np.nanmax(array[rows])
        assert known.min() == np.nanmin(array[rows])

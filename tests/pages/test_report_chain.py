"""Clicking a fill in a real browser: the way from the data to the settlement, offline, with hostile text."""

from __future__ import annotations

import pytest

from core.engine.report import chain as chain_module
from core.engine.report import summarise, write_report
from tests.pages.test_report_page import browser, opened, report
from tests.unit.core.engine.report.test_chain import HOSTILE_REASON, BuysTwice, catalog
from tests.unit.core.engine.rig import run

pytestmark = pytest.mark.services
__all__ = ["browser", "opened", "report"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("chain")


@pytest.fixture(scope="module")
def told(folder):
    """A real run with its ledger, and its page."""
    result = run(catalog(folder / "c"), BuysTwice, ledger=folder / "ledger")
    return result, write_report(summarise(result), folder / "out", folder / "ledger").page


def kinds(page):
    return page.locator("#chain li[data-kind]").evaluate_all("all => all.map(n => n.dataset.kind)")


STORY = [
    "data.manifest",
    "data.snapshot",
    "verdict",
    "order.intent",
    "order.accepted",
    "order.filled",
    "settlement",
]


def test_a_click_on_a_fill_shows_its_way_from_the_data_to_the_settlement(opened, told):
    page = opened(path=told[1])
    page.locator("#fills summary").click()
    page.locator("#fills tbody tr").first.click()
    assert kinds(page) == STORY
    text = page.locator("#chain").inner_text()
    assert "no forecast recorded" in text
    assert f"beta ledger show {told[0].fills[0].ledger_seq} --chain --effects" in text
    cells = page.locator("#chain li[data-kind=verdict] tbody tr").all_inner_texts()
    assert any(c.split("\t")[0] == "cash" and c.endswith("yes") for c in cells)
    assert all(len(c.split("\t")) == 4 for c in cells)
    page.keyboard.press("Escape")
    assert not page.locator("#chain").is_visible()
    assert page.complaints == []


def test_the_keyboard_opens_a_fill_too(opened, told):
    page = opened(390, path=told[1], color_scheme="dark")
    page.locator("#fills summary").click()
    page.locator("#fills tbody tr").nth(1).focus()
    page.keyboard.press("Enter")
    assert kinds(page) == STORY
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#chain").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_a_click_on_a_marker_of_the_chart_shows_the_same(opened, told):
    page = opened(path=told[1])
    # The trace named buy holds the first fill; its pixel is asked of the chart itself.
    at = page.evaluate(
        """() => {
          const chart = document.getElementById("figure-price"), full = chart._fullLayout;
          const buys = chart.data.find((t) => t.name === "buy");
          const box = chart.getBoundingClientRect();
          chart.scrollIntoView({ block: "center" });
          const now = chart.getBoundingClientRect();
          return [now.x + full.xaxis._offset + full.xaxis.d2p(buys.x[0]),
                  now.y + full.yaxis._offset + full.yaxis.d2p(buys.y[0])];
        }"""
    )
    page.mouse.move(*at)
    page.wait_for_selector("#figure-price .hoverlayer .hovertext")
    page.mouse.click(*at)
    page.wait_for_selector("#chain[open]")
    assert kinds(page) == STORY
    assert page.complaints == []


def test_hostile_text_in_the_rows_is_shown_as_text(opened, told):
    page = opened(path=told[1])
    page.locator("#fills summary").click()
    page.locator("#fills tbody tr").first.click()
    assert page.locator("#chain img, #chain script, #chain a").count() == 0
    assert page.locator("#chain dd", has_text=HOSTILE_REASON).count() == 1
    assert page.complaints == []


def test_a_settlement_leads_back_too(opened, told):
    page = opened(path=told[1])
    page.locator("#fills summary").click()
    page.locator("#fills tbody tr").last.click()
    assert kinds(page) == STORY


def test_a_fill_without_its_rows_names_the_command(opened, told, folder, monkeypatch):
    monkeypatch.setattr(chain_module, "CHAIN_FILLS", 1)
    part = write_report(summarise(told[0]), folder / "part", folder / "ledger").page
    page = opened(path=part)
    page.locator("#fills summary").click()
    page.locator("#fills tbody tr").first.click()
    text = page.locator("#chain").inner_text()
    assert "not in the page" in text
    assert f"beta ledger show {told[0].fills[0].ledger_seq} --chain" in text


def test_without_a_ledger_a_click_says_why_there_is_no_chain(opened, told, folder):
    bare = write_report(summarise(told[0]), folder / "bare").page
    page = opened(path=bare)
    page.locator("#fills summary").click()
    page.locator("#fills tbody tr").first.click()
    assert "the run kept no ledger" in page.locator("#chain").inner_text()
    assert page.complaints == []

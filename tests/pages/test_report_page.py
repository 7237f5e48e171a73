"""The report in a real browser: drawn, quiet, offline, safe, at desk and pocket size."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.report import summarise, write_report
from tests.conftest import require_service
from tests.unit.core.engine.report.samples import large, result

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def browser():
    require_service(CHROMIUM.exists(), "chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "report"
    return write_report(summarise(large(points=4_000, synthetic=True)), folder).page


@pytest.fixture
def opened(browser, report):
    """Open a page offline and collect everything it complains about or asks the network for."""
    contexts = []

    def open_page(width=1280, path=None, **options):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, **options
        )
        context.set_default_timeout(
            120_000
        )  # of milliseconds; neighbours may keep the browser waiting
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on(
            "console", lambda m: m.type in ("error", "warning") and page.complaints.append(m.text)
        )
        page.on("pageerror", lambda e: page.complaints.append(str(e)))
        page.on(
            "request",
            lambda r: (
                r.url.startswith(("file:", "blob:", "data:")) or page.complaints.append(r.url)
            ),
        )
        page.goto((path or report).as_uri())
        page.wait_for_function("document.documentElement.dataset.drawn !== undefined")
        return page

    yield open_page
    for context in contexts:
        context.close()


FIGURES = {"equity", "pnl", "daily", "price", "reliability", "fees"}
SIZES = """() => Object.fromEntries([...document.querySelectorAll(".figure")].map((node) => {
  const svg = node.querySelector(".main-svg");
  const box = svg ? svg.getBoundingClientRect() : { width: 0, height: 0 };
  const marks = node.querySelectorAll(".scatterlayer path, .barlayer path").length;
  return [node.id.replace("figure-", ""), [box.width, box.height, marks]];
}))"""


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_figure_is_drawn_and_the_console_stays_quiet(opened, width, scheme):
    page = opened(width, color_scheme=scheme)
    sizes = page.evaluate(SIZES)
    assert set(sizes) == FIGURES
    for name, (wide, high, marks) in sizes.items():
        assert wide > 250, name
        assert high > 40, name
        assert marks > 0, name
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.complaints == []


def test_hostile_market_titles_are_shown_as_text_and_never_run(opened):
    page = opened()
    assert page.title() == "Demo on demo - backtest"
    assert page.locator("main img, main a, main script").count() == 0
    assert page.locator("td", has_text="<img src=x onerror=").count() > 0
    assert page.locator("#figure-pnl a").count() == 0
    assert page.complaints == []


def test_the_fills_table_pages_and_filters(opened):
    page = opened()
    page.locator("#fills summary").click()
    assert page.locator("#fills tbody tr").count() == 50
    page.locator("#fills input").fill("KXDEMO-007")
    text = page.locator("#fills .pager").inner_text()
    assert "41 rows" in text or "40 rows" in text
    assert page.locator("#fills tbody tr").first.inner_text().count("KXDEMO-007") >= 1


def test_picking_another_instrument_redraws_its_prices(opened):
    page = opened()
    first = page.evaluate("document.getElementById('figure-price').data[0].y.slice(0, 50)")
    page.locator("#instrument").select_option("3")
    page.wait_for_function("document.getElementById('figure-price').data[0].y.length > 0")
    assert page.evaluate("document.getElementById('figure-price').data[0].y.slice(0, 50)") != first
    assert page.complaints == []


def test_the_theme_button_switches_colours(opened):
    page = opened(color_scheme="light")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("#theme").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
    assert page.complaints == []


def test_a_run_without_a_single_trade_still_gives_a_quiet_page(opened, tmp_path):
    empty = write_report(summarise(result()), tmp_path / "empty").page
    page = opened(path=empty)
    assert set(page.evaluate(SIZES)) == {"equity", "daily"}
    assert "no order was filled" in page.locator(".cautions").inner_text()
    assert page.complaints == []

"""The terminal report and the progress lines."""

from __future__ import annotations

import io
from dataclasses import replace
from decimal import Decimal as D

from rich.console import Console

from console.terminal import progress as progress_module
from console.terminal.backtest import show
from console.terminal.progress import run_progress
from core.engine.report import summarise
from tests.unit.core.engine.report.samples import (
    HOSTILE,
    curve,
    fill,
    header,
    large,
    market,
    order,
    result,
)


def shown(summary, **options):
    out = io.StringIO()
    show(summary, Console(file=out, width=140, highlight=False, **options))
    return out.getvalue()


def test_a_run_is_shown_with_header_totals_tables_and_warnings():
    text = shown(summarise(large(points=3_000, synthetic=True)))
    for expected in (
        "SYNTHETIC DATA",
        "100,000 records in 0.50 s (200,000 records/s)",
        "decision hash " + "12" * 32,
        "config " + "cd" * 6,
        "P&L after fees",
        "Max drawdown",
        "Sharpe",
        "365 a year",
        "against market",
        "48 more not shown",
        "Closed trades by exit reason",
        "kalshi-2026",
        "PRICE_OFF_GRID",
        "REVIEW",
    ):
        assert expected in text, expected


def test_records_that_were_read_before_the_period_are_not_counted_to_it_silently():
    whole = header()
    early = replace(whole, read_from_ns=whole.start_ns - 3600 * 10**9)
    assert "read from" not in shown(summarise(replace(result(), header=whole)))
    assert "100,000 records read from 2026-06-30 23:00 on" in shown(
        summarise(replace(result(), header=early))
    )


def test_recorded_data_is_not_called_synthetic():
    text = shown(summarise(result()))
    assert "RECORDED DATA" in text
    assert "SYNTHETIC" not in text


def test_unresolved_positions_and_deep_drawdowns_are_shown():
    left = market("M9", resolved=False, payout=None, open_quantity=D(5), open_value=D("2.10"))
    run = result(
        markets=[left],
        unresolved=[left],
        fills=[fill(0, "BUY", "0.4", "5", market="M9")],
        equity=curve([(0, 100), (1, 70)]),
        final_equity=D(70),
    )
    text = shown(summarise(run))
    assert "unresolved" in text
    assert "human review" in text


def test_hostile_market_titles_cannot_paint_the_terminal():
    titles = [
        "\x1b[31mred\x1b[0m \x07bell",
        "[bold red]markup[/] [link=http://x]y[/link]",
        *HOSTILE,
    ]
    markets = [market(f"M{i}", "1", question=t) for i, t in enumerate(titles)]
    orders = [order(0, code="CASH", instrument_id="\x1b[2Jclear.KALSHI")]
    text = shown(
        summarise(
            result(markets=markets, orders=orders, header=header(catalog="\x1b]0;owned\x07"))
        ),
        force_terminal=False,
    )
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold red]markup[/]" in text


def test_progress_off_a_terminal_is_a_plain_line_every_few_seconds(monkeypatch):
    out, clock = io.StringIO(), [0.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: clock[0])
    with run_progress(stream=out) as update:
        for second in range(12):
            clock[0] = float(second)
            update(second * 1_000, 12_000, 1_782_864_000_000_000_000)
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == ("5,000 of 12,000 (42%) records, 1,000 records/s, at 2026-07-01T00:00:00Z")


def test_progress_on_a_terminal_draws_a_bar_with_the_rate():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    progress_module.BAR_EVERY_S, kept = 0.0, progress_module.BAR_EVERY_S
    try:
        with run_progress(stream=out) as update:
            update(50, 100, 1_782_864_000_000_000_000)
            update(100, 100, 1_782_864_000_000_000_000)
    finally:
        progress_module.BAR_EVERY_S = kept
    assert "records/s" in out.getvalue()
    assert "2026-07-01" in out.getvalue()


def test_progress_can_be_switched_off():
    with run_progress(enabled=False) as update:
        assert update is None


def test_no_number_is_cut_on_a_terminal_of_eighty_columns():
    long = market(
        "M8",
        question="Will the long question of this market keep both of its ends? Alder",
        pnl=D("-12345.67"),
        fees=D("1234.5678"),
        open_quantity=D(500),
        open_value=D("210.10"),
    )
    out = io.StringIO()
    show(summarise(result(markets=[long])), Console(file=out, width=80, highlight=False))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    (row,) = [line for line in lines if "-$12,345.67" in line and "Alder" in line]
    for cell in ("$1,234.57", "paid 1", "500 ($210.10)"):
        assert cell in row, cell

"""A backtest on the terminal: what a trader reads first, first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.terminal.text import both_ends, shown, toned
from core.engine.report import wording as w
from core.engine.report.cautions import Severity

if TYPE_CHECKING:
    from core.engine.report import ReportPaths, Summary
    from core.engine.results import MarketRow

ROWS = 12
NAME_WIDTH = 46
#: A list (of exits) is folded below this width; a name is cut down to at least the other.
LIST_WIDTH, NAME_LEAST = 16, 12
#: Below this many columns the totals stand in one column and markets go without their exits.
WIDE = 100
STYLES = {Severity.REVIEW: "bold red", Severity.CAUTION: "yellow", Severity.NOTE: "dim"}


def show(summary: Summary, console: Console, report: ReportPaths | None = None) -> None:
    """Print the run: header, totals, markets, exits, fees, unresolved positions, warnings."""
    console.print(_head(summary))
    console.print(_totals(summary, console.width))
    console.print()
    _sections(summary, console)
    for caution in summary.cautions:
        style = STYLES[caution.severity]
        console.print(
            Text.assemble((f"{caution.severity.upper():>8}  ", style), shown(caution.text))
        )
    if report is not None:
        console.print(Text(f"\nreport: {report.page}"), soft_wrap=True)
    else:
        console.print(Text("\nAdd --report DIR for charts, all rows and CSV files.", style="dim"))


def _head(summary: Summary) -> Group:
    h = summary.result.header
    banner = (
        Text(" SYNTHETIC DATA ", style="black on yellow")
        if h.synthetic
        else Text(" RECORDED DATA ", style="black on green")
    )
    first = Text.assemble(
        shown(h.strategy.rpartition(":")[2], "bold"), " on ", shown(h.catalog, "bold"), "  ", banner
    )
    seconds = f" in {h.engine_seconds:.2f} s ({w.rate(h.records, h.engine_seconds)})"
    second = (
        f"{w.span(h.start_ns, h.end_ns)} · {w.records(h)}{seconds} · "
        f"capital {w.money(h.capital)} · latency {h.latency_ms:g} ms"
        + ("" if h.queue_position else " · no queue position")
        + ("" if h.merge_pairs else " · pairs held to settlement")
    )
    third = (
        f"strategy {h.strategy_version[:12]} · config {h.config_hash[:12]} · "
        f"data {h.catalog_sha[:12]} · limits {h.limits or '–'} · seed {h.seed}"
    )
    fourth = f"decision hash {summary.result.decision_hash}"
    return Group(first, Text(second), Text(third, style="dim"), Text(fourth, style="dim"), Text())


def _totals(summary: Summary, width: int) -> Table:
    t, s = summary.totals, summary.scores
    fall = t.max_drawdown
    drawdown = (
        f"{fall.fraction:.1%} ({w.day(fall.peak_ns)} to {w.day(fall.trough_ns)})"
        if fall
        else "none"
    )
    error = f" ± {t.sharpe_error:.2f}" if t.sharpe_error is not None else ""
    brier = "no resolved forecast"
    if s is not None and s.brier is not None:
        brier = f"{s.brier:.4f} against market {s.brier_market:.4f}, {s.paired:,} pairs"
    pairs: list[tuple[str, str | Text]] = [
        (
            "P&L after fees",
            Text.assemble(
                toned(w.money(t.pnl, True)), f" ({w.percent(t.return_fraction, 2, True)})"
            ),
        ),
        ("Final equity", f"{w.money(t.final_equity)} (cash {w.money(t.final_cash)})"),
        ("Fees paid", f"{w.exact_money(t.fees)} (P&L before fees {w.money(t.gross_pnl, True)})"),
        ("Max drawdown", drawdown),
        ("Win rate, markets", f"{w.percent(t.win_rate_markets)} of {t.markets_decided}"),
        ("Win rate, trades", f"{w.percent(t.win_rate_trades)} of {t.trades_closed}"),
        ("Sharpe", f"{w.ratio(t.sharpe)}{error} ({w.days(t.days)}, 365 a year)"),
        ("Sortino", w.ratio(t.sortino)),
        ("Profit factor", w.ratio(t.profit_factor)),
        ("Brier", brier),
        (
            "Exposure",
            f"{w.percent(t.exposure_time)} of the time, mean {w.percent(t.exposure_mean)} of equity",
        ),
        ("Turnover", f"{t.turnover:.2f}x capital ({w.money(t.volume)})"),
        ("Orders", f"{t.orders:,}, {t.orders_filled:,} filled, {t.orders_refused:,} refused"),
        ("Fills", f"{t.fills:,}, {w.percent(t.maker_share, 0)} maker"),
    ]
    table = Table.grid(padding=(0, 3, 0, 0))
    for style in ("dim", "", "dim", ""):
        table.add_column(style=style)
    half = -(-len(pairs) // 2) if width >= WIDE else len(pairs)
    for left, right in zip_longest(pairs[:half], pairs[half:], fillvalue=("", "")):
        table.add_row(*left, *right)
    return table


def _sections(summary: Summary, console: Console) -> None:
    console.print(_markets("Markets, largest P&L first", summary.markets, console.width))
    if summary.exits:
        rows = [
            (
                shown(r.reason),
                f"{r.trades:,}",
                toned(w.money(r.pnl, True)),
                w.money(r.fees),
                w.percent(r.win_rate, 0),
                w.held(r.mean_held_hours),
            )
            for r in summary.exits[:ROWS]
        ]
        columns = ("exit reason", "trades", "P&L", "fees", "won", "mean held")
        console.print(_table("Closed trades by exit reason", columns, rows))
    if summary.fees:
        fees = [
            (shown(f.rule), f"{f.fills:,}", w.money(f.volume), w.exact_money(f.fees))
            for f in summary.fees[:ROWS]
        ]
        console.print(_table("Fees", ("fee rule", "fills", "volume", "fees"), fees))
    if len(summary.strategies) > 1:
        by = [
            (shown(r.strategy_id), f"{r.fills:,}", f"{r.trades:,}", toned(w.money(r.pnl, True)))
            for r in summary.strategies
        ]
        console.print(_table("Strategies", ("strategy", "fills", "closed", "closed P&L"), by))
    if summary.result.unresolved:
        left = sorted(summary.result.unresolved, key=lambda m: (-m.open_value, m.market_id))
        label = "Unresolved at the end, largest value first"
        console.print(_markets(label, left, console.width))
    if summary.refusals:
        refused = [
            (shown(r.code), f"{r.orders:,}", shown(r.example)) for r in summary.refusals[:ROWS]
        ]
        console.print(
            _table("Refused, denied, rejected", ("code", "orders", "for example"), refused, (2,))
        )


def _markets(title: str, markets: Sequence[MarketRow], width: int) -> RenderableType:
    if not markets:
        return Text()
    rows = []
    for m in markets[:ROWS]:
        exits = ", ".join(f"{k} {n}" for k, n in sorted(m.exit_reasons.items()))
        outcome = Text(w.outcome(m), "yellow" if m.payout is None else "")
        still = f"{w.plain(m.open_quantity)} ({w.money(m.open_value)})" if m.open_quantity else ""
        name = shown(both_ends(m.question or m.market_id, NAME_WIDTH))
        rows.append(
            (
                name,
                f"{m.fills:,}",
                toned(w.money(m.pnl, True)),
                w.money(m.fees),
                outcome,
                still,
                shown(exits),
            )
        )
    more = len(markets) - ROWS
    label = title + (f" ({more:,} more not shown)" if more > 0 else "")
    columns = ("market", "fills", "P&L", "fees", w.OUTCOME, "still open", "exits")
    kept = [0, 1, 2, 3, 4]
    if any(m.open_quantity for m in markets[:ROWS]):
        kept.append(5)
    if width >= WIDE:
        kept.append(6)
    left = [at for at, i in enumerate(kept) if i >= 4]
    cells = [[r[i] for i in kept] for r in rows]
    return _table(label, [columns[i] for i in kept], cells, left, width)


def _table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    left: Sequence[int] = (),
    width: int = 0,
) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False
    )
    body = [tuple(row) for row in rows]
    widest = [max(len(str(cell)) for cell in column) for column in zip(columns, *body, strict=True)]
    last = len(columns) - 1
    if widest[last] > LIST_WIDTH and last in left:
        widest[last] = LIST_WIDTH
    room = max(width - sum(widest[1:]) - 3 * last - 2, NAME_LEAST)
    if width and room < widest[0]:
        body = [(shown(both_ends(str(row[0]), room)), *row[1:]) for row in body]
    for i, name in enumerate(columns):
        # Only the first column is cut, in its middle: a number never is. The last one may wrap.
        table.add_column(
            name,
            justify="left" if i == 0 or i in left else "right",
            no_wrap=i < last,
            overflow="fold" if i == last else "ellipsis",
            min_width=widest[i] if i else None,
        )
    for row in body:
        table.add_row(*row)
    return table

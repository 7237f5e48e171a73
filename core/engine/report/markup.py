"""The static part of the page: header, tiles, cautions and tables. Every text passes through `escape`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from core.engine.report import wording as w
from core.engine.report.cautions import REVIEW_DRAWDOWN, Severity
from core.engine.report.chain import Chains
from core.engine.report.returns import SAMPLING
from core.engine.report.summary import Summary
from core.engine.results import MarketRow

MARKET_ROWS = 200


def title(summary: Summary) -> str:
    """Return the page's title, escaped."""
    header = summary.result.header
    return escape(f"{header.strategy.rpartition(':')[2]} on {header.catalog} - backtest")


def body(summary: Summary, chains: Chains) -> str:
    """Return the page's body, escaped."""
    return "\n".join(
        [
            _head(summary),
            _cautions(summary),
            _tiles(summary),
            _figure("equity", "Equity and drawdown", "positions marked at the bid"),
            '<div class="pair">',
            _figure("pnl", "P&L by market", "after fees, best and worst")
            if summary.markets
            else "",
            _figure("daily", "P&L by day", "UTC days") if summary.totals.days > 1 else "",
            "</div>",
            _prices(summary, chains),
            _forecasts(summary),
            '<div class="pair">',
            _exits(summary),
            _fees(summary),
            "</div>",
            _benchmarks(summary),
            _markets("Markets", summary.markets),
            _markets("Unresolved at the end", summary.result.unresolved)
            if summary.result.unresolved
            else "",
            _refusals(summary),
            _paged(
                "fills",
                "Fills",
                len(summary.result.fills),
                _chain_note(chains),
                "click one for what it came from; " if chains.command and chains.fills else "",
            ),
            _paged("orders", "Orders", len(summary.result.orders)),
            _settings(summary),
        ]
    )


def _head(summary: Summary) -> str:
    header = summary.result.header
    badge = (
        '<span class="badge synthetic">synthetic data</span>'
        if header.synthetic
        else '<span class="badge recorded">recorded data</span>'
    )
    facts = [
        w.span(header.start_ns, header.end_ns),
        f"{w.records(header)} at {w.rate(header.records, header.engine_seconds)}",
        f"capital {w.money(header.capital)}",
        f"latency {header.latency_ms:g} ms",
        f"limits {header.limits or w.NONE}",
        *([] if header.queue_position else ["no queue position"]),
    ]
    return (
        f"<header><div><h1>{escape(header.strategy.rpartition(':')[2])}</h1>"
        f'<p class="sub">{badge} <b>{escape(header.catalog)}</b> · {escape(" · ".join(facts))}</p></div>'
        '<button id="theme" type="button" aria-label="Switch between light and dark">'
        "light / dark</button></header>"
    )


def _cautions(summary: Summary) -> str:
    if not summary.cautions:
        return ""
    words = {
        Severity.REVIEW: "review needed",
        Severity.CAUTION: "caution",
        Severity.NOTE: "note",
    }
    items = "".join(
        f'<li class="{c.severity}"><b>{words[c.severity]}</b> {escape(c.text)}</li>'
        for c in summary.cautions
    )
    return f'<ul class="cautions" aria-label="Warnings">{items}</ul>'


def _tiles(summary: Summary) -> str:
    t, scores = summary.totals, summary.scores
    fall = t.max_drawdown
    brier = "no resolved forecast"
    if scores is not None and scores.brier_edge is not None:
        interval = (
            f" (95 % {scores.edge_low:+.4f} to {scores.edge_high:+.4f})"
            if scores.edge_low is not None and scores.edge_high is not None
            else ""
        )
        brier = f"market {scores.brier_market:.4f}, edge {scores.brier_edge:+.4f}{interval}"
    error = "" if t.sharpe_error is None else f"± {t.sharpe_error:.2f}, "
    tiles = [
        ("P&L after fees", w.money(t.pnl, True), w.percent(t.return_fraction, 2, True), t.pnl),
        ("Final equity", w.money(t.final_equity), f"cash {w.money(t.final_cash)}", 0),
        ("Fees", w.money(t.fees), f"P&L before fees {w.money(t.gross_pnl, True)}", 0),
        (
            "Max drawdown",
            w.percent(fall.fraction if fall else 0.0),
            f"{w.day(fall.peak_ns)} to {w.day(fall.trough_ns)}" if fall else "never below a peak",
            -1 if fall and fall.fraction > REVIEW_DRAWDOWN else 0,
        ),
        (
            "Win rate",
            w.percent(t.win_rate_markets),
            f"of {t.markets_decided} markets; {w.percent(t.win_rate_trades)} of "
            f"{t.trades_closed} closed trades",
            0,
        ),
        ("Sharpe", w.ratio(t.sharpe), f"{error}{w.days(t.days)}, 365 a year", 0),
        ("Sortino", w.ratio(t.sortino), "downside below 0", 0),
        (
            "Profit factor",
            w.ratio(t.profit_factor),
            f"win {w.money(t.average_win)}, loss {w.money(t.average_loss)}",
            0,
        ),
        ("Brier", w.ratio(scores.brier if scores else None, 4), brier, 0),
        (
            "Exposure",
            w.percent(t.exposure_time),
            f"of the time; mean {w.percent(t.exposure_mean)}, peak {w.percent(t.exposure_peak)}",
            0,
        ),
        ("Turnover", f"{t.turnover:.2f}x", f"{w.money(t.volume)} traded", 0),
        (
            "Orders",
            f"{t.orders_filled:,} / {t.orders:,}",
            f"filled; {t.orders_refused:,} refused; {t.fills:,} fills, "
            f"{w.percent(t.maker_share, 0)} maker",
            0,
        ),
    ]
    cells = "".join(
        f'<div class="tile"><dt>{escape(name)}</dt><dd class="{_tone(tone)}">{escape(value)}</dd>'
        f"<p>{escape(note)}</p></div>"
        for name, value, note, tone in tiles
    )
    return f'<dl class="tiles">{cells}</dl>'


def _tone(value: object) -> str:
    return "" if not value else "gain" if value > 0 else "loss"  # type: ignore[operator]


def _figure(name: str, heading: str, note: str) -> str:
    return (
        f'<section class="card"><h2>{escape(heading)} <small>{escape(note)}</small></h2>'
        f'<div class="figure" id="figure-{name}"></div></section>'
    )


def _prices(summary: Summary, chains: Chains) -> str:
    if not summary.result.prices or not summary.totals.fills:
        return ""
    return (
        '<section class="card"><h2>Price and fills <small>best bid and ask around the fills, double click for the whole run'
        f"{'; click a fill for its chain' if chains.command else ''}</small></h2>"
        '<label class="pick">Instrument <select id="instrument"></select></label>'
        '<div class="figure" id="figure-price"></div></section>'
    )


def _forecasts(summary: Summary) -> str:
    s = summary.scores
    if s is None or not s.paired:
        left = f" ({s.recorded} recorded, none resolved with a market price)" if s else ""
        return (
            f'<section class="card"><h2>Forecasts</h2><p>No forecast to score{left}.</p></section>'
        )
    rows = [
        [
            f"{b.low:.1f} to {b.high:.1f}",
            f"{b.count:,}",
            f"{b.forecast:.3f}",
            f"{b.market:.3f}",
            f"{b.observed:.3f}",
            f"{b.observed_low:.3f} to {b.observed_high:.3f}",
        ]
        for b in s.bins
    ]
    table = _table(
        ("forecast", "count", "mean forecast", "market", "observed", "95 % interval"), rows
    )
    note = (
        f"{s.paired:,} forecasts of {s.clusters:,} events; log loss {w.ratio(s.log_loss, 4)}, market "
        f"{w.ratio(s.log_loss_market, 4)}. Left out: {s.unresolved:,} unresolved, {s.unpriced:,} "
        f"without a market price, {s.fractional:,} void or scalar."
    )
    return (
        '<div class="pair">'
        + _figure("reliability", "Reliability", "forecast against what happened")
        + f'<section class="card"><h2>Calibration</h2>{table}<p class="note">{escape(note)}</p></section>'
        + "</div>"
    )


def _exits(summary: Summary) -> str:
    rows = [
        [
            r.reason,
            f"{r.trades:,}",
            w.money(r.pnl, True),
            w.money(r.fees),
            w.percent(r.win_rate, 0),
            w.held(r.mean_held_hours),
        ]
        for r in summary.exits
    ]
    table = _table(("exit reason", "trades", "P&L", "fees", "won", "mean held"), rows, signed=(2,))
    return f'<section class="card"><h2>Closed trades by exit reason</h2>{table}</section>'


def _fees(summary: Summary) -> str:
    rows = [
        [f.rule, f"{f.fills:,}", w.money(f.volume), w.exact_money(f.fees)] for f in summary.fees
    ]
    table = _table(("fee rule", "fills", "volume", "fees"), rows)
    figure = '<div class="figure small" id="figure-fees"></div>' if summary.fees else ""
    return (
        '<section class="card"><h2>Fees by rule <small>each fill by the rule in force at its time'
        f"</small></h2>{figure}{table}</section>"
    )


def _benchmarks(summary: Summary) -> str:
    rows = [
        [b.name, w.money(b.pnl, True), w.money(b.excess, True), b.note] for b in summary.benchmarks
    ]
    if summary.scores is not None and summary.scores.brier_edge is not None:
        rows.append(
            [
                "always the market price",
                f"Brier {summary.scores.brier_market:.4f}",
                f"{summary.scores.brier_edge:+.4f} Brier",
                "forecasting the mid at the same moments; positive excess: the forecasts were better",
            ]
        )
    table = _table(
        ("instead", "result", "strategy's excess", "how"), rows, signed=(1, 2), wide=(3,)
    )
    return f'<section class="card"><h2>Against doing something simpler</h2>{table}</section>'


def _markets(heading: str, markets: Sequence[MarketRow]) -> str:
    rows = [
        [
            m.question or m.market_id,
            m.market_id,
            f"{m.fills:,}",
            w.money(m.pnl, True),
            w.money(m.fees),
            w.outcome(m),
            f"{w.plain(m.open_quantity)} ({w.money(m.open_value)})" if m.open_quantity else "",
            ", ".join(f"{k} {n}" for k, n in sorted(m.exit_reasons.items())),
        ]
        for m in markets[:MARKET_ROWS]
    ]
    columns = ("market", "id", "fills", "P&L", "fees", w.OUTCOME, "still open", "exits")
    more = (
        f'<p class="note">{len(markets) - MARKET_ROWS:,} more in result.json</p>'
        if len(markets) > MARKET_ROWS
        else ""
    )
    table = _table(columns, rows, signed=(3,), wide=(0, 1, 7))
    return f'<section class="card"><h2>{escape(heading)}</h2>{table}{more}</section>'


def _refusals(summary: Summary) -> str:
    if not summary.refusals:
        return ""
    rows = [[r.code, r.status, f"{r.orders:,}", r.example] for r in summary.refusals]
    table = _table(("code", "status", "orders", "for example"), rows, wide=(0, 1, 3))
    return f'<section class="card"><h2>Orders refused, denied or rejected</h2>{table}</section>'


def _chain_note(chains: Chains) -> str:
    """Say which fills lead to their rows, and how to read the others."""
    if not chains.fills:
        return ""
    if not chains.command:
        return (
            '<p class="note">No chain from a fill to its data: the run kept no ledger '
            "(<code>--ledger off</code>). Run it with one and click a fill.</p>"
        )
    which = (
        f"all {chains.fills:,} fills carry it"
        if chains.carried == chains.fills
        else f"the newest {chains.carried:,} of {chains.fills:,} fills carry it. The others, with SEQ "
        "from ledger_seq in fills.csv"
    )
    return (
        '<p class="note">Click a fill, here or in the chart, for the way from the data to the '
        f"settlement: {which}: <code>{escape(chains.command)}</code></p>"
    )


def _paged(name: str, heading: str, count: int, note: str = "", hint: str = "") -> str:
    return (
        f'<section class="card"><details id="{name}"><summary><h2>{heading} '
        f"<small>{count:,}; {hint}all of them in {name}.csv</small></h2></summary>"
        f'{note}<label class="pick">Find <input type="search" placeholder="market, reason, code"></label>'
        '<div class="scroll"></div><p class="pager"></p></details></section>'
    )


def _settings(summary: Summary) -> str:
    header = summary.result.header
    rows = [
        ["run", header.run_id],
        ["strategy", header.strategy],
        ["strategy version (sha256)", header.strategy_version],
        *[[f"parameter {k}", str(v)] for k, v in sorted(header.params.items())],
        ["config hash", header.config_hash],
        ["data hash", header.catalog_sha],
        ["decision hash", summary.result.decision_hash],
        ["risk limits", header.limits],
        ["seed", str(header.seed)],
        ["venues", ", ".join(header.venues)],
        ["Sharpe and Sortino", SAMPLING],
        *[[f"version of {k}", str(v)] for k, v in sorted(header.versions.items())],
    ]
    return f'<section class="card"><h2>Settings</h2>{_table(("setting", "value"), rows, wide=(0, 1))}</section>'


def _table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    signed: Sequence[int] = (),
    wide: Sequence[int] = (),
) -> str:
    """Return a table; column 0 and `wide` ones are text, the others numbers; `signed` are toned."""
    text = {0, *wide}
    head = "".join(
        f"<th{'' if i in text else ' class=n'}>{escape(c)}</th>" for i, c in enumerate(columns)
    )
    lines = []
    for row in rows:
        cells = []
        for i, cell in enumerate(row):
            tone = ""
            if i in signed:
                tone = " gain" if cell.startswith("+") else " loss" if cell.startswith("-") else ""
            name = f"{'t' if i in text else 'n'}{tone}"
            cells.append(f'<td class="{name}">{escape(cell)}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    empty = f'<tr><td colspan="{len(columns)}">none</td></tr>' if not lines else ""
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}{empty}</tbody></table></div>"
    )

"""From a user's request to a run and its report: the body of `beta backtest`."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.domain.errors import ConfigError, MarketError, UsageError
from core.domain.money import decimal_of

DEFAULT_DATA = "sample"
DEFAULT_CAPITAL = Decimal("100")
#: No account of the venues holds more, and the engine's money ends not far above.
MOST_CAPITAL = Decimal(10**9)


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestRequest:
    """What the user asked for, checked as far as it can be without the data.

    A TOML file has the same names at its top level, and the strategy's parameters under
    ``[params]``. A strategy file, and data that begins with a dot, are found from the file's folder.

    Attributes
    ----------
    limits : str
        Risk profile; empty = none was named.
    """

    strategy: str = ""
    data: str = DEFAULT_DATA
    period: str = ""
    capital: Decimal = DEFAULT_CAPITAL
    markets: tuple[str, ...] = ()
    latency_ms: float | None = None
    queue_position: bool = True
    merge_pairs: bool = True
    limits: str = ""
    seed: int = 0
    params: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def build(cls, config: Path | None, **options: Any) -> BacktestRequest:
        """Merge the config file (if any) and the command line's options; the latter win.

        Raises
        ------
        ConfigError
            If the file cannot be read or names something unknown.
        UsageError
            If an option has a value that cannot be used.
        """
        given = {k: v for k, v in options.items() if v is not None and v != []}
        periods = given.pop("period", [])
        if len(periods) > 1:
            raise UsageError(
                "give one period", ", ".join(periods), "run one backtest for each period"
            )
        if periods:
            given["period"] = periods[0]
        if not isinstance(given.get("data", ""), str):
            given["data"] = ",".join(given["data"])
        params = parse_params(given.pop("params", []))
        from_file = _read(config, [f.name for f in fields(cls)]) if config else {}
        merged = from_file | given
        merged["params"] = {**from_file.get("params", {}), **params}
        merged["capital"] = _capital(merged.get("capital", DEFAULT_CAPITAL))
        merged["markets"] = tuple(merged.get("markets", ()))
        if not merged.get("strategy"):
            raise UsageError("no strategy named", None, "beta backtest polymarket_arb")
        latency = merged.get("latency_ms")
        if latency is not None and not 0 <= latency < 3.6e6:
            raise UsageError(
                "latency must be between 0 and an hour, in ms", latency, "--latency-ms 75"
            )
        return cls(**merged)


def parse_params(pairs: Sequence[str]) -> dict[str, Any]:
    """Return ``NAME=VALUE`` texts as a dict.

    A value that is a JSON list or object becomes one. ``Class.name=value`` sets a parameter of one of
    several strategies.
    """
    out: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        owner, _, field_name = name.strip().rpartition(".")
        if not equals or not field_name:
            raise UsageError("a parameter is written NAME=VALUE", pair, "--param min_edge=0.02")
        target = out.setdefault(owner, {}) if owner else out
        if field_name in target:
            raise UsageError(
                "this parameter is given twice", name.strip(), f"give it once: --param {pair}"
            )
        target[field_name] = _value(pair, value.strip())
    return out


def _value(pair: str, text: str) -> Any:
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise UsageError(
            "this parameter is not valid JSON", pair, '--param \'names=["a", "b"]\''
        ) from exc


def _capital(value: Any) -> Decimal:
    try:
        capital = decimal_of(value, "capital")
    except MarketError as exc:
        raise UsageError(exc.what, value, "--capital 100") from exc
    if capital <= 0:
        raise UsageError("capital must be more than zero", value, "--capital 100")
    if capital > MOST_CAPITAL:
        raise UsageError(f"capital must be at most {MOST_CAPITAL:,}", value, "--capital 100")
    if capital != round(capital, 6):
        raise UsageError("capital is finer than a millionth of a dollar", value, "--capital 100")
    return capital


_TOML_KINDS = {
    "strategy": str,
    "data": str,
    "period": str,
    "markets": list,
    "latency_ms": float,
    "queue_position": bool,
    "merge_pairs": bool,
    "limits": str,
    "seed": int,
    "params": dict,
}


def _read(path: Path, known: list[str]) -> dict[str, Any]:
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError as exc:
        raise ConfigError("no such config file", path, "--config FILE.toml") from exc
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        raise ConfigError(
            f"the config file {path} cannot be read", exc, "docs/backtest.md says what it holds"
        ) from exc
    for name in found:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            mend = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"unknown setting in {path}", name, mend)
    if isinstance(found.get("latency_ms"), int | Decimal):
        found["latency_ms"] = float(found["latency_ms"])
    for name, kind in _TOML_KINDS.items():
        if name in found and type(found[name]) is not kind:
            raise ConfigError(
                f"{name} in {path} must be a {kind.__name__}", found[name], f"mend it in {path}"
            )
    if found.get("strategy", "").partition(":")[0].endswith(".py"):
        found["strategy"] = str(path.parent / found["strategy"])
    if found.get("data", "").startswith("."):
        found["data"] = str(path.parent / found["data"])
    return found


def ledger_folder(choice: str, strategy: str) -> Path | None:
    """Return the folder of the run's ledger: none for ``off``, a fresh one for ``auto``, else as named."""
    if choice == "off":
        return None
    if choice != "auto":
        return Path(choice)
    name = re.sub(r"[^A-Za-z0-9_]+", "-", Path(strategy).name).strip("-")[:60]
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return Path("runs") / "backtest" / f"{stamp}-{name}-{os.getpid()}"


def run(
    request: BacktestRequest,
    *,
    ledger: str,
    report: Path | None,
    as_json: bool,
    show_progress: bool,
) -> None:
    """Run `request`, print its report on stdout, and write the report folder if one is named."""
    from console.period import parse_period
    from console.strategy_lookup import import_strings
    from console.terminal.progress import run_progress
    from core.engine.backtest import BacktestSpec, run_backtest
    from core.engine.catalog.join import find_catalogs
    from core.engine.report import check_folder, dumps, summarise, write_report
    from core.risk.limits import DEFAULT_PROFILE

    if report is not None:
        check_folder(report)
    strategy = import_strings(request.strategy)
    catalog = find_catalogs(request.data)
    start_ns = end_ns = None
    if request.period:
        start_ns, end_ns = parse_period(request.period, *catalog.span_ns())
    spec = BacktestSpec(
        strategy=strategy,
        params=request.params,
        catalog=catalog.root,
        start_ns=start_ns,
        end_ns=end_ns,
        capital=request.capital,
        latency_ms=request.latency_ms,
        queue_position=request.queue_position,
        merge_pairs=request.merge_pairs,
        markets=request.markets or None,
        ledger=ledger_folder(ledger, request.strategy),
        limits=request.limits or DEFAULT_PROFILE,
        seed=request.seed,
    )
    with run_progress(show_progress) as update:
        result = run_backtest(spec, update)
    if result.header.interrupted:
        raise KeyboardInterrupt
    summary = summarise(result)
    paths = write_report(summary, report, spec.ledger) if report is not None else None
    if spec.ledger is not None:
        print(f"ledger: beta ledger tail --dir {spec.ledger}", file=sys.stderr)
    if as_json:
        print(dumps(summary))
        if paths is not None:
            print(f"report: {paths.page}", file=sys.stderr)
        return
    from rich.console import Console

    from console.terminal.backtest import show

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    show(summary, console, paths)

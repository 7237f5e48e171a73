"""`beta risk`: show limits and holds; halt, reduce, liquidate, resume; change a limit. Node alive or dead."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from console.terminal.text import inert

if TYPE_CHECKING:
    from rich.console import Console

    from core.risk.state_file import Command, RiskFile, RiskState

app = typer.Typer(
    help="Show limits and holds; halt, reduce, liquidate, resume; change a limit.",
    no_args_is_help=True,
    epilog="`beta risk show` exits 7 while trading is halted or liquidating, or when the state file "
    "cannot be trusted.",
)
Dir = Annotated[
    Path | None,
    typer.Option(
        "--dir",
        envvar="BETA_RISK",
        help="Folder of the risk state (risk.json). Without it: of the node that runs from here.",
    ),
]
Ledger = Annotated[
    str, typer.Option("--ledger", envvar="BETA_LEDGER", help="Ledger that gets the row.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Argument(help="Why; goes into the ledger.")]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        metavar="SECONDS",
        min=0,
        max=3600,
        help="Wait until the running node has obeyed and written the row; exit 3 when none runs, 5 when it does not in time.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
SCHEMA = 1
DEFAULT_DIR = Path("risk")
#: So long a node may take to obey the file, and to say so.
OBEYS_NS = 3_000_000_000


@app.command()
def show(directory: Dir = None, ledger: Ledger = "", as_json: AsJson = False) -> None:
    """Print what holds trading, and each limit: what is used of it and left. Exit 7 while halted."""
    from core.domain.errors import ExitCode
    from core.risk import headroom
    from core.risk.state_file import RiskFile
    from core.risk.states import TradingState

    (folder,) = _folders(directory)
    state = RiskFile(folder).read()
    report = _report(state, _holder(ledger, folder)) | {"headroom": headroom.read(folder)}
    report["own_hold"] = _own_hold(report, folder)
    if as_json:
        print(json.dumps(report, indent=1))
    else:
        _print_report(report)
    stopped = (TradingState.HALTED, TradingState.LIQUIDATING)
    if state.trading in stopped or (report["own_hold"] or {}).get("state") in stopped:
        raise typer.Exit(ExitCode.HALTED)


@app.command()
def halt(
    reason: Reason = "", directory: Dir = None, ledger: Ledger = "", wait: Wait = None
) -> None:
    """Stop every order, sales too, at once. Resting orders are cancelled by the node.

    Without --dir every node that runs from this folder is stopped.
    """
    folders = _folders(directory, every=True)
    for folder in folders:
        _order("HALTED", "risk halt", reason, folder, ledger)
    _obeyed(folders, ledger, wait)


@app.command()
def reduce(
    reason: Reason = "", directory: Dir = None, ledger: Ledger = "", wait: Wait = None
) -> None:
    """Let only sales pass."""
    folders = _folders(directory, every=True)
    for folder in folders:
        _order("REDUCE_ONLY", "risk reduce", reason, folder, ledger)
    _obeyed(folders, ledger, wait)


@app.command()
def liquidate(
    reason: Reason = "",
    directory: Dir = None,
    ledger: Ledger = "",
    yes: Yes = False,
    wait: Wait = None,
) -> None:
    """Sell everything that is held, then halt. A dead node does so when it starts again."""
    (folder,) = _folders(directory)
    _confirm(yes, "Cancel all orders and sell everything that is held?")
    _order("LIQUIDATING", "risk liquidate", reason, folder, ledger)
    _obeyed([folder], ledger, wait)


@app.command()
def resume(
    reason: Reason = "",
    directory: Dir = None,
    ledger: Ledger = "",
    yes: Yes = False,
    wait: Wait = None,
) -> None:
    """Lift every hold; losses are judged anew from here, the posture starts at DEFENSIVE."""
    (folder,) = _folders(directory)
    _confirm(yes, "Let strategies trade again?")
    _order("RUNNING", "risk resume", reason, folder, ledger)
    _obeyed([folder], ledger, wait)


@app.command(name="set")
def set_limits(
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY VALUE [KEY VALUE]...",
            help="For example exposure.market 0.08; beta risk show lists the keys.",
        ),
    ],
    directory: Dir = None,
    ledger: Ledger = "",
) -> None:
    """Change limits. Refused as a whole (exit 4) when the result would contradict itself."""
    from core.domain.errors import UsageError
    from core.risk.state_file import RiskFile

    if len(pairs) % 2:
        raise UsageError(
            "each limit needs a value", pairs[-1], "beta risk set exposure.market 0.08"
        )
    changes = dict(zip(pairs[::2], pairs[1::2], strict=True))
    (folder,) = _folders(directory)
    file = RiskFile(folder)
    now = file.read().limits().flat()
    before = {f"before {key}": now.get(key, "") for key in changes}
    state = file.change(changes, _command("risk set", changes | before))
    after = state.limits().flat()
    _tell("\n".join(f"{key} {now[key]} -> {after[key]}" for key in changes), file, ledger)


@app.command()
def profile(
    name: Annotated[str, typer.Argument(help="A shipped profile, or the path of a .toml file.")],
    directory: Dir = None,
    ledger: Ledger = "",
) -> None:
    """Put another profile in force; limits changed before are forgotten."""
    from core.risk.state_file import RiskFile

    (folder,) = _folders(directory)
    file = RiskFile(folder)
    path = str(Path(name).resolve()) if name.endswith(".toml") else name
    command = _command("risk profile", {"profile": path, "before profile": file.read().profile})
    file.change({}, command, profile=path)
    _tell(f"profile {path}", file, ledger)


def _folders(directory: Path | None, *, every: bool = False) -> list[Path]:
    """Return the folders a command is for, and say which: the given one, else those of the nodes here.

    Raises
    ------
    UsageError
        If the given folder is no node's, or several nodes have run here and the command is for one (not `every`).
    """
    from console.node import DEFAULT_HOME
    from core.domain.errors import UsageError

    found = sorted(DEFAULT_HOME.glob("*/*/risk"))
    if directory is not None:
        if not _is_a_nodes(directory):
            known = [directory / "risk"] if (directory / "risk").is_dir() else found
            names = (
                " or ".join(map(str, known))
                or "HOME/risk of a node that has run (beta paper --home HOME)"
            )
            raise UsageError(
                "no node keeps its risk state in this folder", directory, f"--dir {names}"
            )
        return [directory]
    if len(found) > 1 and not every:
        names = ", ".join(map(str, found))
        raise UsageError(
            "several nodes have run here", names, f"name one: beta risk ... --dir {found[0]}"
        )
    if not found:
        print(
            f"no node has run here: {DEFAULT_DIR} is obeyed by none (--dir HOME/risk names a node's)",
            file=sys.stderr,
        )
        return [DEFAULT_DIR]
    print(f"for {', '.join(map(str, found))}", file=sys.stderr)
    return found


def _is_a_nodes(folder: Path) -> bool:
    """Return whether a node watches `folder`, or will: an order to any other would be obeyed by none."""
    from core.risk.headroom import FILE

    if any((folder / name).exists() for name in ("risk.json", FILE)):
        return True
    return folder.name == "risk" and (folder.is_dir() or (folder.parent / "node.lock").exists())


def _order(state: str, name: str, reason: str, directory: Path, ledger: str) -> None:
    """Put the command on file, then into the ledger: the file is what stops a node, so it comes first."""
    from core.risk.state_file import RiskFile
    from core.risk.states import TradingState

    file = RiskFile(directory)
    command = _command(name, {"state": state, "reason": reason or "by hand"})
    file.order(TradingState(state), command)
    _tell(f"trading: {state}", file, ledger)


def _obeyed(folders: list[Path], ledger: str, wait: float | None) -> None:
    """Wait until the nodes of these folders have obeyed: the commands on file are then in force and rows.

    Raises
    ------
    NotRunningError
        If no node runs: the command is on file, and in force when one starts.
    TimeoutExpired
        If a node has not obeyed in time.
    """
    import time

    from core.domain.errors import NotRunningError, TimeoutExpired
    from core.risk.state_file import RiskFile

    if wait is None:
        return
    until = time.monotonic() + wait
    for folder in folders:
        file = RiskFile(folder)
        node = _holder(ledger, folder)
        if node is None:
            raise NotRunningError(
                "no node runs there", folder, "the command is on file: in force when one starts"
            )
        while file.read().pending:
            if time.monotonic() >= until:
                raise TimeoutExpired(
                    f"the node has not obeyed within {wait:g} s",
                    f"process {node}",
                    f"beta risk show --dir {folder}; kill {node} stops it",
                )
            time.sleep(0.05)


def _command(name: str, arguments: dict[str, str]) -> Command:
    import getpass
    import time
    import uuid

    from core.risk.state_file import Command

    return Command(uuid.uuid4().hex, name, arguments, getpass.getuser(), "cli", time.time_ns())


def _tell(done: str, file: RiskFile, ledger: str) -> None:
    """Print what was done and where its row is."""
    print(done)
    print(_record(file, ledger), file=sys.stderr)


def _record(file: RiskFile, ledger: str) -> str:
    """Write the waiting commands into the ledger, unless a node does; return a line that says so."""
    from core.domain.errors import LedgerError, LedgerLocked
    from core.ledger import DurableLedger
    from core.risk.command import record

    folder = _ledger(ledger, file.directory)
    if folder is None:
        return "no ledger here: the node writes the row when it starts (or give --ledger FOLDER)"
    try:
        with DurableLedger(folder) as opened:
            count = record(opened, file)
        return f"{count} command(s) recorded in {folder}"
    except LedgerLocked:
        return f"the running node holds {folder}: it obeys the file and writes the row"
    except LedgerError as exc:
        return f"in force, but not recorded yet ({exc.what}): the row waits in {file.path}"


def _ledger(option: str, risk: Path) -> Path | None:
    """Return the ledger folder meant, else the one beside the risk state; None when there is none."""
    from core.ledger.segment import segments

    chosen = Path(option) if option else risk.parent / "ledger"
    for path in (chosen, chosen / "ledger"):
        if path.is_dir() and segments(path):
            return path
    return None


def _holder(ledger: str, risk: Path) -> int | None:
    from core.ledger.lock import holder

    folder = _ledger(ledger, risk)
    return holder(folder) if folder is not None else None


def _confirm(yes: bool, question: str) -> None:
    from core.domain.errors import ConfigError

    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("this command asks before it acts", "no terminal", "add --yes")
    typer.confirm(question, abort=True)


def _report(state: RiskState, node: int | None) -> dict[str, Any]:
    limits = state.limits()
    return {
        "schema_version": SCHEMA,
        "trading": str(state.trading),
        "holds": [
            {"source": k, "state": str(h.state), "reason": h.reason, "since_ns": h.since_ns}
            for k, h in sorted(state.holds.items())
        ],
        "node_process": node,
        "profile": state.profile,
        "limits": limits.flat(),
        "changed": state.changes,
        "phases": [p.model_dump(mode="json") for p in limits.phases],
        "unrecorded_commands": len(state.pending),
    }


def _own_hold(report: dict[str, Any], folder: Path) -> dict[str, str] | None:
    """Return how the running node holds trading by itself (its ledger, its account), beyond the file; None if not."""
    from core.risk.state_file import RiskFile

    used, file = report["headroom"], RiskFile(folder).path
    if used is None or not report["node_process"]:
        return None
    if used.get("halted"):
        return {"state": "HALTED", "reason": used["halted"]}
    own = used["governors"]
    told_ns = file.stat().st_mtime_ns + OBEYS_NS if file.exists() else 0
    if own["trading"] in ("RUNNING", report["trading"]) or used["ts_ns"] < told_ns:
        return None
    return {"state": own["trading"], "reason": own["reason"]}


def _print_report(report: dict[str, Any]) -> None:
    """Print the report for people."""
    from rich.console import Console
    from rich.table import Table

    from core.domain.clock import iso_from_ns

    console = Console()
    colour = "green" if report["trading"] == "RUNNING" else "red"
    node = report["node_process"]
    console.print(f"trading  [bold {colour}]{report['trading']}[/]")
    console.print(f"node     {f'running (process {node})' if node else 'not running'}")
    if own := report["own_hold"]:
        console.print(f"itself   [bold red]{own['state']}[/]: {inert(own['reason'])}")
    console.print(f"profile  {inert(report['profile'])}")
    for hold in report["holds"]:
        since = f" since {iso_from_ns(hold['since_ns'])}" if hold["since_ns"] else ""
        console.print(
            f"hold     {inert(hold['source'])}: {hold['state']}, {inert(hold['reason'])}{since}"
        )
    if report["unrecorded_commands"]:
        console.print(f"waiting  {report['unrecorded_commands']} command(s) without a ledger row")
    if report["headroom"] is None:
        console.print("used     no node has run here yet: nothing is used")
    else:
        _print_headroom(console, report["headroom"], bool(node))
    table = Table(box=None, pad_edge=False)
    for title in ("limit", "value", ""):
        table.add_column(title)
    for key, value in report["limits"].items():
        if key == "phases":
            value = ", ".join(f"{p['name']} from {p['from_usd']}" for p in report["phases"])
        table.add_row(inert(key), inert(value), "changed" if key in report["changed"] else "")
    console.print(table)


def _print_headroom(console: Console, used: dict[str, Any], running: bool) -> None:
    """Print what is used of each limit and what is left, and where the governors stand."""
    import time

    from rich.table import Table

    from core.domain.clock import iso_from_ns

    age_s = max(0, (time.time_ns() - used["ts_ns"]) // 10**9)
    when = f"{age_s} s ago" if running else f"as the node left it, {iso_from_ns(used['ts_ns'])}"
    governors, breaker = used["governors"], used["breaker"]
    console.print(f"used     {when}; equity {_money(used['equity'])} dollars")
    console.print(
        f"posture  {governors['posture']} ({governors['posture_factor']} of the limits), "
        f"phase {governors['phase']} ({governors['phase_factor']})"
    )
    volatile = ", ".join(governors["volatile"]) or "none"
    console.print(f"volatile {inert(volatile)}")
    console.print(
        f"breaker  {breaker['state']}, {breaker['errors']} errors and {breaker['failed_attempts']} "
        f"failed attempts in a row"
    )
    for name, until in governors["paused_until_ns"].items():
        console.print(f"paused   {inert(name)} until {iso_from_ns(until)}")
    for barred in (governors["barred_until_ns"], breaker["barred_until_ns"]):
        for name, until in barred.items():
            console.print(f"barred   {inert(name)} until {iso_from_ns(until)}")
    for name, why in governors["barred_markets"].items():
        console.print(f"barred   {inert(name)}: {inert(why)}")
    table = Table(box=None, pad_edge=False)
    for title in ("limit", "of", "used", "most", "left"):
        table.add_column(title, justify="left" if title in ("limit", "of") else "right")
    for row in [*used["limits"], *used["budgets"]]:
        cells = (row["used"], row["most"], row["left"])
        shown = [str(x) for x in cells]
        if row["unit"] == "usd":
            shown = [_money(row["used"], up=True), _money(row["most"]), _money(row["left"])]
        name = f"{row['limit']} {row['share']}" if "share" in row else row["limit"]
        table.add_row(inert(name), inert(row["scope"]), *shown)
    console.print(table)


def _money(text: str, *, up: bool = False) -> str:
    """Return dollars with two decimals; rounded so that headroom is never shown larger than it is."""
    from decimal import ROUND_DOWN, ROUND_UP, Decimal

    rounding = ROUND_UP if up else ROUND_DOWN
    return f"{Decimal(text).quantize(Decimal('0.01'), rounding=rounding):,f}"

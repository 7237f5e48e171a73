"""What a ledger says about a run: enough to run it again, and what must be equal when it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from core.domain.errors import LedgerCorrupt, MissingData, UsageError
from core.engine.backtest import BacktestSpec
from core.engine.catalog import Catalog, catalog_names, find_catalog
from core.ledger.kinds import DataManifest, RunEnded, RunMode, RunStarted
from core.ledger.kinds.runs import RECORDING
from core.ledger.reader import LedgerReader
from core.ledger.selection import Selection
from core.risk.limits import Limits, load_profile


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """The first and last rows of a recorded backtest.

    Attributes
    ----------
    config : dict
        What decided the run, as `run.started` recorded it.
    catalog : str
        Name of the catalog it read.
    complete : bool
        Whether the run was sealed at its own end (not crashed, not interrupted).
    recording : int
        Rules by which its rows were written (`core.ledger.kinds.runs.RECORDING` are today's).
    """

    run_id: str
    config: dict[str, Any]
    catalog: str
    data_sha: str
    packages: dict[str, str]
    complete: bool
    recording: int = RECORDING


def recorded_run(ledger: Path, run_id: str = "") -> RecordedRun:
    """Return the recorded run with this id, or the newest backtest of the ledger.

    Raises
    ------
    UsageError
        If there is no such run, or it is a paper or live run.
    LedgerCorrupt
        If its first row does not say how to run it again.
    """
    reader = LedgerReader(ledger)
    if not run_id:
        runs = [r for r in reader.runs() if r.mode == RunMode.BACKTEST]
        if not runs:
            raise UsageError("the ledger holds no backtest", str(ledger), "beta ledger tail")
        run_id = runs[-1].run_id
    started, manifest, ended = _ends(reader, run_id)
    if started.mode is not RunMode.BACKTEST:
        mend = f"beta parity {run_id}"
        raise UsageError("only a backtest is replayed from a catalog", str(started.mode), mend)
    try:
        config = json.loads(started.config)
        config["strategies"][0]["path"]
    except (ValueError, KeyError, IndexError, TypeError) as exc:
        raise LedgerCorrupt("the run's configuration cannot be read", run_id) from exc
    complete = ended is not None and ended.outcome == "ended" and not ended.reason
    name = manifest.source.partition(":")[0] if manifest else ""
    return RecordedRun(
        run_id, config, name, str(config.get("catalog", "")), started.packages, complete,
        started.recording,
    )  # fmt: skip


def _ends(
    reader: LedgerReader, run_id: str
) -> tuple[RunStarted, DataManifest | None, RunEnded | None]:
    summary = reader.run(run_id)
    if not summary.first_seq:
        mend = "beta ledger restore BACKUP, then replay"
        raise UsageError("the run began in a file that was set aside", run_id, mend)
    started = reader.row(summary.first_seq).decoded()
    if not isinstance(started, RunStarted):
        raise LedgerCorrupt(
            "a run does not begin with run.started",
            run_id,
            "beta ledger verify; beta ledger runs lists the others",
        )
    manifest = None
    for row in reader.rows(Selection(run=run_id, kinds=("data.manifest",))):
        found = row.decoded()
        manifest = found if isinstance(found, DataManifest) else None
        break
    ended = reader.row(summary.last_seq).decoded() if summary.last_seq else None
    return started, manifest, ended if isinstance(ended, RunEnded) else None


def catalog_for(run: RecordedRun, given: str | Path | None = None) -> Catalog:
    """Return the catalog to replay on: the given one, the one of the recorded name, or one with its content.

    Raises
    ------
    MissingData
        If none is found.
    """
    if given is not None:
        return find_catalog(given)
    candidates = [run.catalog] if run.catalog else []
    candidates += [n for n in catalog_names() if n != run.catalog]
    best: Catalog | None = None
    for name in candidates:
        try:
            catalog = find_catalog(name)
        except MissingData:
            continue
        if catalog.meta.content_sha == run.data_sha:
            return catalog
        if name == run.catalog:
            best = catalog
    if best is None:
        raise MissingData(
            "the catalog of the run is not here",
            f"{run.catalog} ({run.data_sha[:16]})",
            "beta replay RUN --data FOLDER",
        )
    return best


def spec_of(run: RecordedRun, catalog: Path, ledger: Path) -> BacktestSpec:
    """Return the spec that repeats `run`.

    Raises
    ------
    LedgerCorrupt
        If the recorded configuration lacks something.
    """
    config = run.config
    try:
        strategies = config["strategies"]
        params = (
            strategies[0]["params"]
            if len(strategies) == 1
            else {s["path"].rpartition(":")[2]: s["params"] for s in strategies}
        )
        return BacktestSpec(
            strategy=",".join(s["path"] for s in strategies),
            params=params,
            catalog=catalog,
            start_ns=config["start_ns"],
            end_ns=config["end_ns"]
            + 1,  # recorded is the last moment, a spec's end is not included
            capital=Decimal(config["capital"]),
            latency_ms=config["latency_ms"],
            look_ns=config.get("look_ns", 0),
            queue_position=config["queue_position"],
            merge_pairs=config.get("merge_pairs", True),
            instruments=tuple(config["instruments"]),
            ledger=ledger,
            limits=Limits.of(config["limits"]),
            seed=config["seed"],
            venue_paths=config.get("venue_paths"),
        )
    except (KeyError, IndexError, TypeError, ArithmeticError) as exc:
        raise LedgerCorrupt(
            "the run's configuration lacks something", f"{run.run_id}: {exc!r}"
        ) from exc


def with_changes(run: RecordedRun, changes: dict[str, Any]) -> RecordedRun:
    """Return `run` with some of its configuration replaced: what would other settings have decided?

    Parameters
    ----------
    changes : dict
        Keys of the configuration. ``params`` are those of the one strategy; ``limits`` is the name of a
        profile, a TOML file, or ``section.key`` to text.

    Raises
    ------
    UsageError
        For a key that no configuration has, or parameters of several strategies.
    """
    config = json.loads(json.dumps(run.config))
    for key, value in changes.items():
        if key == "params":
            if len(config["strategies"]) != 1:
                raise UsageError(
                    "parameters can be changed in a run of one strategy", run.run_id, "leave -p out"
                )
            config["strategies"][0]["params"] |= value
        elif key == "limits" and isinstance(value, str):
            config["limits"] = load_profile(value).flat()
        elif key == "limits":
            config["limits"] |= value
        elif key in config:
            config[key] = value
        else:
            raise UsageError(
                "no such setting in the run", key, f"one of {', '.join(sorted(config))}"
            )
    return replace(run, config=config)


def causes(recorded: RecordedRun, replayed: RecordedRun) -> list[str]:
    """Return in words what decides the two runs differently: code, data, configuration, versions."""
    out = []
    old, new = recorded.config, replayed.config
    before = {s["path"]: s for s in old["strategies"]}
    for strategy in new["strategies"]:
        was = before.get(strategy["path"])
        if was is None:
            out.append(f"strategy: {strategy['path']} was not part of the run")
        elif was["version"] != strategy["version"]:
            shas = f"{was['version'][:12]} -> {strategy['version'][:12]}"
            out.append(f"code: {strategy['path']} has changed ({shas})")
        if was is not None and was["params"] != strategy["params"]:
            out += _changed(f"params of {strategy['path']}", was["params"], strategy["params"])
    if recorded.data_sha != replayed.data_sha:
        shas = f"{recorded.data_sha[:12]} -> {replayed.data_sha[:12]}"
        out.append(f"data: the catalog's content has changed ({shas})")
    skipped = {"strategies", "catalog"}
    for key in sorted({*old, *new} - skipped):
        if old.get(key) != new.get(key):
            a, b = old.get(key), new.get(key)
            if isinstance(a, dict) and isinstance(b, dict):
                out += _changed(f"config: {key}", a, b)
            else:
                out.append(f"config: {key} {a} -> {b}")
    out += _changed("packages", recorded.packages, replayed.packages)
    return out


def _changed(what: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{what}: {key} {old.get(key)} -> {new.get(key)}"
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    ]

"""`beta train CONFIG`: train, calibrate and measure forecasters, resumable and with leak guards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import TaskID

    from signals.training.config import TrainConfig

app = typer.Typer(
    help="Train, calibrate and measure forecasters.", no_args_is_help=True, add_completion=False
)
DATA = Path("../shared/data")


@app.command()
def train(
    config: Annotated[
        str | None, typer.Argument(help="A TOML file, or the name of a shipped one.")
    ] = None,
    data: Annotated[Path, typer.Option(help="Folder of the recordings.")] = DATA,
    out: Annotated[Path, typer.Option(help="Runs are kept below this folder.")] = Path(
        "runs/train"
    ),
    list_: Annotated[bool, typer.Option("--list", help="List the shipped configurations.")] = False,
    table: Annotated[
        bool, typer.Option("--table", help="Write the comparison table from finished runs.")
    ] = False,
    retrain: Annotated[
        bool,
        typer.Option("--retrain", help="Train a challenger and let the promotion gate decide."),
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget an earlier run of this configuration.")
    ] = False,
    held_out: Annotated[
        bool,
        typer.Option("--held-out", help="M4: score the last 48 training hours, not the test."),
    ] = False,
    threads: Annotated[
        int, typer.Option(help="Processor threads; 0 takes what the configuration says.")
    ] = 0,
    jobs: Annotated[
        int, typer.Option(min=1, help="Benchmarks: models trained side by side, one a process.")
    ] = 1,
    device: Annotated[str, typer.Option(help="cpu, or cuda where one is at hand.")] = "cpu",
    json_: Annotated[bool, typer.Option("--json", help="Print metrics as JSON.")] = False,
) -> None:
    """Train the models of a configuration and write metrics.json and report.html."""
    from signals.training.config import load_config, shipped_configs

    if list_:
        _list(shipped_configs(), json_)
        return
    if table:
        from signals.training.table import write_table

        typer.echo(write_table(out, Path("docs/forecasting-tables.md")))
        return
    if config is None:
        raise typer.BadParameter("name a configuration, or ask for --list or --table")
    loaded = load_config(config)
    if device != "cpu":
        loaded = loaded.on_device(device)
    if held_out:
        loaded = loaded.on_held_out()
    if threads > 0:
        loaded = loaded.model_copy(update={"threads": threads})
    folder = out / loaded.name
    if fresh and folder.exists():
        import shutil

        shutil.rmtree(folder)
    if retrain:
        _retrain(loaded, data, folder, json_)
        return
    from signals.training.run import run

    with _Bars(side_by_side=jobs > 1) as bars:
        summary = run(loaded, data, folder, bars.update, jobs)
    if json_:
        import json

        typer.echo(json.dumps({"schema_version": 1, **summary.metrics}))
        return
    _print(summary.rows)
    typer.echo(f"{folder / 'metrics.json'}\n{folder / 'report.html'}")


def _retrain(config: TrainConfig, data: Path, folder: Path, as_json: bool) -> None:
    """Train a challenger; say what the gate decided and what serves the winner."""
    from signals.training.retrain import retrain

    with _Bars() as bars:
        row = retrain(config, data, folder, bars.update)
    if as_json:
        typer.echo(row.model_dump_json(indent=1))
        return
    model = folder / ("champion" if row.promoted else "challenger")
    typer.echo(f"{row.sentence}\nrow: {folder / 'promotion.jsonl'}")
    serve = "to serve it" if row.promoted else "to serve the challenger all the same"
    typer.echo(f"{serve}: beta bundle build {model} --out FOLDER --key bundle.key")


class _Bars:
    """One progress bar per training job, on stderr."""

    def __init__(self, side_by_side: bool = False) -> None:
        self._side_by_side = side_by_side

    def __enter__(self) -> _Bars:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._console = console
        self._tasks: dict[str, TaskID] = {}
        self._running: dict[str, str] = {}
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._close(*self._running)
        self._progress.stop()

    def update(self, job: str, done: int, total: int, loss: float, validation: float) -> None:
        """Move the bar of a job; one after the other, a job has ended when the next begins."""
        text = f"loss {loss:.4f} validation {validation:.4f}"
        if job not in self._tasks:
            if not self._side_by_side:
                self._close(*self._running)
            self._tasks[job] = self._progress.add_task(job, total=total, loss=text)
        self._progress.update(self._tasks[job], completed=done, loss=text)
        self._running[job] = f"{job}: {done} of at most {total} epochs, {text}"
        if done >= total:
            self._close(job)

    def _close(self, *jobs: str) -> None:
        """Fill and stop the bars of jobs that ended, early or not; a log gets lines instead."""
        for job in jobs:
            said, task = self._running.pop(job), self._tasks[job]
            self._progress.update(task, total=self._progress.tasks[task].completed)
            self._progress.stop_task(task)
            if not self._console.is_terminal:
                typer.echo(said, err=True)


def _list(configs: list[Any], as_json: bool) -> None:
    import json

    rows = [{"name": c.name, "kind": c.kind, "title": c.title} for c in configs]
    if as_json:
        typer.echo(json.dumps({"schema_version": 1, "configs": rows}))
        return
    for row in rows:
        typer.echo(f"{row['name']:<24} {row['kind']:<12} {row['title']}")


COLUMNS = {
    "brier": ("forecaster", "rows", "events", "brier", "log_loss", "brier_gain", "verdict"),
    "mse": (
        "forecaster",
        "parameters",
        "mse",
        "mae",
        "crps",
        "coverage_conformal",
        "dm_p_value",
        "train_s",
    ),
    "owa": ("forecaster", "parameters", "smape", "mase", "owa", "msis", "coverage", "train_s"),
}


def _print(rows: list[Any]) -> None:
    """Print the columns a reader compares first; metrics.json and report.html hold all."""
    from rich.console import Console
    from rich.table import Table

    from signals.training.report import cell, plain

    values = [plain(r) for r in rows]
    kind = next(k for k in COLUMNS if k in values[0])
    table = Table()
    for name in COLUMNS[kind]:
        left = name == "forecaster"
        table.add_column(name.replace("_", " "), justify="left" if left else "right", no_wrap=True)
    for row in values:
        if row.get("horizon", "all") == "all":
            table.add_row(*(cell(row[c]) for c in COLUMNS[kind]))
    console = Console()
    console.width = max(console.width, 118)
    console.print(table)

"""`beta data`: sample, ingest, fetch, list, verify, export and clean catalogs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from console.cli.data_fetch import app as fetch_app

app = typer.Typer(
    help="Sample, ingest, fetch, list, verify and clean catalogs.", no_args_is_help=True
)
app.add_typer(fetch_app, name="fetch")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CatalogName = Annotated[str, typer.Argument(help="Catalog name or folder.")]


@app.command()
def sample(
    to: Annotated[str, typer.Option(help="Catalog name or folder.")] = "sample",
    force: Annotated[bool, typer.Option(help="Make it again when it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make the embedded sample: 90 synthetic days, equal on every machine."""
    from adapters.sample.build import build_sample
    from console.cli.data_view import show_catalog
    from core.engine.catalog import Catalog, catalog_path

    path = catalog_path(to)
    if force or not path.exists():
        build_sample(path, replace=path.exists())
    show_catalog(Catalog.open(path), limit=10, as_json=as_json)


@app.command()
def ingest(
    name: Annotated[str, typer.Argument(help="Recorded set, or csv for your own tables.")],
    source: Annotated[Path, typer.Option("--from", help="Folder of the set; csv: the table.")],
    to: Annotated[str, typer.Option(help="Catalog name or folder; default: the set's name.")] = "",
    extend: Annotated[bool, typer.Option(help="Add to a catalog that exists.")] = False,
    replace: Annotated[bool, typer.Option(help="Replace a catalog that exists.")] = False,
    part: Annotated[str, typer.Option(help="Part of the set (see docs/data.md).")] = "",
    assumed_size: Annotated[
        str, typer.Option(help="Contracts per side where the set recorded no size.")
    ] = "",
    hold_s: Annotated[
        float, typer.Option(help="Seconds a polled price stays valid (0 = the set's default).")
    ] = 0.0,
    official_only: Annotated[
        bool, typer.Option("--official-only", help="Settle on recorded results only.")
    ] = False,
    fmt: Annotated[str, typer.Option("--format", help="csv: trades, quotes, deltas or bars.")] = "",
    venue: Annotated[str, typer.Option(help="csv: venue code.")] = "POLYMARKET",
    markets: Annotated[Path | None, typer.Option(help="csv: table of markets.")] = None,
    bar: Annotated[str, typer.Option(help="csv bars: step, for example 1-HOUR.")] = "",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="csv: generated data.")] = False,
    as_json: AsJson = False,
) -> None:
    """Import a recorded set or a table into a catalog and print what can be trusted."""
    from adapters.history.sets import ingest as ingest_set
    from adapters.history.tabular import TableOptions, ingest_table
    from console.cli.data_view import progress_bar, show_report
    from core.domain.errors import UsageError
    from core.domain.money import decimal_of

    if extend and replace:
        raise UsageError("--extend and --replace exclude each other", "both", "give one of them")
    mode: Literal["create", "extend", "replace"] = (
        "extend" if extend else "replace" if replace else "create"
    )
    options: dict[str, Any] = {
        "part": part,
        "assumed_size": decimal_of(assumed_size, "--assumed-size") if assumed_size else None,
        "hold_s": hold_s,
        "official_only": official_only,
    }
    with progress_bar(f"ingest {name}", quiet=as_json) as progress:
        if name == "csv":
            table = TableOptions(venue=venue, markets=markets, bar=bar, synthetic=synthetic)
            report = ingest_table(source, fmt, to or None, table, mode=mode, progress=progress)
        else:
            given = {key: value for key, value in options.items() if value}
            report = ingest_set(
                name, source, to or None, mode=mode, options=given, progress=progress
            )
    show_report(report, as_json)


@app.command()
def join(
    catalogs: Annotated[list[str], typer.Argument(help="Catalogs to read as one.")],
    to: Annotated[
        str, typer.Option(help="Catalog name or folder; default: their names with +.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make one catalog of several, for a run that needs both: files are linked, not copied."""
    from console.cli.data_view import show_catalog
    from core.domain.errors import UsageError
    from core.engine.catalog import catalog_path, find_catalog
    from core.engine.catalog.join import joined

    if len(set(catalogs)) < 2:
        raise UsageError("joining needs two catalogs", ", ".join(catalogs), "beta data join A B")
    parts = [find_catalog(name) for name in catalogs]
    show_catalog(joined(parts, catalog_path(to) if to else None), limit=10, as_json=as_json)


@app.command()
def export(
    catalog: CatalogName,
    out: Annotated[Path, typer.Option("--to", help="File to write: .csv or .parquet.")],
    key: Annotated[str, typer.Option("--instrument", help="Instrument id; bars: bar type.")],
    fmt: Annotated[str, typer.Option("--format", help="trades, quotes, deltas or bars.")],
    as_json: AsJson = False,
) -> None:
    """Write one series as a table that `beta data ingest csv` reads back."""
    from adapters.history.tabular import export_table
    from console.cli.data_view import print_json
    from core.engine.catalog import find_catalog

    rows = export_table(find_catalog(catalog), fmt, key, out)
    if as_json:
        print_json({"schema_version": 1, "file": str(out), "rows": rows})
    else:
        print(f"{rows:,} rows in {out}")


@app.command()
def ls(
    catalog: Annotated[str, typer.Argument(help="One catalog in detail.")] = "",
    limit: Annotated[int, typer.Option(help="Markets to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the catalogs, or what one of them holds."""
    from console.cli.data_view import show_catalog, show_catalogs
    from core.engine.catalog import find_catalog

    if catalog:
        show_catalog(find_catalog(catalog), limit, as_json)
    else:
        show_catalogs(as_json)


@app.command()
def at(
    catalog: CatalogName,
    instrument: Annotated[str, typer.Option(help="Instrument id.")],
    time: Annotated[str, typer.Option(help="Moment, ISO 8601 UTC, or nanoseconds since 1970.")],
    as_json: AsJson = False,
) -> None:
    """Say what the data showed of one instrument at one moment: the rows a decision could have seen."""
    from console.cli.data_view import show_moment
    from core.domain.clock import ns_from_iso
    from core.engine.catalog import find_catalog
    from core.engine.catalog.moment import market_at

    at_ns = int(time) if time.isdecimal() and len(time) > 15 else ns_from_iso(time)
    show_moment(instrument, market_at(find_catalog(catalog), instrument, at_ns), as_json)


@app.command()
def verify(catalog: CatalogName, as_json: AsJson = False) -> None:
    """Check every file, row, book and settlement of a catalog; exit 1 when something is wrong."""
    from console.cli.data_view import progress_bar, show_verification
    from core.engine.catalog import find_catalog
    from core.engine.catalog.verify import verify_catalog

    opened = find_catalog(catalog)
    with progress_bar(f"verify {catalog}", quiet=as_json) as progress:
        result = verify_catalog(opened, progress)
    show_verification(result, as_json)
    if not result.passed:
        raise typer.Exit(1)


@app.command()
def clean(
    catalog: Annotated[str, typer.Argument(help="Catalog to thin; none: remove leftovers.")] = "",
    hot_days: Annotated[float, typer.Option(help="Days of full detail.")] = 30.0,
    warm_days: Annotated[float, typer.Option(help="Days of top of book by the minute.")] = 180.0,
    as_of: Annotated[str, typer.Option(help="End of the hot window (ISO 8601); default now.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Thin a catalog to its retention windows, or remove what killed imports left behind."""
    import time

    from console.cli.data_view import print_json, show_cleaning
    from core.domain.clock import ns_from_iso
    from core.engine.catalog import find_catalog
    from core.engine.catalog.resolve import sweep_catalogs
    from core.engine.catalog.retention import Windows, clean_catalog

    if not catalog:
        removed = [str(path) for path in sweep_catalogs()]
        if as_json:
            print_json({"schema_version": 1, "removed": removed})
        else:
            print("\n".join(f"removed {path}" for path in removed) or "nothing to remove")
        return
    now_ns = ns_from_iso(as_of) if as_of else time.time_ns()
    windows = Windows(hot_days, warm_days)
    done = clean_catalog(find_catalog(catalog).root, windows, now_ns, dry_run=dry_run)
    show_cleaning(done, as_json)

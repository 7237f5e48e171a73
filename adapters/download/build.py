"""From a download to a catalog, always the whole of it: rebuilt beside the old one, swapped at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from adapters.history.job import IngestJob, Progress
from adapters.history.report import IngestReport
from core.domain.errors import MissingData, OverlappingData
from core.engine.catalog import Catalog


def building(
    name: str,
    origin: str,
    raw: Path,
    target: Path,
    progress: Progress,
    load: Callable[[IngestJob], None],
) -> IngestReport:
    """Run `load` into a fresh catalog at `target` and return the report.

    Raises
    ------
    OverlappingData
        If `target` is a catalog that did not come from such a download.
    """
    require_own(target, origin)
    job = IngestJob(name, raw, target, origin=origin, mode="replace", progress=progress)
    with job:
        load(job)
    return job.report


def require_own(target: Path, origin: str) -> None:
    """Refuse to replace a catalog that was not built by a download from `origin`.

    Raises
    ------
    OverlappingData
        If it was not.
    """
    try:
        source = Catalog.open(target).meta.source
    except MissingData:
        if target.exists() and any(target.iterdir()):
            raise OverlappingData(
                "this folder is not a catalog and not empty", target, "name another with --to"
            ) from None
        return
    if source != origin:
        raise OverlappingData(
            "this catalog did not come from this download",
            f"{target}: {source}",
            "name another with --to",
        )

"""Catalogs by name: ``--data sample``, ``--data mine`` or a folder.

The embedded sample is made on first use. Its generator is found by import string: the core does not
know venues.
"""

from __future__ import annotations

import os
from pathlib import Path

from core.domain.errors import MissingData, UsageError
from core.engine.catalog.layout import CATALOG_JSON
from core.engine.catalog.reader import Catalog
from core.engine.catalog.staging import CatalogBusy, await_writer, sweep
from core.engine.venues import load_object

#: Name of the embedded synthetic catalog, and the function ``(Path) -> None`` that makes it.
SAMPLE = "sample"
SAMPLE_BUILDER = "adapters.sample.build:build_sample"


def catalogs_root() -> Path:
    """Return the folder of named catalogs: ``$BETA_CATALOGS``, else ``catalogs`` here."""
    return Path(os.environ.get("BETA_CATALOGS", "catalogs"))


def catalog_path(name_or_path: str | Path) -> Path:
    """Return the folder that a name or path stands for; it need not exist."""
    path = Path(name_or_path)
    if path.is_absolute() or len(path.parts) != 1 or (path / CATALOG_JSON).is_file():
        return path
    return catalogs_root() / path


def find_catalog(name_or_path: str | Path) -> Catalog:
    """Open a catalog by name or path; ``sample`` is generated when it is not there yet.

    Raises
    ------
    MissingData
        If there is none; the message lists the names that exist.
    """
    path = catalog_path(name_or_path)
    if not (path / CATALOG_JSON).is_file():
        if str(name_or_path) == SAMPLE:
            _make_sample(path)
        else:
            known = ", ".join([SAMPLE, *(n for n in catalog_names() if n != SAMPLE)])
            raise MissingData(
                "no such catalog", name_or_path, f"known catalogs: {known} (beta data ls)"
            )
    return Catalog.open(path)


def _make_sample(path: Path) -> None:
    """Make the sample at `path`, or wait for the process that is making it."""
    build = load_object(SAMPLE_BUILDER, "sample builder")
    while not (path / CATALOG_JSON).is_file():
        try:
            build(path)
        except CatalogBusy:
            await_writer(path)
        except UsageError:  # a process that came before us finished between the look and the lock
            if not (path / CATALOG_JSON).is_file():
                raise


def sweep_catalogs() -> list[Path]:
    """Remove what killed writers left among the named catalogs; return the folders removed."""
    root = catalogs_root()
    if not root.is_dir():
        return []
    names = {p.name[1:].rpartition(".")[0] for p in root.iterdir() if p.name.startswith(".")}
    return [path for name in sorted(names) if name for path in sweep(root / name)]


def catalog_names() -> list[str]:
    """Return the names of the catalogs in `catalogs_root`."""
    root = catalogs_root()
    if not root.is_dir():
        return []
    return sorted(
        p.name
        for p in root.iterdir()
        if not p.name.startswith(".") and (p / CATALOG_JSON).is_file()
    )

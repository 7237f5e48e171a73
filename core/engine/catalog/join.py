"""Several catalogs as one: events of one set beside the spot prices of another, for a run that needs both.

The result is a catalog of its own, ``A+B``, beside the named ones: its files are hard links, it can be listed,
verified, run and replayed by name, and it is made again when one of its parts has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from core.domain.errors import OverlappingData, UsageError
from core.engine.catalog.layout import CATALOG_JSON
from core.engine.catalog.meta import CatalogMeta
from core.engine.catalog.presence import require_whole
from core.engine.catalog.reader import Catalog
from core.engine.catalog.resolve import catalogs_root, find_catalog
from core.engine.catalog.writer import CatalogWriter


def find_catalogs(names: str) -> Catalog:
    """Open a catalog by name or path; several names, joined by commas, are opened as one.

    Raises
    ------
    MissingData
        If one of them does not exist.
    UsageError
        If one is named twice.
    OverlappingData
        If two of them hold the same data of one instrument, or tell one market differently.
    """
    if Path(names).exists() or "," not in names:
        return find_catalog(names)
    parts = [find_catalog(name.strip()) for name in names.split(",") if name.strip()]
    if len({p.root for p in parts}) < len(parts):
        raise UsageError("one catalog is named twice", names, "name each once: --data A --data B")
    return joined(parts) if len(parts) > 1 else parts[0]


def joined(parts: Sequence[Catalog], to: Path | None = None) -> Catalog:
    """Return one catalog with everything of `parts`; an earlier one of equal parts is used again.

    Parameters
    ----------
    to : Path, optional
        Its folder; None = ``A+B`` among the named catalogs.
    """
    name = "+".join(p.root.name for p in parts)
    path = to or catalogs_root() / name
    source = " + ".join(f"{p.meta.name} ({p.meta.content_sha[:16]})" for p in parts)
    description = path / CATALOG_JSON
    if description.is_file():
        if CatalogMeta.from_json(description.read_text(), description).source == source:
            return Catalog.open(path)
        if to is not None:
            raise OverlappingData("this catalog exists already", path, "choose another name")
    for part in parts:
        require_whole(part)
    with CatalogWriter(path, name=path.name, source=source, mode="replace") as writer:
        for part in parts:
            writer.absorb(part)
    return Catalog.open(path)

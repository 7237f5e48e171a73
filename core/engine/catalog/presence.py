"""A look at a catalog's files before a run: all there, none cut short, none that nobody listed.

Names, sizes and times only, so that it costs milliseconds; a file that was touched after the manifest
was written is hashed. `verify_catalog` reads every byte.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from core.domain.errors import CorruptData, MissingData, OverlappingData
from core.engine.catalog.layout import MANIFEST
from core.engine.catalog.reader import Catalog


def require_whole(catalog: Catalog) -> None:
    """Return if the engine would read exactly the files of the manifest.

    Raises
    ------
    MissingData
        If a listed file is not there.
    CorruptData
        If a listed file is not as it was written.
    OverlappingData
        If there is a data file that the manifest does not list: the engine would read it too, and
        count its period twice.
    """
    catalog.manifest()  # says what to do where it is missing
    found = dict(_files(catalog.root / "data", "data/"))
    written_ns = (catalog.root / MANIFEST).stat().st_mtime_ns
    mend = f"beta data verify {catalog.root}"
    for entry in catalog.manifest():
        have = found.pop(entry.path, None)
        if have is None:
            raise MissingData("a file of the catalog is missing", entry.path, mend)
        changed = have.st_size != entry.bytes or (
            have.st_mtime_ns > written_ns and _sha(catalog.root / entry.path) != entry.sha256
        )
        if changed:
            raise CorruptData("a file of the catalog was changed or cut short", entry.path, mend)
    if found:
        raise OverlappingData(
            "the catalog holds a data file that it does not list", min(found), mend
        )


def _sha(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path, prefix: str) -> list[tuple[str, os.stat_result]]:
    """Return path, size and time of every Parquet file below `folder`."""
    out: list[tuple[str, os.stat_result]] = []
    if not folder.is_dir():
        return out
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                out.extend(_files(Path(entry.path), f"{prefix}{entry.name}/"))
            elif entry.name.endswith(".parquet"):
                out.append((prefix + entry.name, entry.stat()))
    return out

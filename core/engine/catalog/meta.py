"""What a catalog is: its name, origin, whether it is synthetic, and every file it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core.domain.errors import CorruptData
from core.engine.catalog.arrays import from_numpy, from_text
from core.engine.catalog.layout import SCHEMA_VERSION, Kind

_MANIFEST_SCHEMA = pa.schema(
    [
        ("kind", pa.string()),
        ("key", pa.string()),
        ("path", pa.string()),
        ("start_ns", pa.int64()),
        ("end_ns", pa.int64()),
        ("rows", pa.int64()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("content", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One data file: what it holds and how to know that it is unharmed.

    Attributes
    ----------
    key : str
        Instrument id, or bar type for bars.
    start_ns, end_ns : int
        First and last `ts_init`, both inclusive.
    sha256 : str
        Hash of the file: finds damage.
    content : str
        Hash of the rows: equal rows, equal value, whatever the compressor did.
    """

    kind: Kind
    key: str
    path: str
    start_ns: int
    end_ns: int
    rows: int
    bytes: int
    sha256: str
    content: str


@dataclass(frozen=True, slots=True)
class Period:
    """All data of one kind: how much of it there is and from when to when."""

    kind: Kind
    start_ns: int
    end_ns: int
    rows: int
    instruments: int


@dataclass(frozen=True, slots=True)
class CatalogMeta:
    """Identity of a catalog.

    Attributes
    ----------
    synthetic : bool
        True when any of the data was generated; shown wherever results are shown.
    source : str
        Where the data came from, with version or date.
    created : str
        ISO 8601 time of the last commit.
    content_sha : str
        sha256 over all rows, markets and events: equal content, equal value on every machine.
    notes : tuple of str
        Assumptions a reader must know (assumed sizes, inferred times).
    full_from_ns, minutes_from_ns : int
        After a clean-up: data before `full_from_ns` is top of book by the minute, before
        `minutes_from_ns` hourly bars only. 0 = nothing was thinned.
    """

    name: str
    synthetic: bool
    source: str
    created: str
    content_sha: str
    periods: tuple[Period, ...]
    notes: tuple[str, ...] = ()
    licence: str = ""
    full_from_ns: int = 0
    minutes_from_ns: int = 0
    schema_version: int = SCHEMA_VERSION

    def to_json(self) -> str:
        """Return the text of ``catalog.json``."""
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str, where: Path) -> CatalogMeta:
        """Return the meta in `text`; `where` names the file in errors.

        Raises
        ------
        CorruptData
            If the text is not the meta of a catalog, or is of a newer schema.
        """
        try:
            raw = json.loads(text)
            version = int(raw["schema_version"])
            if version > SCHEMA_VERSION:
                raise CorruptData(
                    "catalog was written by a newer version",
                    f"{where} has schema {version}, this code reads {SCHEMA_VERSION}",
                    "update beta-trader or ingest again",
                )
            raw["periods"] = tuple(Period(**{**p, "kind": Kind(p["kind"])}) for p in raw["periods"])
            raw["notes"] = tuple(raw.get("notes", ()))
            return cls(**raw)
        except (ValueError, KeyError, TypeError) as exc:
            raise CorruptData(
                "catalog.json cannot be read", f"{where}: {exc}", again(where.parent)
            ) from exc


def periods_of(entries: Iterable[FileEntry]) -> tuple[Period, ...]:
    """Return one `Period` per kind of data in `entries`, in the order of `Kind`."""
    grouped: dict[Kind, list[FileEntry]] = {}
    for entry in entries:
        grouped.setdefault(entry.kind, []).append(entry)
    return tuple(
        Period(
            kind,
            min(e.start_ns for e in grouped[kind]),
            max(e.end_ns for e in grouped[kind]),
            sum(e.rows for e in grouped[kind]),
            len({e.key for e in grouped[kind]}),
        )
        for kind in Kind
        if kind in grouped
    )


def content_sha(entries: Iterable[FileEntry], extra: Iterable[bytes]) -> str:
    """Return one hash for the content of all files in `entries` and the blobs in `extra`."""
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda e: e.path):
        digest.update(f"{entry.path} {entry.content}\n".encode())
    for blob in extra:
        digest.update(hashlib.sha256(blob).digest())
    return digest.hexdigest()


def write_manifest(entries: Iterable[FileEntry], path: Path) -> None:
    """Write the list of files, sorted by path."""
    ordered = sorted(entries, key=lambda e: e.path)
    arrays = []
    for field in _MANIFEST_SCHEMA:
        column = [getattr(entry, field.name) for entry in ordered]
        is_text = field.type == pa.string()
        arrays.append(from_text(column) if is_text else from_numpy(np.array(column), field.type))
    pq.write_table(pa.Table.from_arrays(arrays, schema=_MANIFEST_SCHEMA), path, compression="zstd")


def read_manifest(path: Path) -> list[FileEntry]:
    """Read the list of files.

    Raises
    ------
    CorruptData
        If it cannot be read.
    """
    try:
        columns = pq.ParquetFile(path).read().to_pydict()  # read_table imports pandas
        names = _MANIFEST_SCHEMA.names
        rows = zip(*(columns[name] for name in names), strict=True)
        return [FileEntry(Kind(row[0]), *row[1:]) for row in rows]
    except KeyError as exc:
        raise CorruptData(
            "the catalog was made by an older version",
            f"{path} has no column {exc}",
            again(path.parent),
        ) from exc
    except (OSError, ValueError, pa.ArrowException) as exc:
        raise CorruptData(
            "catalog manifest cannot be read", f"{path}: {exc}", again(path.parent)
        ) from exc


def again(folder: Path) -> str:
    """Return the command that makes a catalog anew."""
    if folder.name == "sample":
        return "beta data sample --force"
    return f"beta data ingest SET --from DIR --to {folder} --replace (or beta data fetch)"

"""Which rows: a run, a window of time, an hour, kinds, or a manifest that lists several."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.domain.clock import NS_PER_SECOND, ns_from_iso
from core.domain.errors import UsageError

MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows that satisfy every given condition; the empty selection is the whole ledger.

    Attributes
    ----------
    run : str
        Run id.
    start_ns, end_ns : int, optional
        Half-open window of ``ts_event``.
    kinds : tuple of str
        Names without version; a trailing ``*`` matches the rest (``order.*``).
    first_seq, last_seq : int
        Row numbers, both inclusive; 0 = open.
    """

    run: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    kinds: tuple[str, ...] = ()
    first_seq: int = 0
    last_seq: int = 0

    def where(self, first: int, last: int) -> tuple[str, tuple[int | str, ...]]:
        """Return the SQL condition and its values for rows from `first` to `last` (0 = open)."""
        parts: list[str] = []
        values: list[int | str] = []
        for condition, value in (
            ("seq >= ?", first or None),
            ("seq <= ?", last or None),
            ("run_id = ?", self.run or None),
            ("ts_event >= ?", self.start_ns),
            ("ts_event < ?", self.end_ns),
        ):
            if value is not None:
                parts.append(condition)
                values.append(value)
        if self.kinds:
            parts.append("(" + " OR ".join(["kind GLOB ?"] * len(self.kinds)) + ")")
            values += [k if k.endswith("*") else f"{k}@*" for k in self.kinds]
        return ("WHERE " + " AND ".join(parts) if parts else ""), tuple(values)


def hour(text: str, run: str = "") -> Selection:
    """Return the selection of one UTC hour, for example ``2026-11-20T14``."""
    start = ns_from_iso(text if ":" in text else text + ":00")
    if start % (3_600 * NS_PER_SECOND):
        raise UsageError("an hour begins on the hour", text, "use 2026-11-20T14")
    return Selection(run=run, start_ns=start, end_ns=start + 3_600 * NS_PER_SECOND)


def window(start: str, end: str, run: str = "") -> Selection:
    """Return the selection of a half-open window of ISO times; an empty text leaves that side open."""
    out = Selection(
        run=run,
        start_ns=ns_from_iso(start) if start else None,
        end_ns=ns_from_iso(end) if end else None,
    )
    if out.start_ns is not None and out.end_ns is not None and out.end_ns <= out.start_ns:
        raise UsageError(
            "a window must end after it begins", f"{start} .. {end}", "--from before --to"
        )
    return out


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a manifest."""

    run: str
    start: str = ""
    end: str = ""


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A manifest file."""

    schema_version: int
    selections: tuple[_Entry, ...]


def read_manifest(path: Path) -> tuple[Selection, ...]:
    """Return the selections of a manifest file.

    ``{"schema_version": 1, "selections": [{"run": "...", "start": "...", "end": "..."}]}``; start and
    end are optional ISO times.

    Raises
    ------
    UsageError
        If the file is no manifest.
    """
    try:
        manifest = msgspec.convert(json.loads(path.read_bytes()), _Manifest)
    except (OSError, ValueError) as exc:
        raise UsageError("not a manifest", f"{path}: {exc}", "docs/replay.md shows one") from exc
    if manifest.schema_version != MANIFEST_VERSION:
        raise UsageError(
            "a manifest of another version", manifest.schema_version, "docs/replay.md shows one"
        )
    return tuple(window(e.start, e.end, e.run) for e in manifest.selections)

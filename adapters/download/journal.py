"""The download's memory: one JSON line per page that is safely on disk, so that a kill loses nothing.

A line counts only when it is whole; a torn last line is what a kill leaves behind and is cut off. A
line is written after the rows it stands for, so rows without a line are overwritten, never doubled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from core.domain.errors import CorruptData, UsageError

JOURNAL_SCHEMA = 1


@dataclass(slots=True)
class Progress:
    """How far one unit has come.

    Attributes
    ----------
    attempt : int
        Rows of earlier attempts do not count.
    cursor : str, optional
        Where the next page starts.
    parts : list of int
        Numbers of the raw files that hold its rows.
    run : int
        Run in which it was last touched.
    """

    table: str
    key: str
    start_s: int
    end_s: int
    tier: str = ""
    attempt: int = 0
    cursor: str | None = None
    pages: int = 0
    rows: int = 0
    done: bool = False
    parts: list[int] | None = None
    run: int = 0


class Journal:
    """Append-only state of a download folder.

    Parameters
    ----------
    path : Path
        ``state.jsonl``.
    identity : dict
        What is being downloaded; another identity in the same folder is refused.

    Attributes
    ----------
    units : dict of str to Progress
    run : int
        Number of the current run; an interrupted run is continued under its number.
    next_part : int
        Number of the next raw file.
    """

    def __init__(self, path: Path, identity: dict[str, Any]) -> None:
        self.path = path
        self.units: dict[str, Progress] = {}
        self._by_key: dict[tuple[str, str], dict[str, Progress]] = {}
        self.run = 0
        self.next_part = 1
        self._open_run = False
        self._file: IO[bytes] | None = None
        lines = self._read()
        if lines:
            self._check(lines[0], identity)
            for line in lines[1:]:
                self._apply(line)
        self._file = path.open("ab")
        if not lines:
            self._write([{"schema": JOURNAL_SCHEMA, "identity": identity}])

    def begin(self) -> bool:
        """Start a run, or continue the one that was interrupted; return whether it is a continuation."""
        if self._open_run:
            return True
        self.run += 1
        self._open_run = True
        self._write([{"run": self.run}])
        return False

    def end(self) -> None:
        """Close the run: the next one takes listings anew."""
        self._open_run = False
        self._write([{"ended": self.run}])

    def record(self, changed: Iterable[tuple[str, Progress]], part: int | None) -> None:
        """Make the state of these units durable, after their rows are."""
        lines: list[dict[str, Any]] = [{"unit": name, **asdict(p)} for name, p in changed]
        if part is not None:
            self.next_part = part + 1
            lines.append({"part": part})
        self._write(lines)

    def put(self, name: str, at: Progress) -> None:
        """Set the state of a unit in memory."""
        self.units[name] = at
        self._by_key.setdefault((at.table, at.key), {})[name] = at

    def of(self, table: str, key: str) -> list[Progress]:
        """Return the state of all units of one key."""
        return list(self._by_key.get((table, key), {}).values())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        raw = self.path.read_bytes()
        whole, _, torn = raw.rpartition(b"\n")
        if torn:
            with self.path.open("r+b") as file:
                file.truncate(len(whole) + 1 if whole else 0)
        lines = []
        for number, text in enumerate(whole.splitlines()):
            try:
                lines.append(json.loads(text))
            except ValueError as exc:
                raise CorruptData(
                    "the state of this download cannot be read",
                    f"{self.path} line {number + 1}",
                    "start over with --restart",
                ) from exc
        return lines

    def _check(self, head: dict[str, Any], identity: dict[str, Any]) -> None:
        if head.get("schema") != JOURNAL_SCHEMA:
            raise CorruptData(
                "this download was begun by another version", head, "start over with --restart"
            )
        if head.get("identity") != identity:
            raise UsageError(
                "this folder holds another download",
                f"{head.get('identity')}, asked for {identity}",
                "name another catalog, or start over with --restart",
            )

    def _apply(self, line: dict[str, Any]) -> None:
        if "unit" in line:
            name = line.pop("unit")
            self.put(name, Progress(**line))
        elif "part" in line:
            self.next_part = int(line["part"]) + 1
        elif "run" in line:
            self.run, self._open_run = int(line["run"]), True
        elif "ended" in line:
            self._open_run = False

    def _write(self, lines: list[dict[str, Any]]) -> None:
        assert self._file is not None
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        self._file.write(text.encode())
        self._file.flush()
        os.fsync(self._file.fileno())

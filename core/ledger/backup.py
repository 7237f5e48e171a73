"""Copies of a ledger that can be trusted: taken while it is written, verified, restored, set aside.

A backup is a folder with the same files and ``backup.json`` (sha256 of each file, and the head). It
becomes visible under its name only when it is complete and verified.
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import closing
from pathlib import Path

import apsw
import msgspec

from core.domain.clock import iso_from_ns
from core.domain.errors import LedgerCorrupt, LedgerWriteError, MissingData, UsageError
from core.ledger.anchors import FILE as ANCHORS
from core.ledger.anchors import write_anchor
from core.ledger.lock import DirectoryLock
from core.ledger.rows import Head
from core.ledger.segment import file_sha256, fsync_directory, open_reader, segments
from core.ledger.verify import Progress, Report, verify

MANIFEST = "backup.json"


class BackupFile(msgspec.Struct, frozen=True):
    """One file of a backup."""

    name: str
    sha256: str
    bytes: int


class Backup(msgspec.Struct, frozen=True):
    """What ``backup.json`` holds."""

    schema_version: int
    created: str
    head_seq: int
    head_hash: str
    rows: int
    files: tuple[BackupFile, ...]


def backup(directory: Path, destination: Path, progress: Progress | None = None) -> Backup:
    """Copy a ledger, also one that is being written, and verify the copy.

    Parameters
    ----------
    destination : Path
        A folder that does not exist yet.

    Raises
    ------
    UsageError
        If `destination` exists.
    LedgerCorrupt
        If the copy does not verify; it is then left as ``<destination>.partial``.
    LedgerWriteError
        If the destination cannot be written.
    """
    names = segments(directory)
    if not names:
        raise MissingData("no ledger here", str(directory), "--dir names another folder")
    if destination.exists():
        raise UsageError(
            "a backup must go to a new folder",
            str(destination),
            f"beta ledger backup {destination}-2",
        )
    partial = destination.with_name(destination.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for name in names[:-1]:
            shutil.copyfile(name.path, partial / name.path.name)
        _copy_live(names[-1].path, partial / names[-1].path.name)
        if (directory / ANCHORS).exists():
            shutil.copyfile(directory / ANCHORS, partial / ANCHORS)
    except (OSError, apsw.Error) as exc:
        raise LedgerWriteError(
            "a backup cannot be written",
            f"{partial}: {exc}",
            "name a folder that can be written, or free disk space",
        ) from exc
    _drop_newest_file_anchors(partial, names[-1].path.name)
    report = verify(partial, progress=progress)
    _refuse(report, "the copy does not verify", partial)
    files = tuple(
        BackupFile(n.path.name, file_sha256(n.path), n.path.stat().st_size)
        for n in segments(partial)
    )
    done = Backup(
        1, iso_from_ns(time.time_ns()), report.head_seq, report.head_hash, report.rows, files
    )
    (partial / MANIFEST).write_bytes(
        msgspec.json.format(msgspec.json.encode(done), indent=1) + b"\n"
    )
    for path in partial.iterdir():
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
    partial.rename(destination)
    fsync_directory(destination.parent)
    head = Head(report.head_seq, bytes.fromhex(report.head_hash))
    write_anchor(directory, head, names[-1].path.name, "backup", time.time_ns())
    return done


def read_backup(source: Path) -> Backup:
    """Return the manifest of a backup after checking the sha256 of each of its files.

    Raises
    ------
    MissingData
        If the folder is no backup.
    LedgerCorrupt
        If a file is missing or its bytes are not those that were backed up.
    """
    path = source / MANIFEST
    if not path.is_file():
        raise MissingData(
            "not a backup",
            f"{source} has no {MANIFEST}",
            "name a folder that beta ledger backup wrote",
        )
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Backup)
    except msgspec.MsgspecError as exc:
        raise LedgerCorrupt(
            "the manifest of a backup cannot be read", f"{path}: {exc}", "use another backup"
        ) from exc
    for file in manifest.files:
        copy = source / file.name
        if not copy.is_file() or file_sha256(copy) != file.sha256:
            raise LedgerCorrupt(
                "a file of the backup is missing or changed", file.name, "use another backup"
            )
    return manifest


def restore(
    source: Path, directory: Path, *, replace: bool = False, progress: Progress | None = None
) -> Report:
    """Bring a backup back after verifying every byte and every row of it.

    Parameters
    ----------
    directory : Path
        Where the ledger shall be. With `replace`, what is there is moved aside, never deleted.

    Raises
    ------
    UsageError
        If a ledger is there and `replace` is not set.
    LedgerLocked
        If it is being written.
    LedgerCorrupt
        If the backup does not verify; nothing has been touched then.
    """
    manifest = read_backup(source)
    report = verify(source, expect_head=manifest.head_hash, progress=progress)
    _refuse(report, "the backup does not verify", source)
    aside: Path | None = None
    if segments(directory):
        if not replace:
            raise UsageError(
                "a ledger is already there", str(directory), "add --replace to move it aside"
            )
        lock = DirectoryLock(directory)
        lock.acquire()
        try:
            aside = directory.with_name(f"{directory.name}.replaced-{time.time_ns()}")
            directory.rename(aside)
        finally:
            lock.release()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(source.iterdir()):
            if path.name != MANIFEST and path.is_file():
                shutil.copyfile(path, directory / path.name)
                with (directory / path.name).open("rb") as handle:
                    os.fsync(handle.fileno())
        fsync_directory(directory)
    except OSError as exc:
        raise LedgerWriteError(
            "the backup cannot be restored",
            f"{directory}: {exc}",
            "name a folder that can be written, or free disk space",
        ) from exc
    head = Head(report.head_seq, bytes.fromhex(report.head_hash))
    newest = segments(directory)[-1].path
    write_anchor(directory, head, newest.name, "restore", time.time_ns(), file_sha256(newest))
    if aside is not None:
        report.notes.append(f"the ledger that was there is now {aside}")
    return report


def _copy_live(source: Path, destination: Path) -> None:
    """Copy a file in one read transaction: a consistent state, without stopping its writer."""
    with closing(open_reader(source)) as reader, closing(apsw.Connection(str(destination))) as copy:
        with copy.backup("main", reader, "main") as work:
            work.step(-1)
        copy.pragma("journal_mode", "DELETE")


def _drop_newest_file_anchors(folder: Path, newest: str) -> None:
    """Keep heads, but not the sha256 of the file that was copied page by page."""
    path = folder / ANCHORS
    if path.exists():
        lines = []
        for line in path.read_bytes().splitlines():
            if newest.encode() in line and b'"file_sha256":"' in line:
                line = msgspec.json.encode({**msgspec.json.decode(line), "file_sha256": ""})
            lines.append(line)
        path.write_bytes(b"".join(line + b"\n" for line in lines))


def _refuse(report: Report, what: str, where: Path) -> None:
    """Raise when a report has findings."""
    bad = report.first_bad
    if bad is not None:
        row = f"row {bad.seq}: " if bad.seq is not None else ""
        raise LedgerCorrupt(
            what,
            f"{where}: {row}{bad.code}: {bad.detail}",
            "beta ledger verify --dir " + str(where),
        )

"""Installed bundles: one atomic switch to install, one to roll back.

::

    STORE/trusted/<key>.pub
    STORE/<name>/<version>/...        files of the bundle, read only
    STORE/<name>/active.json          {"current": .., "before": [..]}, replaced by rename
    STORE/<name>/history.jsonl        every switch with its time

`active.json` alone says what is served. It is written beside and renamed, so that a crash at any
point leaves the old bundle or the new one, never neither.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from signals.bundle.keys import TrustStore
from signals.bundle.manifest import FILES, SLUG_PATTERN
from signals.bundle.predictor import Predictor
from signals.bundle.read import load_predictor, read_bundle
from signals.errors import BundleAltered, BundleError, BundleExpired
from signals.features.spec import FeatureSet

KEEP_BEFORE: Final = 20
ACTIVE: Final = "active.json"
TRUSTED: Final = "trusted"
SLUG: Final = re.compile(SLUG_PATTERN)


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed version and its state: ``current``, ``previous``, ``kept`` or an error."""

    name: str
    version: str
    state: str
    expires_ns: int
    problem: str = ""


class BundleStore:
    """A folder of installed bundles."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trust = TrustStore(folder / TRUSTED)

    def install(self, source: Path, now_ns: int) -> tuple[str, str]:
        """Verify a bundle in full, copy it, verify the copy, and switch to it.

        Returns
        -------
        tuple[str, str]
            Name and version.

        Raises
        ------
        BundleError
            Any reason of `load_predictor`, or another bundle of this version is installed.
        """
        bundle = read_bundle(source, self.trust, now_ns)
        name, version = bundle.manifest.name, bundle.manifest.version
        if name == self.trust.folder.name:
            raise BundleError(
                "this name is taken by the store itself", name, "build it with another name"
            )
        with self._locked(name) as place:
            target = place / version
            if target.exists():
                same = read_bundle(target, self.trust, now_ns).sha256 == bundle.sha256
                if not same:
                    mend = "give it a new version: beta bundle build --version"
                    raise BundleError("another bundle of this version is installed", version, mend)
                load_predictor(target, self.trust, now_ns)
            else:
                self._copy(source, target, now_ns)
            self._switch(place, version, now_ns, "install")
        return name, version

    def rollback(self, name: str, now_ns: int) -> tuple[str, str]:
        """Switch back to the newest earlier version that still verifies.

        Returns
        -------
        tuple[str, str]
            The version that was left and the one now served.

        Raises
        ------
        BundleError
            The name cannot be one, or no earlier version verifies; what is served does not change.
        """
        _active(self._place(name))  # a name never installed leaves no folder behind
        with self._locked(name) as place:
            active = _active(place)
            left, problems = active["current"], []
            for version in reversed(active["before"]):
                try:
                    load_predictor(place / version, self.trust, now_ns)
                except BundleError as error:
                    problems.append(f"{version}: {error.what}")
                    continue
                before = active["before"][: active["before"].index(version)]
                self._write(place, version, before, now_ns, "rollback", left)
                return left, version
        mend = "install one: beta bundle install FOLDER"
        raise BundleError(f"no earlier version of {name} to go back to", problems or left, mend)

    def current(self, name: str) -> Path:
        """Return the folder of the bundle that is served under a name.

        Raises
        ------
        BundleError
            Nothing is installed under this name.
        """
        place = self._place(name)
        _active(place)
        return served(place)

    def open(self, name: str, now_ns: int, features: FeatureSet | None = None) -> Predictor:
        """Load what is served under a name; see `load_predictor`."""
        return load_predictor(self.current(name), self.trust, now_ns, features)

    def installed(self, now_ns: int) -> list[Installed]:
        """Return every installed version with its state."""
        rows = []
        for place in sorted(p for p in self.folder.glob("*") if (p / ACTIVE).is_file()):
            active = _active(place)
            for folder in sorted(p for p in place.iterdir() if p.is_dir() and p.name[0] != "."):
                rows.append(self._state(place.name, folder, active, now_ns))
        return rows

    # --- inside ------------------------------------------------------------------------------

    def _state(self, name: str, folder: Path, active: dict[str, Any], now_ns: int) -> Installed:
        before = active["before"]
        state = "kept"
        if folder.name == active["current"]:
            state = "current"
        elif before and folder.name == before[-1]:
            state = "previous"
        expires, problem = 0, ""
        try:
            expires = read_bundle(folder, self.trust, 0).manifest.expires_ns
            if now_ns >= expires:
                problem = BundleExpired.__name__
        except BundleError as error:
            problem = f"{type(error).__name__}: {error.what}"
        return Installed(name, folder.name, state, expires, problem)

    def _copy(self, source: Path, target: Path, now_ns: int) -> None:
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        try:
            for file in FILES:
                copy = partial / file
                shutil.copyfile(source / file, copy)
                copy.chmod(0o444)
                _sync(copy)
            load_predictor(partial, self.trust, now_ns)  # the copy, not the source, is served
            partial.chmod(0o755)
            partial.rename(target)
            _sync(target.parent)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise

    def _switch(self, place: Path, version: str, now_ns: int, action: str) -> None:
        active = _active(place) if (place / ACTIVE).exists() else None
        left = active["current"] if active else ""
        if active is None or left == version:
            before = active["before"] if active else []
        else:
            before = [*(v for v in active["before"] if v != version), left][-KEEP_BEFORE:]
        self._write(place, version, before, now_ns, action, left)

    @staticmethod
    def _write(
        place: Path, version: str, before: list[str], now_ns: int, action: str, left: str
    ) -> None:
        row = {"ts_ns": now_ns, "action": action, "from": left, "to": version}
        with (place / "history.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        partial = place / ".active.partial"
        partial.write_text(json.dumps({"current": version, "before": before}) + "\n")
        _sync(partial)
        partial.replace(place / ACTIVE)
        _sync(place)

    def _place(self, name: str) -> Path:
        """Return the folder of a name, which leads nowhere else."""
        if not SLUG.fullmatch(name):
            raise BundleError("not the name of a bundle", name, "beta bundle list")
        return self.folder / name

    @contextmanager
    def _locked(self, name: str) -> Iterator[Path]:
        """Hold the store's lock of one name."""
        place = self._place(name)
        place.mkdir(parents=True, exist_ok=True)
        with (place / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield place


def served(folder: Path) -> Path:
    """Return what is served under an installed name ``STORE/<name>``; another folder is itself.

    Raises
    ------
    BundleError
        The switch of the installed name cannot be read.
    """
    if not (folder / ACTIVE).exists():
        return folder
    return folder / str(_active(folder)["current"])


def _active(place: Path) -> dict[str, Any]:
    """Return current and earlier versions."""
    path = place / ACTIVE
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        versions = [data["current"], *data["before"]]
        if not all(isinstance(v, str) and SLUG.fullmatch(v) for v in versions):
            raise ValueError("a version is not a slug")
    except FileNotFoundError as error:
        mend = "beta bundle install FOLDER"
        raise BundleError(f"no bundle named {place.name} is installed", place, mend) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BundleAltered(
            "active.json cannot be read", path, "beta bundle install FOLDER"
        ) from error
    return data


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

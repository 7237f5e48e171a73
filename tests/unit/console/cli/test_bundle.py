"""`beta bundle` from key to rollback, and its errors in three lines."""

from __future__ import annotations

import json
import sys
import time

import pytest

from console.cli.app import main
from signals.bundle import write_bundle
from signals.bundle.manifest import WEIGHTS
from tests.unit.signals.bundle.conftest import DAY, draft


@pytest.fixture
def beta(tmp_path, monkeypatch, capsys):
    """Run `beta bundle` in an empty folder; return stdout, or stderr when it has to fail."""
    monkeypatch.chdir(tmp_path)

    def run(*args: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["beta", "bundle", *map(str, args)])
        try:
            main()
            ended = 0
        except SystemExit as done:
            ended = int(done.code or 0)
        out = capsys.readouterr()
        assert ended == code, out.err + out.out
        return out.err if code else out.out

    return run


def test_a_bundle_from_key_to_rollback(tmp_path, beta) -> None:
    now = time.time_ns()
    for version in ("1", "2"):
        made = draft(version, created_ns=now, expires_ns=now + DAY)
        write_bundle(made, tmp_path / f"b{version}")
    beta("keygen", "--out", "bundle.key")
    assert (tmp_path / "bundle.key").stat().st_mode & 0o777 == 0o600
    beta("sign", "b1", "--key", "bundle.key")
    report = json.loads(beta("verify", "b1", "--json"))
    assert (report["schema_version"], report["ok"], report["golden_vectors"]) == (1, True, 8)
    beta("install", "b1")
    beta("sign", "b2", "--key", "bundle.key")
    beta("install", "b2")
    rows = json.loads(beta("list", "--json"))["bundles"]
    assert [(r["version"], r["state"]) for r in rows] == [("1", "previous"), ("2", "current")]
    assert beta("rollback", "demo").startswith("demo@1 is current (was 2);")


def test_what_every_command_did_is_there_as_json(tmp_path, beta) -> None:
    now = time.time_ns()
    for version in ("1", "2"):
        made = draft(version, created_ns=now, expires_ns=now + DAY)
        write_bundle(made, tmp_path / f"b{version}")

    def ask(*args: object) -> dict:
        said = json.loads(beta(*args, "--json"))
        assert said.pop("schema_version") == 1
        return said

    key = ask("keygen", "--out", "bundle.key")
    assert (key["private"], set(key)) == ("bundle.key", {"key", "private", "public"})
    assert ask("trust", key["public"]) == {"public": key["public"]}
    for version in ("1", "2"):
        signed = ask("sign", f"b{version}", "--key", "bundle.key")
        assert signed == {"folder": f"b{version}", "signed_by": key["key"]}
        installed = ask("install", f"b{version}")
        assert installed == {"name": "demo", "version": version, "folder": "bundles/demo"}
    assert ask("rollback", "demo") == {"name": "demo", "version": "1", "left": "2"}


def test_a_rollback_out_of_the_store_is_an_error_in_three_lines(beta) -> None:
    said = beta("rollback", "../x", code=1).splitlines()
    assert said == ["error: not the name of a bundle", "  seen: ../x", "  mend: beta bundle list"]


def test_an_altered_bundle_is_an_error_with_its_mend(tmp_path, beta) -> None:
    now = time.time_ns()
    write_bundle(draft("1", created_ns=now, expires_ns=now + DAY), tmp_path / "b")
    unsigned = beta("verify", "b", code=1).splitlines()
    assert unsigned[0] == "error: bundle carries no signature"
    assert unsigned[2] == "  mend: beta bundle sign b --key KEY"
    beta("keygen")
    beta("sign", "b")
    (tmp_path / "b" / WEIGHTS).write_bytes(b"")
    altered = beta("install", "b", code=1).splitlines()
    assert altered[0] == f"error: {WEIGHTS} is not the signed one"
    assert beta("list") == (
        "nothing is installed in bundles; to install: beta bundle install FOLDER\n"
    )
    assert "no bundle named other" in beta("rollback", "other", code=1)
    assert not (tmp_path / "bundles/other").exists()


def test_every_step_names_the_next(tmp_path, beta) -> None:
    now = time.time_ns()
    write_bundle(draft("1", created_ns=now, expires_ns=now + DAY), tmp_path / "b")
    assert "beta bundle trust bundles/trusted/" in beta("keygen")
    assert beta("sign", "b").endswith("next: beta bundle install b\n")
    assert beta("install", "b").endswith("-p bundle=bundles/demo\n")

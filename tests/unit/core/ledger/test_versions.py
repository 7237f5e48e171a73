"""A strategy's version changes when, and only when, something that decides what it does changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.domain.errors import UsageError
from core.ledger.versions import strategy_version


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mystrategies"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('must not be imported')\n")
    (folder / "arb.py").write_text(
        "import json\nfrom mystrategies import edge\nfrom .sizes import half\nclass Arb: ...\n"
    )
    (folder / "edge.py").write_text("EDGE = 1\n")
    (folder / "sizes.py").write_text("def half(x): return x / 2\n")
    (folder / "unrelated.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return folder


def test_own_code_imported_code_and_skill_decide_the_version(package: Path, tmp_path: Path) -> None:
    skill = tmp_path / "SKILL.md"
    skill.write_text("be careful")

    def sha(with_skill: bool = False) -> str:
        return strategy_version("a", "mystrategies.arb:Arb", skill if with_skill else None).sha256

    first = sha()
    assert sha() == first
    (package / "unrelated.py").write_text("X = 2\n")
    assert sha() == first
    assert sha(with_skill=True) != first
    before = sha(with_skill=True)
    skill.write_text("be bold")
    assert sha(with_skill=True) != before
    for name in ("arb.py", "edge.py", "sizes.py"):
        now = sha()
        (package / name).write_text((package / name).read_text() + "# changed\n")
        assert sha() != now, name


def test_a_strategy_in_a_file_of_its_own_has_a_version_too(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class S: ...\n")
    first = strategy_version("s", f"{path}:S").sha256
    path.write_text("class S: x = 1\n")
    assert strategy_version("s", f"{path}:S").sha256 != first


def test_real_strategies_have_versions() -> None:
    version = strategy_version("x", "core.ledger.versions:strategy_version")
    assert len(version.sha256) == 64


def test_what_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        strategy_version("x", "no.such.module:Thing")
    with pytest.raises(UsageError):
        strategy_version("x", f"{tmp_path}/none.py:Thing")
    with pytest.raises(UsageError):
        strategy_version("x", "core.ledger.versions:f", tmp_path / "SKILL.md")

"""Every command and every Python block that the documentation shows is run, in order, page by page.

A shell block marked ``bash`` runs if its lines start with ``beta`` or ``make backtest``. A line that
ends in ``# needs ...`` is shown but not run, and says what it needs. A Python block whose fence names a
file (``python title=cheap.py``) is written to that file, of one marked ``python fragment`` (it shows calls on
objects that it does not make) the imports are executed, every other one as a whole.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.M | re.S)
#: These set up the machine or run this suite: they are what CI runs.
NOT_HERE = ("make test", "make bench", "make lint")


@dataclass(frozen=True)
class Block:
    language: str
    title: str
    fragment: bool
    text: str

    @property
    def python(self) -> str:
        """What of a Python block is executed."""
        if not self.fragment:
            return self.text
        body = ast.parse(self.text).body
        return "\n".join(ast.unparse(n) for n in body if isinstance(n, ast.Import | ast.ImportFrom))


def blocks(page):
    for language, info, text in FENCE.findall(page.read_text(encoding="utf-8")):
        title = re.search(r"title=(\S+)", info)
        yield Block(language, title.group(1) if title else "", info.strip() == "fragment", text)


def commands(block):
    joined = block.text.replace("\\\n", " ")
    for line in joined.splitlines():
        line = line.strip()
        if not line or line.startswith("#") or line in NOT_HERE or re.search(r"\s# needs \w", line):
            continue
        yield line.partition("  #")[0].strip()


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """The sample, made once: a page that asks for it finds it."""
    from adapters.sample.build import build_sample

    path = tmp_path_factory.mktemp("catalogs") / "sample"
    build_sample(path)
    return path


@pytest.fixture
def workplace(tmp_path, sample):
    """A copy of the tracked files, with this checkout's environment, where anything may be written."""
    root = tmp_path / "repo"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    _lend_environment(root)
    shutil.copytree(sample, root / "catalogs" / "sample", copy_function=os.link)
    return root


def _lend_environment(root):
    """Let `make` in the copy find this environment and leave it as it is: nothing is installed."""
    (root / ".venv").mkdir()
    for item in Path(sys.prefix).iterdir():
        if item.name != ".beta-extras":
            (root / ".venv" / item.name).symlink_to(item)
    inputs = (root / "requirements.lock").read_bytes() + (root / "pyproject.toml").read_bytes()
    out = subprocess.run(["cksum"], input=inputs, capture_output=True, check=True).stdout
    stamp = f"dev-{out.decode().split()[0]}"
    (root / ".venv" / ".beta-extras").write_text(stamp + "\n")
    (root / ".tools" / "bin").mkdir(parents=True)
    (root / ".tools" / "bin" / "uv").write_text("#!/bin/sh\necho 'uv must not run' >&2; exit 9\n")
    (root / ".tools" / "bin" / "uv").chmod(0o755)


def run(command, cwd):
    binaries = Path(sys.executable).parent
    env = os.environ | {
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(cwd),
        "COLUMNS": "120",
    }
    out = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    shown = command if isinstance(command, str) else command[-1]
    assert out.returncode == 0, f"{shown}\n{out.stdout[-2000:]}\n{out.stderr[-4000:]}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_what_the_page_shows_runs(page, workplace):
    for block in blocks(page):
        if block.title:
            (workplace / block.title).write_text(block.text)
        elif block.language == "bash":
            for command in commands(block):
                assert command.startswith(("beta ", "make backtest")), command
                run(["bash", "-euc", command], workplace)
        elif block.language == "python":
            run([sys.executable, "-c", block.python], workplace)


def test_every_page_is_reached_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    missing = [p.name for p in PAGES[1:] if f"docs/{p.name}" not in readme]
    assert missing == []


def test_every_link_between_pages_leads_somewhere():
    broken = []
    for page in [*PAGES, ROOT / "AGENTS.md", *(ROOT / "docs" / "adr").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []

"""The repository's own rules: small files, short functions, nothing of one machine, nothing secret."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 70
MEDIAN_FILE_LINES = 180
VAGUE = {"utils", "helpers", "manager", "common", "misc", "util", "helper"}

# Written in parts, so that this file does not name what it forbids.
REGISTRIES = ["pypi." + "org", "python" + "hosted.org", "npmjs." + "org", "crates" + ".io"]
MACHINE_PATHS = [
    r"(?<![\w\"}])/root/",
    r"/home/\w",
    r"/Users/\w",
    r"[A-Z]:\\\\Users",
    "/" + "work/",
]
SECRETS = [
    r"AKIA[0-9A-Z]{16}",
    r"gh[pousr]_[A-Za-z0-9]{30,}",
    r"sk-(?:ant|or|proj)-[A-Za-z0-9-]{20,}",
]


def tracked(*patterns):
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    out = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return [ROOT / name for name in out.stdout.split("\0") if name and (ROOT / name).is_file()]


def sources():
    return [p for p in tracked("*.py") if "tests" not in p.relative_to(ROOT).parts]


def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_no_file_is_longer_than_six_hundred_lines():
    long = {
        str(p.relative_to(ROOT)): n
        for p in tracked("*.py", "*.rs", "*.js")
        if (n := text_of(p).count("\n")) > MAX_FILE_LINES
    }
    assert long == {}


def test_the_median_source_file_is_short():
    lengths = sorted(n for p in sources() if (n := text_of(p).count("\n")) > 3)
    assert lengths[len(lengths) // 2] <= MEDIAN_FILE_LINES


def code_lines(function):
    """Lines of a function without its docstring: explaining more is never a fault."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_no_function_is_longer_than_seventy_lines():
    long = {
        f"{path.relative_to(ROOT)}:{node.name}": code_lines(node)
        for path in sources()
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and code_lines(node) > MAX_FUNCTION_LINES
    }
    assert long == {}


def test_no_module_has_a_vague_name():
    vague = [
        str(p.relative_to(ROOT))
        for p in sources()
        if VAGUE & {*p.relative_to(ROOT).with_suffix("").parts}
    ]
    assert vague == []


def test_every_package_and_module_says_its_idea_in_the_first_line():
    silent = [
        str(p.relative_to(ROOT))
        for p in sources()
        if text_of(p).strip() and not ast.get_docstring(ast.parse(text_of(p)))
    ]
    assert silent == []


@pytest.mark.parametrize("what", ["registry", "machine", "secret"])
def test_no_file_names_a_package_registry_a_machine_path_or_a_secret(what):
    words = {
        "registry": [re.escape(w) for w in REGISTRIES],
        "machine": MACHINE_PATHS,
        "secret": SECRETS,
    }[what]
    pattern = re.compile("|".join(words))
    here = Path(__file__).resolve()
    found = [
        f"{p.relative_to(ROOT)}: {hit.group()}"
        for p in tracked()
        if p.resolve() != here and (hit := pattern.search(text_of(p)))
    ]
    assert found == []


def test_decision_records_are_short_and_numbered_once():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [p.name[:4] for p in records]
    assert len(set(numbers)) == len(numbers)
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", p.name) for p in records)
    assert {p.name: n for p in records if (n := text_of(p).count("\n")) > 60} == {}


def test_decision_records_have_a_status_and_know_what_replaced_them():
    records = {p.name[:4]: text_of(p) for p in (ROOT / "docs" / "adr").glob("*.md")}
    status = {
        n: re.search(r"^(?:\*\*Status\*\*|Status:) (.+)$", t, re.M) for n, t in records.items()
    }
    assert [n for n, found in status.items() if found is None] == []
    for number, found in status.items():
        for old in re.findall(r"replaces [^;]*?(\d{4})", found.group(1)):
            assert number in status[old].group(1), f"{old} does not say that {number} replaced it"


def test_every_decision_record_that_a_text_names_is_there():
    known = {int(p.name[:4]) for p in (ROOT / "docs" / "adr").glob("*.md")}
    named = {
        (str(p.relative_to(ROOT)), int(n))
        for p in tracked("*.py", "*.md", "*.rs", "*.toml")
        for n in re.findall(r"\bADR (\d+)\b", text_of(p))
    }
    assert {(place, n) for place, n in named if n not in known} == set()

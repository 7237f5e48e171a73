"""The page about risk names every refusal with its mend, and the numbers of the default profile."""

from __future__ import annotations

from pathlib import Path

from core.risk import Code
from core.risk.limits import profile_names
from core.risk.verdict import MENDS
from tests.unit.core.risk.test_planted_bugs import BUGS


def test_every_refusal_is_documented_with_its_mend(repo_root: Path):
    page = (repo_root / "docs/risk.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) >= {str(code) for code in Code}
    for code in Code:
        assert rows[code].endswith(f"| {MENDS[code]} |"), code


def test_profiles_and_counts_are_the_real_ones(repo_root: Path):
    page = (repo_root / "docs/risk.md").read_text()
    for name in profile_names():
        assert f"`{name}`" in page
    assert f"{len(BUGS)} planted bugs" in page

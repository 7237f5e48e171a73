"""The page about a pass: a person finds commit, seeds, failures and how to repeat each."""

from dataclasses import asdict
from json import dumps

from typer.testing import CliRunner

from adapters.fake.matrix.cases import CASES
from adapters.fake.matrix.report import commit, lines, markdown
from adapters.fake.matrix.run import MatrixReport, RunReport
from console.cli.faults import app

TITLES = {c.code: c.title for c in CASES.values()}


def run(fault="F8", seed=1, broken=(), **more):
    return RunReport(fault, "KALSHI", seed, broken, "d", 5, 3, 2, 0.1, 0.1, "abc123", **more)


def report(*runs):
    made = MatrixReport()
    for each in runs:
        made.add(each)
    return made


def test_the_page_names_commit_seeds_hits_and_the_command_of_each_failure():
    broken = (("I3", "cash: venue 1, ledger 2"),)
    page = "\n".join(markdown(report(run(), run(seed=9, broken=broken)), TITLES, 40))
    assert "2 of 40 planned runs were made, **1 failed**." in page
    assert "| abc123 | 2 |" in page
    assert "| F8 | submit: answer lost after accept | 2 | 1 to 9 | 4 | 1 |" in page
    assert "| I3 | a position or cash differs | 1 |" in page
    assert "### F8 seed 9 on KALSHI (commit abc123)" in page
    assert "- I3: cash: venue 1, ledger 2" in page
    assert "beta faults run --fault F8 --seed 9" in page


def test_a_clean_page_says_so():
    page = "\n".join(markdown(report(run()), TITLES, 1))
    assert "none failed" in page and page.rstrip().endswith("None.")


def test_the_lines_of_the_terminal_count_by_fault_and_invariant():
    text = "\n".join(lines(report(run(broken=(("I1", "x"), ("I5", "y")))), TITLES))
    assert "1 FAILED" in text and "lost 1" in text and "limits 1" in text


def test_a_page_can_be_made_of_a_pass_that_still_goes_on(tmp_path):
    journal, page = tmp_path / "runs.jsonl", tmp_path / "pages" / "soak.md"
    journal.write_text("".join(dumps(asdict(run(seed=n))) + "\n" for n in (1, 2)) + '{"torn')
    done = CliRunner().invoke(app, ["report", str(journal), "--planned", "9", "--out", str(page)])
    assert done.exit_code == 0, done.output
    assert "2 of 9 planned runs" in page.read_text()


def test_a_pass_knows_its_commit():
    assert commit()

"""The published table is what is tested."""

from tests.conformance.table import INSTEAD, VENUES, cases, rewritten


def test_the_table_in_the_docs_is_the_list_of_cases(repo_root):
    page = (repo_root / "docs" / "conformance.md").read_text()
    assert rewritten(page) == page, "run: python -m tests.conformance.table"


def test_case_numbers_are_unique_and_what_is_done_instead_belongs_to_a_case():
    numbers = [n for n, _ in cases()]
    assert len(set(numbers)) == len(numbers) and numbers == sorted(numbers)
    assert {n for n, _ in INSTEAD} <= set(numbers) and {v for _, v in INSTEAD} <= set(VENUES)

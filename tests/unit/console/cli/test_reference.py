"""The command-line reference is written from the commands and never drifts."""

from __future__ import annotations

from console.cli.reference import available, reference


def test_the_reference_page_is_what_the_commands_say(repo_root):
    page = (repo_root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run: python -m console.cli.reference"


def test_every_command_has_a_section_and_every_option_a_meaning():
    text = reference()
    for name in available():
        assert f"\n## beta {name}\n" in text
    bare = [line for line in text.splitlines() if line.startswith("| `-") and line.endswith("|  |")]
    assert bare == []

"""Scaffolds: names, files, and that nothing is overwritten (running one: tests/backtest)."""

from __future__ import annotations

import ast
import tomllib

import pytest

from console.scaffold import scaffold_strategy
from console.strategy_lookup import import_string
from core.domain.errors import UsageError


def test_a_scaffold_is_a_strategy_a_config_and_a_test(tmp_path):
    made = scaffold_strategy("my_edge", tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in made.files] == [
        "strategies/my_edge.py",
        "configs/my_edge.toml",
        "tests/unit/strategies/test_my_edge.py",
    ]
    assert import_string(str(made.strategy)) == "strategy_file_my_edge:MyEdge"
    ast.parse(made.test.read_text())
    config = tomllib.loads(made.config.read_text())
    assert (made.config.parent / config["strategy"]).resolve() == made.strategy.resolve()
    assert "$" not in made.strategy.read_text()


def test_the_config_names_only_parameters_that_the_strategy_has(tmp_path):
    made = scaffold_strategy("named_well", tmp_path)
    import_string(str(made.strategy))
    import sys

    model = sys.modules["strategy_file_named_well"].NamedWell.config_type
    model(**tomllib.loads(made.config.read_text())["params"])


@pytest.mark.parametrize("name", ["", "My", "my-edge", "9lives", "class", "a", "x" * 60, "../up"])
def test_a_bad_name_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(UsageError):
        scaffold_strategy(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    made = scaffold_strategy("mine", tmp_path)
    made.config.unlink()
    made.strategy.write_text("years of work")
    with pytest.raises(UsageError, match="already there"):
        scaffold_strategy("mine", tmp_path)
    assert made.strategy.read_text() == "years of work"
    assert not made.config.exists()

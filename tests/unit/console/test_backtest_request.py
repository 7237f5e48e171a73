"""What a user asks of `beta backtest`: options, config file, and everything wrong with them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from console.backtest import BacktestRequest, parse_params
from core.domain.errors import ConfigError, UsageError


def build(config=None, **options):
    return BacktestRequest.build(config, **({"strategy": "demo"} | options))


def test_defaults_are_the_sample_and_a_hundred_dollars():
    request = build()
    assert request.data == "sample"
    assert request.capital == Decimal("100")
    assert request.queue_position is True


def test_options_on_the_command_line_win_over_the_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text(
        'strategy = "polymarket_arb"\ncapital = 250.5\nseed = 3\nlatency_ms = 40\n'
        '[params]\nedge = 0.02\nsize = "5"\n'
    )
    request = BacktestRequest.build(file, capital="300", params=["edge=0.05"], strategy=None)
    assert request.strategy == "polymarket_arb"
    assert request.capital == Decimal("300")
    assert request.latency_ms == 40.0
    assert request.params == {"edge": "0.05", "size": "5"}
    assert BacktestRequest.build(file).params["edge"] == Decimal("0.02")


def test_files_named_in_a_config_are_found_from_the_config(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('strategy = "../mine.py:Mine"\ndata = "./records"\n')
    request = BacktestRequest.build(file)
    assert request.strategy == str(tmp_path / "../mine.py:Mine")
    assert request.data == str(tmp_path / "records")


@pytest.mark.parametrize("capital", ["0", "-5", "nan", "inf", "abc", "0.0000001", ""])
def test_capital_must_be_positive_money(capital):
    with pytest.raises(UsageError):
        build(capital=capital)


@pytest.mark.parametrize("latency", [-1.0, float("nan"), float("inf")])
def test_latency_must_be_a_real_time(latency):
    with pytest.raises(UsageError):
        build(latency_ms=latency)


def test_two_periods_are_refused():
    with pytest.raises(UsageError, match="one period"):
        build(period=["7d", "2026-01-01:2026-02-01"])


def test_no_strategy_is_a_usage_error():
    with pytest.raises(UsageError, match="no strategy"):
        BacktestRequest.build(None)


@pytest.mark.parametrize("pair", ["edge", "=3", "edge==", "sizes=[1,"])
def test_parameters_must_be_name_and_value(pair):
    if pair == "edge==":
        assert parse_params([pair]) == {"edge": "="}
        return
    with pytest.raises(UsageError):
        parse_params([pair])


def test_a_parameter_given_twice_is_refused_and_lists_are_read():
    with pytest.raises(UsageError, match="twice"):
        parse_params(["a=1", "a=2"])
    assert parse_params(["sizes=[1, 2]"]) == {"sizes": [1, 2]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("captial = 5\n", "did you mean capital"),
        ("capital = \n", "cannot be read"),
        ('seed = "three"\n', "must be a int"),
        ("params = 3\n", "must be a dict"),
        ("seed = true\n", "must be a int"),
    ],
)
def test_a_config_file_with_a_fault_says_which(tmp_path, text, says):
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        build(file)
    assert says in str(caught.value)


def test_a_config_file_that_is_not_there_is_a_config_error(tmp_path):
    with pytest.raises(ConfigError, match="no such config file"):
        build(tmp_path / "nothing.toml")


def test_parameters_of_one_of_several_strategies_carry_its_class_name():
    params = parse_params(["Arb.edge=1", "Arb.size=2", "Momentum.fast=3"])
    assert params == {"Arb": {"edge": "1", "size": "2"}, "Momentum": {"fast": "3"}}

from __future__ import annotations

import json
from decimal import Decimal as D

import pytest
from typer.testing import CliRunner

from console.cli.fees import app
from core.domain.errors import BetaError


def ask(*args: str) -> dict:
    result = CliRunner().invoke(app, [*args, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return json.loads(result.stdout)


def test_a_kalshi_buy_names_fee_cost_break_even_and_rule():
    row = ask("kalshi", "--price", "0.5", "--size", "10", "--as-of", "2026-11-01")
    assert row["schema_version"] == 1
    assert row["fee"] == "0.175"
    assert row["cost"] == "5.175"
    assert row["break_even"] == "0.5175"
    assert row["fee_per_contract"] == "0.0175"
    assert row["payout_if_right"] == "10"
    assert row["rule"] == "kalshi-centicent-direct quadratic x1"


def test_the_date_decides_the_rule():
    row = ask("kalshi", "--price", "0.5", "--size", "10", "--as-of", "2025-11-08")
    assert (row["fee"], row["rule"]) == ("0.18", "kalshi-cent-per-order quadratic x1")


def test_a_series_brings_its_own_terms():
    row = ask("kalshi", "--price", "0.52", "--size", "1", "--series", "kxmlbgame")
    assert row["fee"] == "0.0088"


def test_an_account_on_whole_cents_pays_the_cent():
    row = ask("kalshi", "--price", "0.5", "--size", "10", "--account", "cent")
    assert row["fee"] == "0.18"


def test_a_sale_shows_what_comes_in():
    row = ask("kalshi", "--price", "0.5", "--size", "10", "--side", "sell")
    assert row["cost"] == "-4.825"
    assert row["break_even"] == "0.4825"
    assert row["payout_if_right"] == "0"


def test_polymarket_by_category_and_by_own_schedule():
    row = ask("polymarket", "--price", "0.3", "--size", "100", "--category", "crypto",
              "--as-of", "2026-09-17")  # fmt: skip
    assert row["fee"] == "1.47"
    row = ask("polymarket", "--price", "0.3", "--size", "100", "--rate", "0.25",
              "--exponent", "2", "--as-of", "2026-09-17")  # fmt: skip
    assert (row["fee"], row["rule"]) == ("1.1025", "polymarket-market-schedule")


def test_the_table_for_people_names_the_rule():
    result = CliRunner().invoke(
        app, ["kalshi", "--price", "0.5", "--size", "10"], catch_exceptions=False
    )
    assert "kalshi-centicent-direct" in result.stdout
    assert "0.5175" in result.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["kalshi", "--price", "1", "--size", "1"],
        ["kalshi", "--price", "0", "--size", "1"],
        ["kalshi", "--price", "nan", "--size", "1"],
        ["kalshi", "--price", "x", "--size", "1"],
        ["kalshi", "--price", "0.5", "--size", "0"],
        ["kalshi", "--price", "0.5", "--size", "-3"],
        ["kalshi", "--price", "0.5", "--size", "inf"],
        ["kalshi", "--price", "0.5", "--size", "1", "--series", "KXNOPE"],
        ["kalshi", "--price", "0.5", "--size", "1", "--fee-type", "flat"],
        ["kalshi", "--price", "0.5", "--size", "1", "--multiplier", "-1"],
        ["kalshi", "--price", "0.5", "--size", "1", "--role", "both"],
        ["kalshi", "--price", "0.5", "--size", "1", "--side", "short"],
        ["kalshi", "--price", "0.5", "--size", "1", "--account", "gold"],
        ["kalshi", "--price", "0.5", "--size", "1", "--as-of", "tomorrow"],
        ["kalshi", "--price", "0.5", "--size", "1", "--as-of", "1960-01-01"],
        ["polymarket", "--price", "0.5", "--size", "1"],
        ["polymarket", "--price", "0.5", "--size", "1", "--category", "astrology"],
        ["polymarket", "--price", "0.5", "--size", "1", "--category", "tech", "--rate", "0.1"],
        ["polymarket", "--price", "0.5", "--size", "1", "--rate", "-0.1"],
        ["polymarket", "--price", "0.5", "--size", "1", "--rate", "x"],
        ["kalshi", "--price", "0.5", "--size", "1", "--series", "KXMLBGAME", "--multiplier", "1"],
        ["kalshi", "--price", "0.5", "--size", "1", "--series", "KXMLBGAME", "--fee-type", "none"],
        ["polymarket", "--price", "0.5", "--size", "1", "--category", "tech", "--exponent", "2"],
    ],
)
def test_a_question_that_makes_no_sense_is_answered_in_at_most_three_lines(args):
    with pytest.raises(BetaError) as caught:
        CliRunner().invoke(app, args, catch_exceptions=False)
    assert len(caught.value.lines()) == 3
    assert caught.value.exit_code == 2


def test_numbers_are_printed_without_exponents():
    row = ask("kalshi", "--price", "0.5", "--size", "1e6", "--as-of", "2026-11-01")
    assert row["size"] == "1000000"
    assert D(row["fee"]) == D(17500)

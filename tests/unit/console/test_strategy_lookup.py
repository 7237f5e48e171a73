"""A strategy is found by short name, import path or file; a mistyped one gets its nearest names."""

from __future__ import annotations

import pytest

from console.strategy_lookup import import_string, import_strings, known_names
from core.domain.errors import StrategyError, UsageError

SOURCE = """
from core.engine.strategy import BetaStrategy, StrategyConfig

class Mine(BetaStrategy):
    config_type = StrategyConfig
"""


def test_short_names_find_the_class_of_the_file():
    assert import_string("polymarket_arb") == "strategies.polymarket_arb:PolymarketArb"
    assert import_string("crypto-momentum") == "strategies.crypto_momentum:CryptoMomentum"
    assert import_strings("kalshi_event, base_predictor") == (
        "strategies.kalshi_event:KalshiEvent,strategies.base_predictor:BasePredictor"
    )


def test_import_paths_work_with_and_without_the_class():
    full = "strategies.kalshi_event:KalshiEvent"
    assert import_string(full) == full
    assert import_string("strategies.kalshi_event") == full


def test_a_file_is_imported_under_its_own_name_and_shadows_nothing(tmp_path):
    file = tmp_path / "json.py"
    file.write_text(SOURCE)
    assert import_string(str(file)) == "strategy_file_json:Mine"
    import json

    assert json.dumps({}) == "{}"


def test_a_file_in_the_local_strategies_folder_is_found_by_its_short_name(tmp_path, monkeypatch):
    (tmp_path / "strategies").mkdir()
    (tmp_path / "strategies" / "mine_here.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    assert import_string("mine_here") == "strategy_file_mine_here:Mine"
    assert "mine_here" in known_names()


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UsageError) as caught:
        import_string("polymarke_arb")
    assert "polymarket_arb" in caught.value.mend
    with pytest.raises(UsageError) as caught:
        import_string("zzzzzz")
    assert "kalshi_event" in caught.value.mend


def test_helpers_of_strategies_are_not_offered_as_strategies():
    names = known_names()
    assert {"base_predictor", "polymarket_arb", "kalshi_event", "crypto_momentum"} <= set(names)
    assert "baskets" not in names


@pytest.mark.parametrize("name", ["", "nothing.py", "strategies.nothing", "core.domain.money"])
def test_what_is_no_strategy_is_a_usage_error(name):
    with pytest.raises(UsageError):
        import_string(name)


def test_an_unknown_class_of_a_known_module_names_the_classes_there():
    with pytest.raises(UsageError) as caught:
        import_string("strategies.kalshi_event:Nothing")
    assert "KalshiEvent" in caught.value.mend


def test_a_file_with_several_strategies_asks_for_one(tmp_path):
    file = tmp_path / "two.py"
    file.write_text(SOURCE + "\nclass Other(BetaStrategy):\n    config_type = StrategyConfig\n")
    with pytest.raises(UsageError, match="several"):
        import_string(str(file))
    assert import_string(f"{file}:Other") == "strategy_file_two:Other"


@pytest.mark.parametrize(
    "source", ["def broken(:\n", "raise ValueError('at import')\n", "import not_there_at_all\n"]
)
def test_a_file_that_cannot_be_imported_says_why(tmp_path, source):
    file = tmp_path / "bad.py"
    file.write_text(source)
    with pytest.raises(StrategyError) as caught:
        import_string(str(file))
    assert "BETA_DEBUG" in caught.value.mend

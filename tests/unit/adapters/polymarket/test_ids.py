"""An instrument id names its condition and its token, whatever the condition looks like."""

import pytest

from adapters.polymarket.markets import condition_of, instrument_id


@pytest.mark.parametrize("condition", ["0x" + "c1" * 32, "0x" + "c1" * 31, "SAMPLE-Q3", "a-b-c"])
def test_the_condition_of_an_instrument_is_the_one_it_was_made_of(condition):
    assert (
        condition_of(instrument_id(condition, "114641038344159720209989739898071147")) == condition
    )

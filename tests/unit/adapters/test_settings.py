"""Settings that are not valid: the name, what is wrong, the value, and never a secret."""

from decimal import Decimal

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from adapters.settings import checked
from core.domain.errors import ConfigError


class Some(BaseModel):
    """A limit and a key."""

    model_config = ConfigDict(extra="forbid")

    limit: Decimal = Decimal(1)
    key: SecretStr | None = None


def test_good_settings_are_returned():
    assert checked(Some, {"limit": "2"}, "Venue", "docs/x.md") == Some(limit=Decimal(2))


@pytest.mark.parametrize(
    ("plain", "what", "seen"),
    [
        ({"limit": "abc"}, "Venue setting limit: ", "abc"),
        ({"key": 12345678}, "Venue setting key: ", None),
        ({"kay": "12345678"}, "Venue setting kay: ", None),
    ],
)
def test_the_value_is_said_unless_it_may_be_a_secret(plain, what, seen):
    with pytest.raises(ConfigError) as refused:
        checked(Some, plain, "Venue", "docs/x.md")
    assert refused.value.what.startswith(what)
    assert refused.value.seen == seen
    assert "see docs/x.md" in refused.value.mend
    assert "12345678" not in str(refused.value)

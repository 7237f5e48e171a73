"""Settings of the crypto venues that the engine's own Rust clients serve, and what we refuse to do with them.

Those clients send orders from inside the engine: the gate has judged them, but no approval is redeemed and no
intent is on disk at the last point before the bytes leave. So their execution is wired for practice environments
only; with real money they give market data (ADR 0065).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SecretStr

from adapters.settings import checked
from core.domain.errors import ConfigError

Environment = Literal["live", "testnet", "demo"]


class CryptoSettings(BaseModel):
    """One product of one crypto venue.

    Attributes
    ----------
    product : {"spot", "futures"}
        Futures are linear perpetuals (Binance USD-M, Kraken Futures).
    environment : {"live", "testnet", "demo"}
        Binance has all three, Kraken Futures live and demo, Kraken spot live only.
    base_url, ws_url, ws_private_url : str
        Overrides of the environment's addresses; empty = the venue's own.
    execution : bool
        Add the execution client too. Refused for ``live``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    product: Literal["spot", "futures"] = "spot"
    environment: Environment = "live"
    base_url: str = ""
    ws_url: str = ""
    ws_private_url: str = ""
    account: str = "001"
    api_key: SecretStr | None = None
    api_secret: SecretStr | None = None
    execution: bool = False


def settings_of(
    venue: str, raw: Mapping[str, Any], allowed: Mapping[str, tuple[Environment, ...]]
) -> CryptoSettings:
    """Return checked settings; `allowed` maps a product to its environments.

    Raises
    ------
    ConfigError
        For an unknown setting, an environment the product does not have, or execution that is refused.
    """
    settings = checked(CryptoSettings, raw, venue, "docs/crypto.md")
    if settings.environment not in allowed[settings.product]:
        raise ConfigError(
            f"{venue} {settings.product} has no such environment",
            settings.environment,
            f"one of {', '.join(allowed[settings.product])}",
        )
    if settings.execution and settings.environment == "live":
        raise ConfigError(
            f"orders to {venue} with real money are refused",
            settings.environment,
            "use the testnet or demo environment (docs/crypto.md says why)",
        )
    if settings.execution and (settings.api_key is None or settings.api_secret is None):
        raise ConfigError(
            f"{venue} needs api_key and api_secret to trade",
            None,
            "set api_key and api_secret in the settings",
        )
    return settings


def revealed(secret: SecretStr | None) -> str | None:
    """Return the text of a secret for the client's own memory, at the last moment."""
    return secret.get_secret_value() if secret is not None else None

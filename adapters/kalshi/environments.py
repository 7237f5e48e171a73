"""Kalshi's environments: where each is, and that a node never mixes two of them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from core.domain.errors import ConfigError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Environment:
    """REST base, WebSocket and every host of one environment. Keys are made for one and known to no other."""

    base_url: str
    ws_url: str
    hosts: frozenset[str]


ENVIRONMENTS = {
    "production": Environment(
        "https://external-api.kalshi.com/trade-api/v2",
        "wss://external-api-ws.kalshi.com/trade-api/ws/v2",
        frozenset({"external-api.kalshi.com", "external-api-ws.kalshi.com", "api.elections.kalshi.com"}),
    ),
    "demo": Environment(
        "https://external-api.demo.kalshi.co/trade-api/v2",
        "wss://external-api-ws.demo.kalshi.co/trade-api/ws/v2",
        frozenset({"external-api.demo.kalshi.co", "external-api-ws.demo.kalshi.co", "demo-api.kalshi.co"}),
    ),
}  # fmt: skip


def environment_of(url: str) -> str:
    """Return ``production``, ``demo`` or ``local`` (a fake venue on this machine).

    Raises
    ------
    ConfigError
        If the host is none of Kalshi's: a signed request must not go there.
    """
    host = urlsplit(url).hostname or ""
    if host in LOOPBACK:
        return "local"
    for name, environment in ENVIRONMENTS.items():
        if host in environment.hosts:
            return name
    raise ConfigError("this is no address of Kalshi", host or url, "--environment demo")


def one_environment(base_url: str, ws_url: str, wanted: str) -> str:
    """Return the environment of both addresses.

    Parameters
    ----------
    wanted : str
        What the user named; empty = whichever the addresses are.

    Raises
    ------
    ConfigError
        If the two differ, or are not the one that was named.
    """
    rest, stream = environment_of(base_url), environment_of(ws_url)
    if rest != stream:
        raise ConfigError(
            "orders and market data of two Kalshi environments", f"{rest} and {stream}",
            "name one: --environment demo, or --environment production",
        )  # fmt: skip
    if wanted and wanted != rest:
        raise ConfigError(
            f"the addresses are not Kalshi's {wanted} environment", rest,
            f"--environment {rest}, or leave the addresses out",
        )  # fmt: skip
    return rest

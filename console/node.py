"""From a user's request to a running paper or live node: the body of `beta paper` and `beta live`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.amounts import amount_of
from console.backtest import BacktestRequest
from core.domain.errors import ConfigError, GateClosed, HaltedError, LedgerWriteError, UsageError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from core.engine.backtest.strategies import StrategyPlan
    from core.engine.live.node import Node
    from core.engine.live.spot import SpotSource
    from core.engine.live.status import NodeStatus

VENUES = {
    "kalshi": "KALSHI",
    "polymarket": "POLYMARKET",
    "fake-kalshi": "KALSHI",
    "fake-polymarket": "POLYMARKET",
}
#: Strategy that a fake venue is shown with when none is named.
SHOWN_BY = {"fake-kalshi": "kalshi_event", "fake-polymarket": "polymarket_arb"}
DEFAULT_HOME = Path("runs")
SPOT = {"kraken": "KRAKEN", "binance": "BINANCE"}
COLLECT_CAPS = ("--collect-cap", "--collect-day-cap")
POLYMARKET_CLOCK = "https://clob.polymarket.com/time"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest:
    """What the user asked for.

    Attributes
    ----------
    home : Path, optional
        Folder of the node (ledger, paper account, risk state); default ``runs/<mode>/<venue>``.
    speed, max_gap_s, fake_markets, repeat
        Replay of a fake venue: speed, longest quiet stretch, number of markets, passes.
    for_s : float
        Stop by itself; 0 = run on.
    collect : tuple of str, optional
        Caps of a call and of 24 hours of a live node that collects; None = it does not.
    collect_every_s : float
        How often a node looks for pairs and winners to turn into dollars; 0 = never.
    environment : str
        ``production`` or ``demo`` (Kalshi); empty = production.
    spot : str
        ``auto`` (the strategy says whether it reads spot), ``kraken``, ``binance`` or ``off``.
    """

    base: BacktestRequest
    mode: str
    venue: str
    home: Path | None = None
    series: tuple[str, ...] = ()
    speed: float = 10.0
    max_gap_s: float = 5.0
    fake_markets: int = 3
    repeat: int = 1
    status_every_s: float = 60.0
    for_s: float = 0.0
    spot: str = "auto"
    environment: str = ""
    collect: tuple[str, str] | None = None
    collect_every_s: float = 60.0
    as_json: bool = False
    keep_fake: bool = False

    @property
    def folder(self) -> Path:
        """Folder of the node."""
        return (self.home or DEFAULT_HOME / self.mode / self.venue).absolute()

    @classmethod
    def build(
        cls,
        mode: str,
        venue: str,
        config: Path | None,
        *,
        strategy: str | None,
        options: dict[str, Any],
        **node: Any,
    ) -> NodeRequest:
        """Check what can be checked before anything is loaded.

        Parameters
        ----------
        options : dict
            Options that `beta backtest` has too.

        Raises
        ------
        UsageError
            For a venue, a source of spot or an environment that is not there, or no strategy.
        """
        if venue not in VENUES:
            raise UsageError("unknown venue", venue, f"--venue {' or '.join(VENUES)}")
        if mode == "paper" and strategy is None and config is None:
            strategy = SHOWN_BY.get(venue)
        if strategy is None and config is None:
            shown = SHOWN_BY[f"fake-{VENUES[venue].lower()}"]
            switch = " --live" if mode == "live" else ""
            raise UsageError(
                "no strategy named", None, f"beta {mode} {shown} --venue {venue}{switch}"
            )
        request = cls(
            base=BacktestRequest.build(config, strategy=strategy, **options),
            mode=mode,
            venue=venue,
            **node,
        )
        if request.spot not in ("auto", "off", *SPOT):
            raise UsageError(
                "unknown source of spot", request.spot, f"--spot auto, off, {', '.join(SPOT)}"
            )
        if request.collect is not None and VENUES[venue] != "POLYMARKET":
            raise UsageError("only Polymarket has pairs to collect", venue, "leave out --collect")
        for cap, option in zip(request.collect or (), COLLECT_CAPS, strict=False):
            amount_of(cap, option, zero=False, example="50")
        if request.collect is not None and not request.collect_every_s:
            raise UsageError(
                "--collect that never looks", "--collect-every 0", "--collect-every 60"
            )
        known = ("", "production", "demo") if venue == "kalshi" else ("", "production")
        if request.environment not in known:
            raise UsageError(
                f"{venue} has no such environment", request.environment,
                "beta paper STRATEGY --venue kalshi --environment demo, or --venue fake-kalshi",
            )  # fmt: skip
        return request


def run(request: NodeRequest) -> None:
    """Check readiness, start what is needed, run the node until it is stopped, and print the end."""
    from core.engine.quiet_imports import without_unneeded

    with (
        without_unneeded()
    ):  # charts have no place in a node: the engine loads them where they are installed
        import nautilus_trader.live.clients  # noqa: F401

    from console.strategy_lookup import import_strings
    from core.engine.backtest.strategies import plan_strategies
    from core.engine.live.lease import held
    from core.risk.limits import load_profile

    if request.repeat > 1 and (request.venue != "fake-kalshi" or request.spot != "off"):
        raise UsageError(
            "only fake-kalshi repeats a replay, and without spot",
            f"--venue {request.venue} --spot {request.spot}",
            "--repeat 1, or --spot off",
        )
    if request.base.limits:
        load_profile(request.base.limits)
    plans = plan_strategies(import_strings(request.base.strategy), request.base.params)
    fake = request.venue.startswith("fake-")
    settings: dict[str, Any] = {}
    if request.mode == "live":
        settings = _demand_live(request, plans)
    elif not fake:
        _demand_paper(request)
        settings = _settings(request)
    with held(request.folder):
        if fake:
            _run_on_fake(request, plans)
        else:
            _run_node(request, plans, settings, _spot(request, plans))


def clock_url(request: NodeRequest) -> str:
    """Return where the clock to compare ours with is: that of the environment that will be traded.

    Raises
    ------
    UsageError
        If the venue has no such environment.
    """
    from adapters.kalshi.environments import ENVIRONMENTS

    if VENUES[request.venue] != "KALSHI":
        return POLYMARKET_CLOCK
    name = request.environment or "production"
    if name not in ENVIRONMENTS:
        raise UsageError("unknown environment", name, f"--environment {' or '.join(ENVIRONMENTS)}")
    return f"{ENVIRONMENTS[name].base_url}/exchange/status"


def _demand_paper(request: NodeRequest) -> None:
    from console import readiness

    checks = [
        readiness.guarded("disk", lambda: readiness.disk_check(request.folder)),
        readiness.guarded("clock", lambda: readiness.skew_check(clock_url(request))),
    ]
    _show(checks)
    readiness.require(checks)


def _demand_live(request: NodeRequest, plans: list[StrategyPlan]) -> dict[str, Any]:
    """Refuse to trade real money unless everything holds and the operator has said so in words.

    Returns
    -------
    dict
        The venue's settings: the keys have left the environment with them.
    """
    from console import readiness

    venue = VENUES[request.venue]
    if request.venue.startswith("fake-"):
        raise GateClosed(
            "live trading needs a real venue", request.venue, f"beta paper --venue {request.venue}"
        )
    if os.environ.get("BETA_LIVE") != "1" and sys.stdin.isatty():
        typed = input("This sends real orders with real money. Type LIVE to go on: ")
        if typed.strip() == "LIVE":
            os.environ["BETA_LIVE"] = "1"
    versions = {p.type.__name__: p.version for p in plans}
    checks = readiness.live_checks(
        venue, request.folder, DEFAULT_HOME, versions, request.base.limits
    )
    settings = _settings(request)
    checks += [
        readiness.guarded("disk", lambda: readiness.disk_check(request.folder)),
        readiness.guarded("clock", lambda: readiness.skew_check(clock_url(request))),
        *readiness.venue_checks(venue, settings),
    ]
    _show(checks)
    readiness.require(checks)
    return settings


def _show(checks: list[Any]) -> None:
    for check in checks:
        print(f"{check.status:4}  {check.name}: {check.seen}", file=sys.stderr)


def _spot(
    request: NodeRequest, plans: list[StrategyPlan], told: dict[str, str] | None = None
) -> SpotSource | None:
    """Return where the strategies' spot prices come from, None when they read none.

    Parameters
    ----------
    told : dict, optional
        Addresses of a stand-in of Kraken that replays recorded spot.
    """
    from core.engine.live.spot import SpotSource

    if not _wants_spot(request, plans):
        return None
    venue = SPOT.get(request.spot, "KRAKEN") if told is None else "KRAKEN"
    return SpotSource(venue=venue, settings={"product": "spot", **(told or {})})


def _wants_spot(request: NodeRequest, plans: list[StrategyPlan]) -> bool:
    if request.spot == "auto":
        return any(p.type.reads_spot for p in plans)
    return request.spot != "off"


def _settings(request: NodeRequest) -> dict[str, Any]:
    """Return the venue's settings: markets from the request, keys from the environment, then forgotten there."""
    from pydantic import SecretStr

    def secret(name: str) -> SecretStr | None:
        value = os.environ.pop(name, None)
        return SecretStr(value) if value else None

    if VENUES[request.venue] == "KALSHI":
        return {
            "tickers": request.base.markets,
            "series": request.series,
            "environment": request.environment,
            "key_id": secret("KALSHI_KEY_ID"),
            "private_key": secret("KALSHI_PRIVATE_KEY"),
        }
    return {
        "conditions": tuple(m for m in request.base.markets if m.startswith("0x")),
        "slugs": tuple(m for m in request.base.markets if not m.startswith("0x")),
        "private_key": secret("POLYMARKET_PK"),
        "signature_type": os.environ.get("POLYMARKET_SIGNATURE_TYPE", "0"),
        "funder": os.environ.get("POLYMARKET_FUNDER", ""),
        "api_key": secret("POLYMARKET_API_KEY"),
        "api_secret": secret("POLYMARKET_API_SECRET"),
        "passphrase": secret("POLYMARKET_PASSPHRASE"),
        "state_dir": request.folder,
        **_collecting(request, secret("POLYMARKET_RELAYER_KEY")),
    }


def _collecting(request: NodeRequest, relayer_key: SecretStr | None) -> dict[str, Any]:
    """Return the settings of a node that collects: caps, key, and the ledger of calls that `beta tokens` has too."""
    if request.collect is None:
        return {}
    from console.tokens import DEFAULT_FOLDER

    cap, day_cap = request.collect
    return {
        "collect": True,
        "relayer_key": relayer_key,
        "collect_cap": cap,
        "collect_day_cap": day_cap,
        "tokens_dir": DEFAULT_FOLDER.absolute(),
        "runs_dir": DEFAULT_HOME.absolute(),
    }


def _run_on_fake(request: NodeRequest, plans: list[StrategyPlan]) -> None:
    from console.fake_venue import ensure
    from core.engine.catalog import find_catalog
    from core.engine.catalog.presence import require_whole

    catalog = find_catalog(request.base.data)
    require_whole(catalog)
    fake, found = ensure(
        request.venue,
        request.folder,
        catalog.root,
        speed=request.speed,
        max_gap_s=request.max_gap_s,
        cash=str(request.base.capital),
        markets=request.fake_markets,
        named=request.base.markets,
        spot=_wants_spot(request, plans),
        repeat=request.repeat,
    )
    told = fake.told
    again = "again " if found else ""
    kind = "SYNTHETIC" if told.get("synthetic") else "recorded"
    print(
        f"{request.venue} {again}on loopback, replays {told.get('catalog')} ({kind}) at {request.speed:g}x",
        file=sys.stderr,
    )
    speed = float(told["speed"])
    plans = [replace(p, config=p.config.at_speed(speed)) for p in plans]
    keys = (
        "base_url",
        "ws_url",
        "clob_url",
        "gamma_url",
        "data_url",
        "geoblock_url",
        "market_ws_url",
        "user_ws_url",
    )
    settings: dict[str, Any] = {k: told[k] for k in keys if k in told}
    if VENUES[request.venue] == "KALSHI":
        settings["tickers"] = tuple(told["markets"])
    else:
        settings["state_dir"] = request.folder
        settings["settle_s"] = 1.0
        settings["poll_result_s"] = 1.0
    try:
        _run_node(request, plans, settings, _spot(request, plans, told.get("spot")), speed)
    finally:
        if not request.keep_fake:
            fake.stop()


def _run_node(
    request: NodeRequest,
    plans: list[StrategyPlan],
    settings: dict[str, Any],
    spot: SpotSource | None,
    speed: float = 1.0,
) -> None:
    from console.terminal.node import Screen
    from console.terminal.text import printable
    from core.engine.live.node import Node, NodeSpec
    from core.engine.live.venue import open_venue
    from core.engine.venues import load_venue
    from core.ledger.kinds import RunMode
    from core.risk.volatility import STEP_NS

    venue = open_venue(VENUES[request.venue], settings)
    latency_ms = request.base.latency_ms
    if latency_ms is None:
        latency_ms = load_venue(venue.code).default_latency_ms
    spec = NodeSpec(
        mode=RunMode(request.mode),
        venue=VENUES[request.venue],
        plans=tuple(plans),
        home=request.folder,
        capital=request.base.capital,
        latency_s=latency_ms / 1000 / speed,  # as far behind the market as at its own speed
        run_s=request.for_s,
        seed=request.base.seed,
        status_every_s=request.status_every_s,
        collect_every_s=max(request.collect_every_s / speed, 0.05 * (request.collect_every_s > 0)),
        limits=request.base.limits,
        spot=spot,
        look_ns=max(1, round(STEP_NS / speed)),  # a minute of the market
    )
    screen = Screen(request.mode, request.venue)
    last: list[NodeStatus] = []

    def on_status(status: NodeStatus) -> None:
        last[:] = [status]
        screen.update(status)

    node = Node(spec, venue, on_status=on_status)
    try:
        with screen:
            outcome = asyncio.run(node.run())
    except RuntimeError as exc:
        raise ConfigError(
            "the node could not start", str(exc)[:300], f"see {request.folder}"
        ) from exc
    summary = _summary(node.run_id, str(outcome), request, last[-1] if last else None)
    if request.as_json:
        print(json.dumps(summary, indent=1))
    else:
        for name, value in summary.items():
            if name != "schema_version":
                shown = (", ".join(value) or "none") if isinstance(value, list) else value
                print(f"{name:>14}  {printable(str(shown))}")
    _demand_trading(node, request)


def _demand_trading(node: Node, request: NodeRequest) -> None:
    """Raise what a node that was halted at its end exits with."""
    from core.risk.states import TradingState

    halted = node.trouble()
    if halted.startswith("ledger: "):
        raise LedgerWriteError(
            "the node ended while its ledger could not be written, or had been so",
            halted,
            f"free disk space or mend the disk; beta ledger verify --dir {request.folder}; start it again",
        )
    if halted:
        raise HaltedError(
            "the node ended while trading was halted",
            halted,
            f"beta risk resume --dir {request.folder / 'risk'}"
            if node.gate.holds.state is TradingState.HALTED
            else "mend what it names, then start the node again: this halt ends with it",
        )


def _summary(
    run_id: str, outcome: str, request: NodeRequest, status: NodeStatus | None
) -> dict[str, Any]:
    body: dict[str, Any] = {
        "schema_version": 1,
        "run": run_id,
        "outcome": outcome,
        "mode": request.mode,
        "venue": request.venue,
        "home": str(request.folder),
        "ledger": f"beta ledger tail --dir {request.folder / 'ledger'}",
    }
    if status is not None:
        body |= {
            "equity": str(status.equity),
            "pnl": str(status.pnl),
            "cash": str(status.cash),
            "fees": str(status.fees),
            "fills": status.fills,
            "orders": status.orders,
            "refused": status.refused,
            "unknown": status.unknown,
            "positions": [f"{h.quantity} {h.instrument_id}" for h in status.positions],
        }
    return body

"""Re-run a recorded backtest from its ledger and compare every decision row."""

from core.engine.replay.report import Divergence, ReplayReport, Side
from core.engine.replay.run import ReplayRequest, replay

__all__ = ["Divergence", "ReplayReport", "ReplayRequest", "Side", "replay"]

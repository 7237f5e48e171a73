"""Parity: what a paper or live run did against what the backtest engine does on the data that run saw."""

from core.engine.parity.compare import Difference, ParityReport, Reason
from core.engine.parity.run import check_parity

__all__ = ["Difference", "ParityReport", "Reason", "check_parity"]

"""Limits, sizing, governors and the gate that every order passes. Pure: time is always an argument."""

from core.risk.approval import ApprovedOrder
from core.risk.gate import Gate
from core.risk.instruments import VenueRules
from core.risk.intake import EXTERNAL
from core.risk.limits import Limits, load_profile
from core.risk.states import Posture, RiskEvent, TradingState
from core.risk.verdict import Code, MarketView, Refusal

__all__ = [
    "EXTERNAL",
    "ApprovedOrder",
    "Code",
    "Gate",
    "Limits",
    "MarketView",
    "Posture",
    "Refusal",
    "RiskEvent",
    "TradingState",
    "VenueRules",
    "load_profile",
]

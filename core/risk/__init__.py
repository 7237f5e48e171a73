"""Limits, sizing, governors and the gate that every order passes. Pure: time is always an argument."""

from core.risk.approval import ApprovedOrder
from core.risk.gate import EXTERNAL, Gate
from core.risk.instruments import VenueRules
from core.risk.verdict import Code, MarketView, Refusal

__all__ = ["EXTERNAL", "ApprovedOrder", "Code", "Gate", "MarketView", "Refusal", "VenueRules"]

"""What the ledger amounts to: orders, fills, lots, trades, positions, portfolio, budgets."""

from core.ledger.projections.store import Projections

__all__ = ["Projections"]

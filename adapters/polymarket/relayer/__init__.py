"""Polymarket's relayer: calls of a proxy, safe or deposit wallet, signed here and paid for there."""

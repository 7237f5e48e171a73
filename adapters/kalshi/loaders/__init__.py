"""Importers of recorded kalshi history."""

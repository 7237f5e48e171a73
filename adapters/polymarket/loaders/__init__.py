"""Importers of recorded polymarket history."""

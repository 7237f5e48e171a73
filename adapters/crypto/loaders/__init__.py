"""Importers of recorded crypto history."""

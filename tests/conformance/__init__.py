"""Numbered cases that every venue passes alike."""

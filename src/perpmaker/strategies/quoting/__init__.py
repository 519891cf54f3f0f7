"""Quoting models: pure functions, each with its source and units."""

"""The practice exchange's GRVT face."""

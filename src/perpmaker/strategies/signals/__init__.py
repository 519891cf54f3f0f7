"""Indicators on bars, the regimes and signals they stand for, and what the market maker makes of them."""

"""Positions, PnL and its attribution: pure functions of fills, marks and funding."""

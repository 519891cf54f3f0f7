"""Matching, accounts and market flow; synchronous, with time as an input."""

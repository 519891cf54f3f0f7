"""Hedged positions on two exchanges: the clip-by-clip pair, and continuous cross-venue making on the same parts."""

"""Online estimates: volatility and order arrivals, from events alone, with their age and quality."""

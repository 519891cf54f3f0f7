"""Grid trading: lines of prices, cells between them, and the strategy that works them."""

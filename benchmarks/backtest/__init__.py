"""What the backtest benchmark is made of: the strategy that all engines run, the market they run it on."""

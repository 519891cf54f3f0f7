"""One engine for live, paper and backtest: the pure core, its runtimes, journal, store, telemetry, control server."""

"""One engine for live, paper and backtest: the synchronous core, its runtimes, journal, store, telemetry, control server."""

"""Our simulated venue beside hftbacktest's: the same recording, the same orders, the same latency; fill by fill."""

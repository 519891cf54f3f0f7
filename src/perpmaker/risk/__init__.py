"""Every order passes here: the gate, its limits, the kill latch. Only this package makes an Approved."""

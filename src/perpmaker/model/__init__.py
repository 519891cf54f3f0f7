"""The vocabulary every layer speaks: ids, instruments, orders, events, commands. No I/O, no clock, no configuration."""

"""Ports for servers that come back at the address they had, so that port 0 will not do."""

from __future__ import annotations

import os
import random
import socket
from contextlib import ExitStack
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST, HIGHEST = 10_000, 32_768
"""Where the system's own range cannot be read: Linux begins it at 32,768."""


def free_ports(count: int) -> int:
    """Return the first of `count` ports in a row that nobody uses.

    They lie below those from which the system serves port 0 and outgoing connections. Else a client of another test gets
    one of them between this look and the server's start, or while the server is down, and keeps it for a minute after it
    has hung up. Random, by another seed in each process: tests run side by side.
    """
    highest = int(RANGE.read_text().split()[0]) if RANGE.exists() else HIGHEST
    drawn = random.Random(int.from_bytes(os.urandom(8)))
    for _ in range(1000):
        first = drawn.randrange(LOWEST, max(highest, LOWEST + 1000) - count)
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError(f"no {count} free ports in a row below {highest}")

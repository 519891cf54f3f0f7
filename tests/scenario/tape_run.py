"""A market maker on the real recorded tape, through sockets, to the tape's end; what came of it.

`python -m tests.scenario.tape_run` prints the figures as JSON; test_tape_through_sockets.py holds them to account. The
tape takes as long as it was recorded: six minutes.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import msgspec
from tests.chaos.harness import NAME, Stack, until
from tests.chaos.oracle import Journal, Oracle
from tests.scenario.market_lab import REAL_TAPE

BTC = "BTC_USDT_Perp"
LONGER_THAN_THE_TAPE_S = 600
STALE_S, PULLED_S = 5.0, 5.0
UNKNOWN_S = 30.0
"""A bulk request that the freeze refuses says nothing of its orders one by one: they are asked about until proven gone."""
CONFIG = f"""
schema_version = 1
env = "local"
mode = "live"
name = "{NAME}"

[account.main]

[risk]
max_loss = 500

[control]
port = 0

[[strategy]]
name = "btc"
kind = "market_maker"
account = "main"
instrument = "{BTC}"
book_interval_ms = 100

[strategy.quoting]
order_notional = 300
layers = 3
layer_spacing_bps = 2
tolerance_bps = 1.5
"""


class Outcome(msgspec.Struct, frozen=True):
    """What a run came to; money in USDT, the parts' bps of the volume traded."""

    elapsed_s: float
    fills: int
    volume: Decimal
    spread: Decimal
    adverse: Decimal
    inventory: Decimal
    fees: Decimal
    funding: Decimal
    pnl: Decimal
    bps_of_volume: dict[str, float]
    position: Decimal
    orders_sent: int
    orders_refused: dict[str, int]
    stale_after_s: float
    """From the market's freeze, as the exchange shows it, until the engine says that the book is stale."""
    pulled_after_s: float
    """The same until the exchange shows no order of ours."""
    end_said: str
    """Why the market stands still, in the exchange's own words."""


def run(home: Path) -> tuple[Outcome, Journal]:
    """Play the tape to its end with a maker in it, stop in good order, and judge everything; needs REAL_TAPE."""
    stack = Stack(home, CONFIG, exchange_options=("--market", "tape", "--tape", str(REAL_TAPE)))
    try:
        return _played(stack)
    finally:
        stack.close()


def _played(stack: Stack) -> tuple[Outcome, Journal]:
    stack.start_exchange()
    began = time.monotonic()
    stack.start_engine()
    oracle = Oracle(stack)
    stack.wait_quoting(30)

    def over() -> bool:
        oracle.audit.collect()  # the exchange forgets orders beyond the last ten thousand
        return bool(stack.control("GET", "/health")["markets"][BTC] == "FROZEN")

    until(over, LONGER_THAN_THE_TAPE_S, "the tape's end", poll_s=1.0)
    frozen = time.monotonic()
    until(lambda: stack.status().books[BTC].stale, STALE_S, "a stale book")
    stale = time.monotonic()
    until(lambda: not stack.open_orders(), PULLED_S, "the quotes to be pulled")
    pulled = time.monotonic()
    until(lambda: not stack.status().open_orders, UNKNOWN_S, "the fate of what was sent as the market froze")
    status = stack.status()
    ended = stack.control("GET", "/health")["ended"][BTC]
    assert stack.stop_engine() == 0, stack.running.last_lines()
    journal = oracle.judge_stopped()
    volume = sum((booked.fill.px * booked.fill.qty for booked in journal.fills), Decimal(0))
    mark = journal.marks[-1]
    parts = {
        "spread": mark.spread,
        "adverse": mark.adverse,
        "inventory": mark.inventory,
        "fees": -mark.fees,
        "funding": mark.funding,
    }
    pnl = sum(parts.values(), Decimal(0))
    outcome = Outcome(
        elapsed_s=round(frozen - began, 1),
        fills=len(journal.fills),
        volume=volume,
        **parts,
        pnl=pnl,
        bps_of_volume={
            name: round(float(part / volume * 10_000), 3) if volume else 0.0
            for name, part in {**parts, "pnl": pnl}.items()
        },
        position=sum((booked.fill.side.sign * booked.fill.qty for booked in journal.fills), Decimal(0)),
        orders_sent=len(journal.intents),
        orders_refused=dict(status.orders_refused),
        stale_after_s=round(stale - frozen, 2),
        pulled_after_s=round(pulled - frozen, 2),
        end_said=ended["reason"],
    )
    return outcome, journal


if __name__ == "__main__":
    if not REAL_TAPE.exists():
        sys.exit(f"{REAL_TAPE} is absent")
    with tempfile.TemporaryDirectory() as folder:
        found, _ = run(Path(folder))
    print(json.dumps(msgspec.to_builtins(found, builtin_types=()), indent=2))

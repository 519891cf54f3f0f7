"""The worker of perpmaker: arguments are the tape, ms of a wake-up (0: nobody quotes), `fast` or `each`.

After a short first run, which compiles or loads what was compiled, each line of standard input is answered by one of all.
"""

from __future__ import annotations

import sys
import time
import tomllib
from decimal import Decimal
from pathlib import Path

from benchmarks.workers.anchor import serve_runs

from perpmaker import config as configuration
from perpmaker.engine.backtest import Setup, backtest, only
from perpmaker.tape.reader import open_tape

STRATEGY = Path(__file__).parents[1] / "backtest" / "touch_maker.py"


def config(every_ms: int) -> configuration.Config:
    text = f"""
schema_version = 1
env = "local"
name = "speed"
[account.main]
[risk]
max_loss = 100000
[simulation]
entry_ms = 1
response_ms = 1
balance = 1000000
[[strategy]]
name = "btc"
account = "main"
instrument = "BTC_USDT_Perp"
kind = '{STRATEGY}:TouchMaker'
qty = 0.001
every_ms = {every_ms or 1000}
quotes = {"true" if every_ms else "false"}
"""
    return configuration.parse(tomllib.loads(text, parse_float=Decimal), {}, source="benchmark")


def main() -> None:
    tape = open_tape(Path(sys.argv[1]))
    setup = Setup(config(int(sys.argv[2])), is_fast=sys.argv[3] == "fast")

    def play(setup: Setup) -> tuple[int, dict[str, int]]:
        began = time.process_time_ns()
        (run,) = backtest(setup, tape, only(["queue"])).runs
        taken = time.process_time_ns() - began
        return taken, {"orders": run.figures.orders, "fills": run.figures.fills}

    play(Setup(setup.config, is_fast=setup.is_fast, to_ns=tape.first_recv_ns + 10 * 10**9))
    serve_runs(lambda: play(setup), version="perpmaker")


if __name__ == "__main__":
    main()

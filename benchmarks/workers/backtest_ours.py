"""The worker of perpmaker: arguments are the tape, ms of a wake-up, `fast` or `each`, and what the strategy does.

`timed` has single orders, `ladder` states a ladder, `looks` places nothing.

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

FOLDER = Path(__file__).parents[1] / "backtest"
STRATEGIES = {
    "timed": f"kind = '{FOLDER}/timed_maker.py:TimedMaker'",
    "ladder": f"kind = '{FOLDER}/touch_maker.py:TouchMaker'",
    "looks": f"kind = '{FOLDER}/touch_maker.py:TouchMaker'\nquotes = false",
}


def config(every_ms: int, what: str) -> configuration.Config:
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
{STRATEGIES[what]}
qty = 0.001
every_ms = {every_ms}
"""
    return configuration.parse(tomllib.loads(text, parse_float=Decimal), {}, source="benchmark")


def main() -> None:
    tape = open_tape(Path(sys.argv[1]))
    setup = Setup(config(int(sys.argv[2]), sys.argv[4]), is_fast=sys.argv[3] == "fast")

    def play(setup: Setup) -> tuple[int, dict[str, int]]:
        began = time.process_time_ns()
        (run,) = backtest(setup, tape, only(["queue"])).runs
        taken = time.process_time_ns() - began
        return taken, {"orders": run.figures.orders, "fills": run.figures.fills}

    play(Setup(setup.config, is_fast=setup.is_fast, to_ns=tape.first_recv_ns + 10 * 10**9))
    serve_runs(lambda: play(setup), version="perpmaker")


if __name__ == "__main__":
    main()

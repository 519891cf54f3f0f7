"""`python -m benchmarks.backtest.memory`: a backtest of a day of 20 instruments, four times as large as what it may use.

The tape's decoded columns are more than 4 GiB. Says what the backtest took at most (resident memory); exits with 1 when
that was more than 1 GiB.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
import tomllib
from decimal import Decimal
from pathlib import Path

from benchmarks.backtest.market import rules, write_market

from perpmaker import config as configuration
from perpmaker.engine.backtest import Setup, backtest, only
from perpmaker.tape.columns import ROW_BYTES
from perpmaker.tape.reader import Tape, open_tape

_GIB = 1 << 30
_DAY_NS = 86_400 * 10**9
TOUCH_MAKER = Path(__file__).parent / "touch_maker.py"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backtest.memory", description=__doc__)
    parser.add_argument("--messages", type=int, default=96_000_000, help="of all instruments together, over 24 hours")
    parser.add_argument("--instruments", type=int, default=20)
    parser.add_argument("--tape", type=Path, help="made here when it is not there; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.tape or Path(folder) / "day.tape"
        if not path.exists():
            gap_ns = _DAY_NS // options.messages
            write_market(path, messages=options.messages, gap_ns=gap_ns, instruments=options.instruments, marks=True)
        return _run(open_tape(path), options.instruments)


def _run(tape: Tape, instruments: int) -> int:
    before_mb = _peak_mb()
    began, wall = time.process_time(), time.perf_counter()
    (run,) = backtest(Setup(_config(instruments)), tape, only(["queue"])).runs
    took, waited = time.process_time() - began, time.perf_counter() - wall
    peak_mb, decoded = _peak_mb(), tape.rows * ROW_BYTES
    said = {
        "rows": tape.rows,
        "hours": round((tape.last_recv_ns - tape.first_recv_ns) / 3.6e12, 2),
        "decoded_gib": round(decoded / _GIB, 2),
        "peak_mb": peak_mb,
        "peak_before_mb": before_mb,
        "decoded_over_cap": round(decoded / _GIB, 2),
        "events": run.events,
        "fills": run.figures.fills,
        "processor_s": round(took, 1),
        "wall_s": round(waited, 1),
        "digest": run.digest,
    }
    print(json.dumps(said, indent=2))
    return 0 if peak_mb <= 1024 else 1


def _peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _config(instruments: int) -> configuration.Config:
    others = ", ".join(f'"{rules(number).instrument_id}"' for number in range(1, instruments))
    text = f"""
schema_version = 1
env = "local"
name = "day"
[account.main]
instruments = [{others}]
[risk]
max_loss = 100000
[simulation]
balance = 1000000
[[strategy]]
name = "btc"
account = "main"
instrument = "BTC_USDT_Perp"
kind = '{TOUCH_MAKER}:TouchMaker'
qty = 0.001
every_ms = 10000
"""
    return configuration.parse(tomllib.loads(text, parse_float=Decimal), {}, source="memory")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m perpmaker.exchange`: the practice exchange without the command line's dependencies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from perpmaker import logs
from perpmaker.errors import PerpmakerError
from perpmaker.exchange.server import ExchangeOptions, run


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="perpmaker.exchange", description=__doc__)
    defaults = ExchangeOptions()
    parser.add_argument("--venues", type=lambda text: tuple(text.split(",")), default=defaults.venues)
    parser.add_argument("--port", type=int, default=defaults.port, help="0: any free one")
    parser.add_argument("--next-free", action="store_true")
    parser.add_argument("--market", choices=("simulated", "tape"), default=defaults.market)
    parser.add_argument("--tape", dest="tapes", action="append", type=Path, default=[])
    parser.add_argument("--backpack-tape", dest="backpack_tapes", action="append", type=Path, default=[])
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--activity", type=float, default=defaults.activity)
    parser.add_argument("--instruments", type=Path)
    parser.add_argument("--accounts", type=int, default=defaults.accounts)
    parser.add_argument("--owners", type=int)
    parser.add_argument("--fee-tier", type=int)
    parser.add_argument("--chain-id", type=int)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--session-life-s", type=float, default=defaults.session_life_s)
    parser.add_argument("--history-s", type=int, default=defaults.history_s)
    chosen = vars(parser.parse_args(arguments))
    logs.configure()
    try:
        tapes = {name: tuple(chosen[name]) for name in ("tapes", "backpack_tapes")}
        run(ExchangeOptions(**{**chosen, **tapes}))
    except PerpmakerError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

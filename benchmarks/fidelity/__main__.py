"""`python -m benchmarks.fidelity [TAPE ...]`: our simulated venue beside hftbacktest's, fill by fill.

Generated markets and the tapes that are named (`perpmaker tape convert` makes them of other recordings), an order every
half second in the median, entry and response 10 ms, both queue models. Exits with 1 when a difference is not explained.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from benchmarks.backtest.market import START_NS, rules
from benchmarks.fidelity import ours, peer
from benchmarks.fidelity.compare import Comparison, compare
from benchmarks.fidelity.plan import Play, in_order, lively, named, scheduled
from benchmarks.fidelity.reading import RULES

from perpmaker.model.instrument import Instrument
from perpmaker.simulation import QueueModel
from perpmaker.tape.reader import events, open_tape

JSON = Path("reports") / "fidelity.json"
GENERATED = (1, 2, 3)
"""Seeds."""
_CROWDED_LOTS = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fidelity", description=__doc__)
    parser.add_argument(
        "tapes", nargs="*", type=Path, help="tapes of one instrument with one whole book at its beginning"
    )
    parser.add_argument("--seconds", type=int, default=300, help="length of a generated market; 0: none")
    parser.add_argument("--json", type=Path, default=JSON, help=f"where the figures go (default {JSON})")
    parser.add_argument(
        "--golden", type=Path, help="write hftbacktest's fills of one small play there, and nothing else"
    )
    options = parser.parse_args()
    if options.golden is not None:
        write_golden(options.golden)
        return 0
    plays = [
        *(_generated(options.seconds) if options.seconds else ()),
        *(one for path in options.tapes for one in _recorded(path)),
    ]
    cases = [(play, rule, queue) for play, rule in plays for queue in QueueModel]
    theirs = peer.fills_of([(play, queue) for play, _, queue in cases])
    found = []
    for (play, rule, queue), fills in zip(cases, theirs, strict=True):
        one = compare(play, queue, ours.fills_of(play, rule, queue), fills)
        found.append(one)
        print(_line(one), flush=True)
    print("\n" + "\n".join(f"{name}: {text}" for name, text in RULES.items()))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(msgspec.to_builtins(found), indent=2) + "\n")
    well = all(one.ours_read and one.theirs_read and "unexplained" not in one.why for one in found)
    return 0 if well else 1


def golden_play() -> tuple[Play, Instrument]:
    """The small play whose fills are kept beside the tests, so that they need no peer."""
    rule = rules()
    market = in_order(lively(rule, 7, 45, START_NS))
    orders = scheduled(market, rule, 7, 300, most_lots=_CROWDED_LOTS)
    return Play("golden", market, orders, float(rule.tick), float(rule.lot)), rule


def write_golden(path: Path) -> None:
    play, _ = golden_play()
    fills = peer.fills_of([(play, queue) for queue in QueueModel])
    path.parent.mkdir(parents=True, exist_ok=True)
    by_queue = {queue.value: found for queue, found in zip(QueueModel, fills, strict=True)}
    path.write_bytes(msgspec.json.encode({"peer": peer.version(), "fills": by_queue}) + b"\n")


def _generated(seconds: int) -> Iterator[tuple[Play, Instrument]]:
    rule = rules()
    tick, lot = float(rule.tick), float(rule.lot)
    for seed in GENERATED:
        market = in_order(lively(rule, seed, seconds, START_NS))
        small = scheduled(market, rule, seed, 1_000, most_lots=1, life_ms=1_000)
        yield Play(f"generated {seed}, one lot at a time", market, small, tick, lot), rule
        crowded = scheduled(market, rule, seed, 150, most_lots=_CROWDED_LOTS)
        yield Play(f"generated {seed}, crowded", market, crowded, tick, lot), rule


def _recorded(path: Path) -> Iterator[tuple[Play, Instrument]]:
    tape = open_tape(path)
    (listed,) = tape.instruments
    rule = listed.instrument
    market = in_order(named(events(tape), rule.instrument_id))
    tick, lot = float(rule.tick), float(rule.lot)
    small = scheduled(market, rule, 1, 500, most_lots=1)
    yield Play(f"{path.stem}, one lot at a time", market, small, tick, lot), rule
    crowded = scheduled(market, rule, 1, 250, most_lots=_CROWDED_LOTS)
    yield Play(f"{path.stem}, crowded", market, crowded, tick, lot), rule


def _line(one: Comparison) -> str:
    why = ", ".join(f"{name} {count}" for name, count in one.why.items()) or "nothing"
    read = "" if one.ours_read and one.theirs_read else "  (THE READING DIFFERS)"
    return (
        f"{one.play} [{one.queue}]: {one.orders} orders, {one.filled} filled, {one.same} of them alike, "
        f"{one.same_qty} in quantity; lots {one.our_lots} ours, {one.their_lots} theirs, {one.both_lots} both; "
        f"different by {why}{read}"
    )


if __name__ == "__main__":
    sys.exit(main())

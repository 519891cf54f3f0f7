"""The runs of the benchmark: each day, each strategy, each fill model once, in processes, kept line by line.

A line says what it is of, keys of the strategy included, so that a run that was broken off goes on where it was, and a
strategy whose keys have changed is run again. A changed program is not noticed: begin anew after one.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Final

import msgspec
from benchmarks.strategies.contestants import INSTRUMENT, Contestant, config_of
from benchmarks.strategies.markets import KINDS, write_day
from benchmarks.strategies.measures import Measures, measured

from perpmaker.engine.backtest import Setup, backtest, only
from perpmaker.research.tuning.runners import obey_the_parent
from perpmaker.tape.reader import open_tape

MODELS: Final = ("queue", "pessimistic", "optimistic")
_SHORT_HOURS: Final = 0.1
"""Up to here the compiled path is not worth its compilation; what comes out is the same."""
_SPLIT: Final = Path(__file__).parent / "split.json"


class Day(msgspec.Struct, frozen=True):
    """A tape: a simulated day by kind and seed, or a recording by its path."""

    kind: str
    seed: int = 0
    hours: float = 0.0
    path: str = ""

    @property
    def name(self) -> str:
        return Path(self.path).stem if self.path else f"{self.kind} {self.seed}"


class Run(msgspec.Struct, frozen=True):
    """What one process does at a time."""

    day: Day
    contestant: str
    keys: str
    """The strategy's keys, a digest of them."""
    model: str


class Kept(msgspec.Struct, frozen=True):
    """A run and what came of it; a line of the results' file."""

    run: Run
    measures: Measures
    seconds: float


def split(part: str) -> dict[str, list[int]]:
    """Return the seeds of `tuning` or `judging`, by kind of market, as they were recorded."""
    seeds: dict[str, list[int]] = json.loads(_SPLIT.read_text())[part]
    return seeds


def days(part: str, count: int, hours: float) -> list[Day]:
    """Return the first `count` days of a part, the kinds taking turns."""
    seeds = split(part)
    longest = max(len(of_kind) for of_kind in seeds.values())
    turns = [
        Day(kind, seeds[kind][turn], hours) for turn in range(longest) for kind in KINDS if turn < len(seeds[kind])
    ]
    return turns[:count]


def plan(days: Sequence[Day], contestants: Sequence[Contestant], models: Sequence[str]) -> list[Run]:
    """Return all runs, the default fill model of every day first."""
    return [Run(day, one.name, digest(one), model) for model in models for day in days for one in contestants]


def digest(contestant: Contestant) -> str:
    """Return a digest of a strategy's keys that is the same wherever the repository is."""
    told = {key: Path(str(value)).name if key == "kind" else value for key, value in contestant.keys.items()}
    text = json.dumps(told, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def kept(path: Path) -> dict[Run, Kept]:
    """Return what the file holds; a last line that was cut off is left out."""
    found: dict[Run, Kept] = {}
    if not path.exists():
        return found
    for line in path.read_bytes().splitlines():
        try:
            one = msgspec.json.decode(line, type=Kept)
        except msgspec.DecodeError:
            continue
        found[one.run] = one
    return found


def carry_out(
    wanted: Sequence[Run], contestants: Sequence[Contestant], folder: Path, *, processes: int
) -> dict[Run, Kept]:
    """Do what the results' file does not hold yet, and return all of `wanted`."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "results.jsonl"
    done = kept(target)
    named = {one.name: one for one in contestants}
    left = [run for run in wanted if run not in done]
    began = time.monotonic()
    with target.open("ab") as file:
        for count, one in enumerate(_each(left, named, folder, processes), 1):
            done[one.run] = one
            file.write(msgspec.json.encode(one) + b"\n")
            file.flush()
            _tell(count, len(left), time.monotonic() - began, one)
    return {run: done[run] for run in wanted}


def _each(left: Sequence[Run], named: dict[str, Contestant], folder: Path, processes: int) -> Iterator[Kept]:
    if processes <= 1:
        yield from (_run(run, named[run.contestant], folder) for run in left)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_begin) as pool:
        waiting = [pool.submit(_run, run, named[run.contestant], folder) for run in left]
        try:
            for future in as_completed(waiting):
                yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _begin() -> None:
    obey_the_parent()
    os.nice(5)


def _run(run: Run, contestant: Contestant, folder: Path) -> Kept:
    began = time.process_time()
    tape = open_tape(tape_of(run.day, folder))
    own = str(tape.instruments[0].instrument_id)
    is_long = bool(run.day.path) or run.day.hours > _SHORT_HOURS
    setup = Setup(config_of(contestant), named={own: INSTRUMENT}, is_fast=is_long)
    (result,) = backtest(setup, tape, only([run.model])).runs
    return Kept(run, measured(result), round(time.process_time() - began, 2))


def tape_of(day: Day, folder: Path) -> Path:
    """Return a day's tape, written first when it is not there."""
    if day.path:
        return Path(day.path)
    path = folder / "tapes" / f"{day.kind}_{day.seed}_{day.hours:g}h.tape"
    write_day(path, day.kind, day.seed, day.hours)
    return path


def _tell(count: int, total: int, seconds: float, one: Kept) -> None:
    left_s = seconds / count * (total - count)
    text = f"[{seconds:6.0f} s] {count}/{total}, {left_s / 60:.0f} min left: {one.run.day.name}, {one.run.contestant}"
    print(
        f"{text}, {one.run.model}: net {one.measures.net:+.2f}, per risk {one.measures.per_risk:+.2f}", file=sys.stderr
    )

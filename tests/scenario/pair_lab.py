"""Runs of both venues' simulated markets together, watched event by event.

`python -m tests.scenario.pair_lab` prints the figures of docs/explanation/two-venues.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, median, pstdev

import msgspec

from perpmaker.exchange.backpack.market import FEES, INSTRUMENTS, LEADERS, LIMITS, RATE, following_market
from perpmaker.exchange.core.instruments import DEFAULT_INSTRUMENTS
from perpmaker.exchange.core.market.basis import Together
from perpmaker.exchange.core.market.simulator import SimulatedMarket
from perpmaker.exchange.core.types import NANO, Side, TradePrinted
from perpmaker.exchange.core.venue import Venue

START_NS = 1_700_000_000 * NANO
WINDOW_S = 300


@dataclass
class PairRun:
    """What could be seen of a run, each second."""

    leading: Venue
    second: Venue
    basis_bps: dict[str, list[float]] = field(default_factory=dict)
    """Of each perpetual: the second venue's mid over the first's, in one currency."""
    rates: list[float] = field(default_factory=list)
    depth_ratio: dict[str, list[float]] = field(default_factory=dict)
    """Value within 5 bps of the touch, a side, over the first venue's."""
    trades: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def run_pair(seed: int, seconds: int, *, step_ns: int | None = None) -> PairRun:
    """Play both markets, event by event or in steps; the digests cover every event of each venue, in its order."""
    leading = Venue(DEFAULT_INSTRUMENTS, now_ns=START_NS)
    second = Venue(INSTRUMENTS, now_ns=START_NS, fees=FEES, limits=LIMITS)
    leader = SimulatedMarket(leading, seed=seed)
    source = Together([leader, following_market(second, leading, leader, seed=seed)])
    run = PairRun(leading, second)
    hashes = {"grvt": hashlib.sha256(), "backpack": hashlib.sha256()}
    encoder = msgspec.msgpack.Encoder()
    end_ns, second_ns = START_NS + seconds * NANO, START_NS + NANO
    now_ns = START_NS
    while now_ns < end_ns:
        next_ns = source.next_event_ns() if step_ns is None else now_ns + step_ns
        assert next_ns is not None
        now_ns = min(next_ns, second_ns)
        source.advance(now_ns)
        for name, venue in (("grvt", leading), ("backpack", second)):
            events = venue.take_events()
            if name == "backpack":
                for event in events:
                    if isinstance(event, TradePrinted):
                        run.trades[event.trade.instrument] = run.trades.get(event.trade.instrument, 0) + 1
            if step_ns is None:
                hashes[name].update(encoder.encode(events))
        if now_ns == second_ns:
            second_ns += NANO
            _look(run)
    run.digests = {name: digest.hexdigest() for name, digest in hashes.items()}
    return run


def _look(run: PairRun) -> None:
    rate = _mid(run.second, RATE.name)
    run.rates.append(rate)
    for name, leader in LEADERS.items():
        basis = 1e4 * math.log(_mid(run.second, name) / rate / _mid(run.leading, leader))
        run.basis_bps.setdefault(name, []).append(basis)
        depths = _value_near(run.second, name), _value_near(run.leading, leader)
        run.depth_ratio.setdefault(name, []).append(depths[0] / depths[1])


def _mid(venue: Venue, name: str) -> float:
    mid_nano = venue.ticker(name).mid_nano
    assert mid_nano is not None
    return mid_nano / NANO


def _value_near(venue: Venue, name: str) -> float:
    book = venue.book(name)
    best = book.best_bid_ticks
    assert best is not None
    instrument = venue.instrument(name)
    assert instrument is not None
    near = [level for level in book.depth(Side.BUY, 200) if level.px_ticks >= best * (1 - 5e-4)]
    return sum(level.px_ticks * level.qty_lots for level in near) * instrument.unit_nano / NANO


def autocorrelation(values: Sequence[float], lag: int) -> float:
    mean, sd = fmean(values), pstdev(values)
    return sum((a - mean) * (b - mean) for a, b in zip(values, values[lag:], strict=False)) / len(values) / sd**2


def ranges(values: Sequence[float], window_s: int = WINDOW_S) -> list[float]:
    """How far apart the extremes of each window are."""
    windows = [values[start : start + window_s] for start in range(0, len(values) - window_s + 1, window_s)]
    return [max(window) - min(window) for window in windows]


def figures(run: PairRun) -> dict[str, dict[str, float]]:
    return {
        name: {
            "sd_bps": pstdev(basis),
            "after_45_s": autocorrelation(basis, 45),
            "range_5_min_bps": median(ranges(basis)),
            "smallest_range_bps": min(ranges(basis)),
            "depth_ratio": median(run.depth_ratio[name]),
            "trades_per_s": run.trades[name] / len(basis),
        }
        for name, basis in run.basis_bps.items()
    }


def measured(seed: int, seconds: int) -> dict[str, object]:
    """One run as what another process can compare, and its figures."""
    run = run_pair(seed, seconds)
    rates = {"least": min(run.rates), "most": max(run.rates)}
    return {"digests": run.digests, "figures": figures(run), "rates": rates}


def main(arguments: Sequence[str]) -> None:
    match arguments:
        case ["run", seed, seconds]:
            print(json.dumps(measured(int(seed), int(seconds))))
        case _:
            runs = [measured(seed, 3_600) for seed in (1, 2, 3)]
            print(json.dumps(runs, indent=1))


if __name__ == "__main__":
    main(sys.argv[1:])

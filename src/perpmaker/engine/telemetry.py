"""How long things take: fixed-bucket histograms, cheap to feed and honest to about 3 %.

Values are nanoseconds. A bucket is a power of two split into 32 parts, as in HdrHistogram (G. Tene): below 32 ns exact,
above with a relative error of at most 1/32. Percentiles are of the last one to two minutes, so that an old spike does not
colour the present; `count` and `sum_ns` are since the start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from perpmaker.control.messages import Percentiles

STAGES: Final = (
    "decode",
    "book",
    "decide",
    "gate",
    "sign",
    "journal",
    "write",
    "ack",
    "tick_to_order",
    "event",
    "loop_lag",
)
"""decode: frame received to event. book: event to book. decide: strategies. gate: risk. sign: payload and signature.
journal: intent written. write: bytes to the socket, until the call has returned (a receiver on the same machine may run
first). ack: write to the venue's first word. tick_to_order: frame received to the return of the order's write. event:
processor time of all that an event led to, its decoding apart. loop_lag: how late the event loop runs what is due."""

_FRACTIONS: Final = (0.5, 0.99, 0.999)
_PARTS_LOG2: Final = 5
_PARTS: Final = 1 << _PARTS_LOG2
_BUCKETS: Final = (40 - _PARTS_LOG2) * _PARTS + _PARTS
_LARGEST: Final = (1 << 40) - 1  # about 18 minutes


class Histogram:
    """Counts durations. `record` costs a few hundred nanoseconds and allocates nothing that stays."""

    __slots__ = ("_before", "_now", "count", "sum_ns")

    def __init__(self) -> None:
        self._now = [0] * _BUCKETS
        self._before = [0] * _BUCKETS
        self.count = 0
        self.sum_ns = 0

    def record(self, ns: int) -> None:
        """Count one duration; a negative one (two clocks disagree) counts as 0, one above 18 minutes as that."""
        self.count += 1
        if ns < _PARTS:
            ns = max(ns, 0)
            self._now[ns] += 1
        else:
            ns = min(ns, _LARGEST)
            shift = ns.bit_length() - _PARTS_LOG2 - 1
            self._now[(shift << _PARTS_LOG2) + (ns >> shift)] += 1
        self.sum_ns += ns

    def turn(self) -> None:
        """Begin a new minute: the one before the last is forgotten."""
        self._before, self._now = self._now, self._before
        self._now[:] = [0] * _BUCKETS

    def percentiles_ns(self, *fractions: float) -> list[float | None]:
        """Return the value below which each (ascending) fraction of the recent durations lies; None without any."""
        counts = [a + b for a, b in zip(self._before, self._now, strict=True)]
        total = sum(counts)
        if not total:
            return [None] * len(fractions)
        found: list[float | None] = []
        seen, bucket = 0, -1
        for fraction in fractions:
            while seen < fraction * total:
                bucket += 1
                seen += counts[bucket]
            found.append(_middle_ns(max(bucket, 0)))
        return found


class Telemetry:
    """One histogram per stage, and counters of what happened."""

    def __init__(self) -> None:
        self.stages = {name: Histogram() for name in STAGES}
        self.counters: dict[str, int] = {}

    def record(self, stage: str, ns: int) -> None:
        self.stages[stage].record(ns)

    def recorder(self, stage: str) -> Callable[[int], None]:
        """Return the stage's `record`, looked up once."""
        return self.stages[stage].record

    def count(self, name: str, amount: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + amount

    def turn(self) -> None:
        for histogram in self.stages.values():
            histogram.turn()

    def latency_us(self) -> dict[str, Percentiles]:
        """Return p50 and p99 of each stage in microseconds, None where nothing was measured lately."""
        return {name: _percentiles_us(histogram) for name, histogram in self.stages.items()}


def prometheus(telemetry: Telemetry, gauges: Mapping[str, float], labels: str) -> str:
    """Render in the Prometheus text format; `labels` as inside the braces, e.g. `engine="local",env="local"`."""
    lines: list[str] = ["# TYPE perpmaker_stage_seconds summary"]
    for name, histogram in telemetry.stages.items():
        tag = f'{labels},stage="{name}"'
        for fraction, ns in zip(_FRACTIONS, histogram.percentiles_ns(*_FRACTIONS), strict=True):
            if ns is not None:
                lines.append(f'perpmaker_stage_seconds{{{tag},quantile="{fraction}"}} {ns / 1e9:.9f}')
        lines.append(f"perpmaker_stage_seconds_sum{{{tag}}} {histogram.sum_ns / 1e9:.9f}")
        lines.append(f"perpmaker_stage_seconds_count{{{tag}}} {histogram.count}")
    for name, total in sorted(telemetry.counters.items()):
        lines.append(f"# TYPE perpmaker_{name}_total counter")
        lines.append(f"perpmaker_{name}_total{{{labels}}} {total}")
    for name, value in sorted(gauges.items()):
        lines.append(f"# TYPE perpmaker_{name} gauge")
        lines.append(f"perpmaker_{name}{{{labels}}} {value!r}")
    return "\n".join(lines) + "\n"


def _percentiles_us(histogram: Histogram) -> Percentiles:
    p50, p99 = histogram.percentiles_ns(0.5, 0.99)
    return Percentiles(p50=_us(p50), p99=_us(p99))


def _us(ns: float | None) -> float | None:
    return None if ns is None else round(ns / 1000, 2)


def _middle_ns(bucket: int) -> float:
    if bucket < 2 * _PARTS:
        return float(bucket)
    shift = (bucket >> _PARTS_LOG2) - 1
    low = (bucket - (shift << _PARTS_LOG2)) << shift
    return low + ((1 << shift) - 1) / 2

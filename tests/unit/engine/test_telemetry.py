from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpmaker.engine.telemetry import STAGES, Histogram, Telemetry, prometheus


@given(st.integers(min_value=0, max_value=(1 << 40) - 1))
def test_one_value_is_told_back_within_a_thirty_second_part(ns: int) -> None:
    histogram = Histogram()
    histogram.record(ns)
    (median,) = histogram.percentiles_ns(0.5)
    assert median == pytest.approx(ns, rel=1 / 32, abs=0.5)


@given(st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=200))
def test_percentiles_agree_with_sorting(values: list[int]) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    ordered = sorted(values)
    for fraction, found in zip((0.5, 0.99), histogram.percentiles_ns(0.5, 0.99), strict=True):
        rank = next(i for i in range(len(values)) if i + 1 >= fraction * len(values))
        assert found == pytest.approx(ordered[rank], rel=1 / 32, abs=0.5)


def test_a_negative_duration_counts_as_zero_and_a_huge_one_as_the_largest() -> None:
    histogram = Histogram()
    histogram.record(-5)
    histogram.record(1 << 60)
    assert histogram.percentiles_ns(0.5)[0] == 0
    assert histogram.percentiles_ns(1.0)[0] == pytest.approx(1 << 40, rel=1 / 16)


def test_two_turns_forget_a_spike_but_not_the_count() -> None:
    histogram = Histogram()
    histogram.record(1_000_000)
    histogram.turn()
    assert histogram.percentiles_ns(0.5)[0] is not None
    histogram.turn()
    assert histogram.percentiles_ns(0.5) == [None]
    assert histogram.count == 1


def test_every_stage_is_shown_in_microseconds() -> None:
    telemetry = Telemetry()
    telemetry.record("sign", 25_000)
    shown = telemetry.latency_us()
    assert set(shown) == set(STAGES)
    assert shown["sign"].p50 == pytest.approx(25.0, rel=0.04)
    assert shown["gate"].p50 is None


def test_prometheus_text_has_stages_counters_and_gauges() -> None:
    telemetry = Telemetry()
    telemetry.record("sign", 25_000)
    telemetry.count("orders_sent", 3)
    text = prometheus(telemetry, {"equity": 100.5}, 'engine="e"')
    assert 'perpmaker_stage_seconds_count{engine="e",stage="sign"} 1' in text
    assert 'perpmaker_stage_seconds{engine="e",stage="sign",quantile="0.999"} 0.000024832' in text
    assert 'perpmaker_orders_sent_total{engine="e"} 3' in text
    assert 'perpmaker_equity{engine="e"} 100.5' in text

"""The compiled queue model is the exact one or says that it is not sure; compiled code is judged by all its sources."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from perpmaker.simulation import QueueModel
from perpmaker.simulation.fast import kernel, layout
from perpmaker.simulation.fast.compiled import sources
from perpmaker.simulation.fast.queueing import UNSURE, cancelled_ahead
from perpmaker.simulation.queue import cancelled_ahead as exactly

parts = st.one_of(st.integers(0, 10_000), st.integers(0, 10**9), st.integers(0, 10**13))


@settings(max_examples=1_500, deadline=None)
@given(st.sampled_from(QueueModel), st.integers(1, 10), parts.filter(bool), parts, parts)
@example(QueueModel.POWER, 3, 10**13, 10**13, 10**13)
@example(QueueModel.POWER, 10, 7, 10**13, 3)
@example(QueueModel.POWER, 3, 10_000, 600_000_001, 300_000_007)
def test_a_compiled_queue_place_is_the_exact_one_or_unsure(
    model: QueueModel, exponent: int, gone: int, ahead: int, behind: int
) -> None:
    number = layout.POWER if model is QueueModel.POWER else layout.RISK_AVERSE
    found = cancelled_ahead(number, exponent, gone, ahead, behind)
    assert found in (UNSURE, exactly(model, exponent, gone, ahead, behind))


def test_an_everyday_queue_place_is_sure() -> None:
    assert cancelled_ahead(layout.POWER, 3, 5_000, 12_000, 30_000) == exactly(
        QueueModel.POWER, 3, 5_000, 12_000, 30_000
    )


def test_compiled_code_on_disk_is_valid_only_for_these_very_sources() -> None:
    kept = kernel.skip._cache._cache_file  # type: ignore[attr-defined]
    assert kept._source_stamp == sources()

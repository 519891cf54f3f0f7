"""What a market maker remembers, as it is written and read."""

from __future__ import annotations

import pytest

from perpmaker.model.order import Side
from perpmaker.strategies.quoting.memo import MakerMemo, decode, encode
from perpmaker.strategies.signals.latch import LatchMemory

TUNERS = '{"keys":"k","gamma":1.25,"kappa":1.0,"turn":2,"last":"kept"}'


@pytest.mark.parametrize("latch", [None, LatchMemory(Side.BUY, 7)])
def test_what_is_written_is_read_and_written_again_as_it_was(latch: LatchMemory | None) -> None:
    text = encode(TUNERS, latch)
    memo = decode(text)
    assert (bytes(memo.adapt).decode(), memo.latch) == (TUNERS, latch)
    assert encode(memo.adapt, memo.latch) == text


def test_a_memo_of_before_the_latch_is_all_the_tuners() -> None:
    memo = decode(TUNERS)
    assert (bytes(memo.adapt).decode(), memo.latch) == (TUNERS, None)


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", '{"keys":7}', '{"adapt":null}'])
def test_what_says_nothing_of_the_tuner_is_no_memory_of_it(text: str) -> None:
    assert decode(text) == MakerMemo()

from __future__ import annotations

from perpmaker.model.events import Bar
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.signals.bars import Bars

from .made_bars import BTC, START_NS, bar


def _mids(bars: Bars, seconds: range, px: float = 1000.0) -> list[Bar]:
    """One mid a second, counted from the start; the price is that plus the second."""
    return [out for second in seconds for out in bars.on_mid(START_NS + second * NS_PER_S, px + second)]


def test_the_venues_bars_come_out_as_they_are_each_once() -> None:
    bars = Bars(BTC, 60)
    assert bars.on_venue(bar(0, 1000.0)) == [bar(0, 1000.0)]
    assert bars.on_venue(bar(0, 1001.0)) == []
    assert bars.on_venue(bar(1, 1002.0)) == [bar(1, 1002.0)]


def test_bars_of_another_length_are_none() -> None:
    assert Bars(BTC, 60).on_venue(bar(0, 1000.0, bar_s=300)) == []


def test_what_the_venue_does_not_send_is_made_of_mids_five_seconds_after_its_end() -> None:
    bars = Bars(BTC, 60)
    assert _mids(bars, range(30, 125)) == [], "the first interval was not seen whole, the next may still come"
    (made,) = _mids(bars, range(125, 126))
    assert (made.open_ns - START_NS) // NS_PER_S == 60
    assert (made.open, made.high, made.low, made.close) == (1060.0, 1119.0, 1060.0, 1119.0)


def test_a_bar_of_the_venue_takes_the_place_of_one_of_ours() -> None:
    bars = Bars(BTC, 60)
    _mids(bars, range(122))
    assert bars.on_venue(bar(1, 5.0)) == [bar(1, 5.0)]
    assert _mids(bars, range(122, 170)) == []


def test_bars_of_ours_that_wait_come_out_before_a_later_one_of_the_venue() -> None:
    bars = Bars(BTC, 60)
    _mids(bars, range(122))
    out = bars.on_venue(bar(2, 5.0))
    assert [(one.open_ns - START_NS) // (60 * NS_PER_S) for one in out] == [1, 2]
    assert out[-1].close == 5.0


def test_an_interval_with_a_silence_before_it_is_not_made() -> None:
    bars = Bars(BTC, 60)
    _mids(bars, range(10))
    assert _mids(bars, range(500, 545)) == []


def test_a_bar_of_the_venue_that_comes_after_ours_went_out_is_too_late() -> None:
    bars = Bars(BTC, 60)
    made = _mids(bars, range(126))
    assert len(made) == 1
    assert bars.on_venue(bar(1, 5.0)) == []

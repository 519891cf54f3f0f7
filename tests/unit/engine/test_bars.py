"""Bars are kept for strategies that start after them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.engine.maker import made
from tests.unit.engine.rig import BTC, START_NS, Rig

from perpmaker.model.events import Bar
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Strategy, StrategyParams, Subscription


class Reader(Strategy[StrategyParams]):
    """Reads the past at its start and hears the bars after."""

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self.past: list[float] = []
        self.heard: list[float] = []

    def subscriptions(self) -> Sequence[Subscription]:
        return (Subscription(self.params.instrument, bars_s=(60,)),)

    def on_start(self, ctx: Context) -> None:
        self.past = [bar.close for bar in ctx.bars(self.params.instrument, 60)]

    def on_bar(self, ctx: Context, bar: Bar) -> None:
        self.heard.append(bar.close)


def _bar(number: int) -> Bar:
    px = float(number)
    return Bar(BTC, 60, START_NS + number * 60 * NS_PER_S, px, px, px, px, 1.0, 1, START_NS)


def _reader(rig: Rig) -> Reader:
    (slot,) = rig.engine.world.slots.values()
    assert isinstance(slot.strategy, Reader)
    return slot.strategy


def test_a_strategy_reads_at_its_start_the_bars_that_came_before() -> None:
    rig = Rig(made(Reader)).start(ready=False)
    for number in range(3):
        rig.feed(_bar(number))
    rig.run(3.0)
    rig.feed(_bar(3))
    assert (_reader(rig).past, _reader(rig).heard) == ([0.0, 1.0, 2.0], [3.0])


def test_a_bar_told_twice_is_kept_once_and_no_more_than_five_hundred_are() -> None:
    rig = Rig(made(Reader)).start()
    for number in (0, 1, 1, 0, *range(2, 600)):
        rig.feed(_bar(number))
    kept = [bar.close for bar in rig.engine.world.bars[(BTC, 60)]]
    assert kept == [float(number) for number in range(100, 600)]

"""The decision log: inputs with the quotes they led to, every ten seconds and when they turn."""

from __future__ import annotations

from typing import Any

from tests.unit.engine.maker import made
from tests.unit.engine.rig import START_NS, Rig

from perpmaker.engine.records import Decision
from perpmaker.model.book import Book
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Context, Strategy, StrategyParams


class Talker(Strategy[StrategyParams]):
    """Explains what a test wants, with every book."""

    says: dict[str, Any]

    def on_book(self, ctx: Context, book: Book) -> None:
        ctx.explain(self.params.instrument, {"fair": book.mid, **self.says})


def _rig(**says: Any) -> tuple[Rig, Talker]:
    rig = Rig(made(Talker))
    (slot,) = rig.engine.world.slots.values()
    assert isinstance(slot.strategy, Talker)
    slot.strategy.says = says
    rig.start()
    rig.run(10.1)
    rig.records.clear()
    return rig, slot.strategy


def _decisions(rig: Rig) -> list[Decision]:
    return [record for record in rig.records if isinstance(record, Decision)]


def test_a_decision_is_written_down_every_ten_seconds() -> None:
    rig, _ = _rig(regime="neutral")
    rig.run(30)
    assert len(_decisions(rig)) == 3


def test_a_decision_that_turned_is_written_down_at_once() -> None:
    for turned in ({"regime": "trending"}, {"signal": "buy"}, {"reasons": ("bids: position limit",)}):
        rig, talker = _rig(regime="neutral")
        rig.run(3)
        before = len(_decisions(rig))
        talker.says = {"regime": "neutral", **turned}
        rig.run(0.2)
        assert len(_decisions(rig)) == before + 1
        assert turned.items() <= {key: _read(value) for key, value in _decisions(rig)[-1].inputs.items()}.items()


def _read(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def test_figures_in_a_reason_are_no_turn_and_turns_are_written_once_a_second_at_most() -> None:
    rig, talker = _rig(reasons=("rests 60 s",))
    for second in range(8):
        talker.says = {"reasons": (f"rests {59 - second} s",)}
        rig.run(1)
    assert len(_decisions(rig)) <= 1
    rig, talker = _rig(regime="0")
    for step in range(40):
        talker.says = {"regime": str(step)}
        rig.run(0.1)
    assert 3 <= len(_decisions(rig)) <= 5
    assert (rig.now_ns - START_NS) // NS_PER_S > 10

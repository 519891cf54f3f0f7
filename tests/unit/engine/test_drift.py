"""Money that moved at the venue and that we missed is told, its roundings are not."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.engine.rig import Rig


def told(rig: Rig) -> list[Decimal]:
    return [Decimal(notice.fields["venue_minus_ours"]) for notice in rig.notices("balance_drifted")]


def test_a_balance_that_stays_away_from_ours_is_told_once_and_anew_when_it_moves_on() -> None:
    rig = Rig().start()
    rig.balance += 5
    rig.run(300)
    assert told(rig) == [5]
    rig.balance += Decimal("0.02")
    rig.run(300)
    assert told(rig) == [5, Decimal("5.02")]


def test_roundings_are_not_told() -> None:
    rig = Rig().start()
    for _ in range(20):
        rig.balance += Decimal("4E-10")
        rig.run(60)
    assert told(rig) == []


def test_a_difference_that_goes_is_not_told_and_one_that_comes_back_is() -> None:
    rig = Rig().start()
    for moved, count in ((-3, 1), (3, 1), (-3, 2)):
        rig.balance += moved
        rig.run(300)
        assert len(told(rig)) == count

"""The equity curve: a ring of numbers that looks like a list of points."""

from __future__ import annotations

from perpmaker.control.messages import EquityPoint
from perpmaker.engine.curve import EquityCurve


def test_points_come_back_as_they_were_noted() -> None:
    curve = EquityCurve(10)
    curve.add(1.5, 100.25, {})
    curve.add(2.5, 101.0, {"BTC": 0.25})
    curve.add(3.5, 99.0, {"ETH": -2.0})
    assert curve.after(0) == [
        EquityPoint(1.5, 100.25, {}),
        EquityPoint(2.5, 101.0, {"BTC": 0.25}),
        EquityPoint(3.5, 99.0, {"ETH": -2.0}),
    ]


def test_only_the_last_points_are_kept_and_their_numbers_go_on() -> None:
    curve = EquityCurve(4)
    for second in range(11):
        curve.add(float(second), 100.0 + second, {"BTC": float(second % 2)})
    assert curve.count == 11
    assert [point.ts_s for point in curve.after(0)] == [7.0, 8.0, 9.0, 10.0]
    assert [point.ts_s for point in curve.after(9)] == [9.0, 10.0]
    assert [point.positions for point in curve.after(9)] == [{"BTC": 1.0}, {}]
    assert curve.after(11) == curve.after(12) == []

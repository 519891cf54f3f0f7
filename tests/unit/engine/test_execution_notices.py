"""What people are told of a parent order: a line a child, a line at the end, a warning when it slipped."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.engine.test_executions import execute, idle_rig
from tests.unit.execution.algos.workbench import Workbench

from perpmaker.engine.core.execution_notices import ended
from perpmaker.model.commands import Notice
from perpmaker.model.order import OrderState
from perpmaker.model.quote import Algorithm, Peg, Sweep


def told(algorithm: Algorithm, px: str = "2601.30", filled: str = "0.02") -> list[Notice]:
    """What is told of 0.02 ETH bought at a price; the touch at arrival was 2600.00."""
    work = Workbench("0.02", algorithm=algorithm)
    work.child()
    work.end(filled, OrderState.FILLED if filled == "0.02" else OrderState.CANCELED, px=Decimal(px))
    while not work.parent.is_over:
        work.parent.stop()
        work.act()
        work.later(1_000)
    return list(ended(work.report(), work.now_ns))


def test_each_child_and_the_end_are_one_line() -> None:
    rig = idle_rig()
    execute(rig, side="sell")
    lines = {notice.name: notice for notice in rig.commands if isinstance(notice, Notice)}
    child, end = lines["execution_child_ended"].fields, lines["execution_ended"].fields
    assert (child["n"], child["filled"], child["total"], child["state"]) == ("1", "0.010", "0.010/0.010", "filled")
    assert child["offset_bps"] == "0.00"
    assert child["px"] == child["limit"].rstrip("0").rstrip(".")
    assert (end["filled"], end["children"], end["ending"], end["side"]) == ("0.010/0.010", "1", "done", "sell")
    assert lines["execution_ended"].level == "info"


def test_slippage_above_the_alert_is_a_warning_and_at_it_none() -> None:
    quiet = told(Sweep(alert_slippage_bps=Decimal(6)))
    assert [(notice.level, notice.name) for notice in quiet] == [("info", "execution_ended")]
    loud = told(Sweep(alert_slippage_bps=Decimal(4)))
    assert [notice.name for notice in loud] == ["execution_ended", "execution_slipped"]
    assert (loud[1].level, loud[1].fields["alert_bps"], loud[1].fields["slippage_bps"]) == ("warning", "4", "5.00")


def test_pegs_sweep_alerts_where_peg_says_nothing_of_its_own() -> None:
    peg = Peg(take=Sweep(alert_slippage_bps=Decimal(4)))
    assert [notice.name for notice in told(peg)] == ["execution_ended", "execution_slipped"]


def test_a_shortfall_is_a_warning() -> None:
    (end,) = told(Sweep(), filled="0.01")
    assert (end.level, end.fields["filled"], end.fields["remaining"]) == ("warning", "0.01/0.02", "0.01")

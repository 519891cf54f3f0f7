"""Parent orders in the engine: people's, strategies' targets, closings; stops, restarts, the journal's report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.engine.rig import BTC, LIMITS, Rig, strategy_spec

from perpmaker.engine.records import ExecutionBegun, ExecutionChild, ExecutionEnded
from perpmaker.model.execution import Ending, ExecutionReport
from perpmaker.model.order import TimeInForce
from perpmaker.model.quote import Sweep
from perpmaker.strategies.api import Context, Strategy, StrategyParams

WIDE = msgspec.structs.replace(LIMITS, max_order_notional=Decimal(10_000), max_position_notional=Decimal(50_000))


class Idle(Strategy[StrategyParams]):
    """Wants what a test says, and remembers how it ended."""

    def __init__(self, params: StrategyParams) -> None:
        super().__init__(params)
        self.wanted: Decimal | None = None
        self.algo = Sweep()
        self.reports: list[ExecutionReport] = []
        self.seen: ExecutionReport | None = None

    def on_book(self, ctx: Context, book: Any) -> None:
        self.seen = ctx.execution(BTC)
        if self.wanted is not None:
            ctx.target(BTC, self.wanted, self.algo)

    def on_execution(self, ctx: Context, report: ExecutionReport) -> None:
        self.reports.append(report)


def idle_rig(**options: Any) -> Rig:
    return Rig(strategy_spec(lambda: Idle(StrategyParams(instrument=BTC))), limits=WIDE, **options).start()


def idle(rig: Rig) -> Idle:
    strategy = rig.engine.world.slots["btc"].strategy  # type: ignore[index]
    assert isinstance(strategy, Idle)
    return strategy


def execute(rig: Rig, command_id: str = "order-01", **arguments: str) -> Any:
    wanted = {"instrument": BTC, "side": "buy", "qty": "0.010", "algo": "sweep", **arguments}
    return rig.operate("execute", command_id=command_id, **wanted)


def report(rig: Rig, command_id: str = "order-01") -> ExecutionReport:
    found = rig.engine.executions.get(command_id)
    assert found is not None
    return found


def test_execute_works_a_parent_order_and_answers_with_the_truth() -> None:
    rig = idle_rig()
    answer = execute(rig)
    assert answer.state == "done"
    assert "0.010 of 0.010" in answer.text
    end = report(rig)
    assert (end.ending, end.filled_qty, end.remaining_qty, end.children) == (Ending.DONE, Decimal("0.010"), 0, 1)
    assert rig.positions[BTC] == Decimal("0.010")
    (order,) = [there.order for there in rig.orders.values()]
    assert (order.tif, order.tag) == (TimeInForce.IOC, "sweep 1")
    assert [type(r) for r in rig.records if isinstance(r, ExecutionBegun | ExecutionChild | ExecutionEnded)] == [
        ExecutionBegun,
        ExecutionBegun,
        ExecutionChild,
        ExecutionEnded,
    ]

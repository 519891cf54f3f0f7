"""Parent orders in the engine: people's, strategies' targets, closings; stops, restarts, the journal's report."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, ETH, LIMITS, MAIN, Rig, instrument, strategy_spec

from perpmaker.engine.core.executions import KEPT_ENDED
from perpmaker.engine.core.oneshots import summary
from perpmaker.engine.records import ExecutionBegun, ExecutionChild, ExecutionEnded
from perpmaker.model.commands import Notice
from perpmaker.model.events import InstrumentListed, Trade
from perpmaker.model.execution import Ending, ExecutionReport
from perpmaker.model.ids import AccountId, TradeId
from perpmaker.model.order import Side, TimeInForce
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


def test_a_second_id_on_the_same_instrument_is_refused_while_one_is_worked() -> None:
    rig = idle_rig()
    rig.accepts = False
    assert execute(rig).state == "accepted"
    again = execute(rig, "order-02")
    assert (again.state, "order-01" in again.text) == ("refused", True)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"instrument": "DOGE_USDT_Perp"}, "does not follow"),
        ({"side": "long"}, "side must be buy or sell"),
        ({"qty": "0.0005"}, "not a multiple"),
        ({"qty": "lots"}, "not a number"),
        ({"qty": "-1"}, "at least 0.001"),
        ({"qty": "NaN"}, "finite"),
        ({"algo": "magic"}, "there is no algorithm 'magic'"),
        ({"max_slippage_bps": "5000"}, "0 to 1000 basis points"),
        ({"max_slipage_bps": "5"}, "no parameter 'max_slipage_bps'"),
        ({"algo": "chunked"}, "needs chunk_qty"),
        ({"algo": "iceberg"}, "needs display_qty"),
        ({"account": "other"}, "does not trade on grvt"),
        ({"leftover": "unwind"}, "needs a pair"),
        ({"reduce_only": "perhaps"}, "true or false"),
    ],
)
def test_what_is_wrong_with_an_order_is_said_in_a_sentence(wrong: dict[str, str], said: str) -> None:
    rig = idle_rig()
    answer = execute(rig, **wrong)
    assert answer.state == "refused"
    assert said in answer.text
    assert rig.orders == {}


def test_a_stop_cancels_the_child_and_the_answer_is_the_truth() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004")
    (child,) = rig.live()
    assert child.post_only
    rig.fill(child, Decimal("0.003"))
    assert rig.operate("execution_stop", command_id="stop-001", id="order-01").state in ("accepted", "done")
    rig.run(1)
    end = report(rig)
    assert (end.ending, end.filled_qty, end.remaining_qty) == (Ending.STOPPED, Decimal("0.003"), Decimal("0.007"))
    assert rig.live() == []
    answer = rig.engine.answer("stop-001")
    assert answer is not None
    assert (answer.state, "0.003 of 0.010" in answer.text) == ("done", True)


def test_stopping_one_that_nobody_knows_is_refused() -> None:
    assert idle_rig().operate("execution_stop", id="order-77").state == "refused"


def test_a_kill_ends_a_parent_order_and_its_child() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004")
    rig.operate("kill")
    rig.run(1)
    assert rig.live() == []
    assert report(rig).ending is Ending.STOPPED
    assert execute(rig, "order-02").state == "refused"


def test_an_engine_that_stops_ends_its_parent_orders_with_the_truth() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004")
    rig.fill(rig.live()[0], Decimal("0.001"))
    rig.operate("stop")
    rig.run(1)
    assert (report(rig).ending, report(rig).filled_qty) == (Ending.STOPPED, Decimal("0.001"))
    (ended,) = [r for r in rig.records if isinstance(r, ExecutionEnded)]
    assert ended.report == report(rig)


def test_an_own_quote_in_the_way_is_never_met() -> None:
    rig = Rig(made(Maker), limits=WIDE).start()
    (ask,) = rig.quotes(side=Side.SELL)
    rig.book(half_ticks=700)  # nothing of others before our own ask
    execute(rig, max_slippage_bps="100")
    rig.run(1)
    sent = [there.order for there in rig.orders.values() if there.order.tag.startswith("sweep")]
    assert ask.px is not None
    assert all(order.px is not None and order.px < ask.px for order in sent)


def test_limits_of_the_account_stand_in_the_way_of_a_parent_order() -> None:
    rig = Rig(strategy_spec(lambda: Idle(StrategyParams(instrument=BTC)))).start()  # at most 5,000 a position
    execute(rig, qty="0.200")
    rig.run(15)
    end = report(rig)
    assert end.filled_qty * rig.mid[BTC] <= 5_000
    assert (end.ending, "MAX_POSITION" in end.text) == (Ending.REFUSED, True)


# --- targets


def test_quotes_that_use_the_order_rate_up_leave_one_order_to_a_parent_order() -> None:
    limits = msgspec.structs.replace(WIDE, orders_per_s=Decimal(3))
    quoting = strategy_spec(
        lambda: Maker(StrategyParams(instrument=ETH), layers=4, qty=Decimal("0.100")), "eth", 2, ETH
    )
    worked = strategy_spec(lambda: Idle(StrategyParams(instrument=BTC)))
    rig = Rig(quoting, worked, limits=limits).start(ready=False)  # the quotes are always first
    for step in range(60):  # the market moves away at each look, so that all quotes are wanted anew
        rig.mid[ETH] = Decimal(3_000 + step % 7 * 20)
        if step == 40:
            assert rig.engine.world.gate.allowance(MAIN, rig.now_ns) == 0
            execute(rig)
        rig.run(0.1)
    assert report(rig).ending is Ending.DONE
    assert not [child for child in report(rig).last_children if child.state == "denied"]
    before = len(rig.orders)
    for step in range(20):
        rig.mid[ETH] = Decimal(3_000 + step % 7 * 20)
        rig.run(0.1)
    assert len(rig.orders) - before >= 5  # nothing is kept any more: three a second again


def test_a_target_is_reached_and_its_strategy_hears_how() -> None:
    rig = idle_rig()
    idle(rig).wanted = Decimal("0.010")
    rig.run(1)
    assert rig.positions[BTC] == Decimal("0.010")
    (heard,) = idle(rig).reports
    assert (heard.ending, heard.order.target_qty, heard.filled_qty) == (Ending.DONE, Decimal("0.010"), Decimal("0.010"))
    rig.run(1)
    assert idle(rig).seen == heard
    assert len(rig.orders) == 1


def test_a_target_counts_executions_whose_fills_are_still_to_come() -> None:
    rig = idle_rig()
    rig.answers = False
    idle(rig).wanted = Decimal("0.010")
    rig.run(0.2)
    idle(rig).wanted = Decimal("0.020")
    (there,) = rig.orders.values()
    rig.feed(rig.report(there))  # the order's end is told, its fill is not
    rig.run(3)
    assert rig.positions[BTC] == Decimal("0.020")
    assert [there.order.qty for there in rig.orders.values()] == [Decimal("0.010"), Decimal("0.010")]


def test_a_new_target_waits_until_the_child_of_the_one_before_has_ended() -> None:
    rig = idle_rig()
    rig.answers = rig.reads = False
    idle(rig).wanted = Decimal("0.010")
    rig.run(0.2)
    idle(rig).wanted = Decimal("-0.010")
    rig.run(3)
    assert len(rig.orders) == 1
    rig.answers = rig.reads = True
    rig.run(20)
    assert rig.positions[BTC] == Decimal("-0.010")


def test_a_lost_answer_of_a_target_is_reconciled_and_never_doubled() -> None:
    rig = idle_rig()
    rig.answers = False
    idle(rig).wanted = Decimal("0.010")
    rig.run(0.2)
    rig.answers = True
    rig.run(20)
    assert rig.positions[BTC] == Decimal("0.010")
    assert len(rig.orders) == 1


def test_a_paused_strategys_target_is_withdrawn() -> None:
    rig = idle_rig()
    rig.accepts = rig.answers = False
    idle(rig).wanted = Decimal("0.010")
    rig.run(0.2)
    rig.operate("pause")
    rig.accepts = rig.answers = True
    rig.run(25)
    assert rig.positions.get(BTC, Decimal(0)) == 0
    assert idle(rig).reports[-1].ending is Ending.STOPPED


def test_the_many_steps_of_strategies_do_not_push_out_what_people_gave() -> None:
    rig = idle_rig()
    execute(rig)
    rig.run(1)
    given = report(rig)
    step = msgspec.structs.replace(given, order=msgspec.structs.replace(given.order, target_qty=Decimal(1)))
    for number in range(2 * KEPT_ENDED):
        order = msgspec.structs.replace(step.order, execution_id=f"step-{number}")
        rig.engine.executions.restore_end(ExecutionEnded(msgspec.structs.replace(step, order=order), rig.now_ns))
    assert report(rig) == given
    assert len(rig.engine.executions.reports()) == 1 + KEPT_ENDED
    assert rig.engine.executions.get(f"step-{2 * KEPT_ENDED - 1}") is not None
    assert rig.engine.executions.get("step-0") is None


# --- restarts


def restarted(rig: Rig) -> Rig:
    """The next life: the venue is what it was, the journal is read back."""
    later = Rig(*rig.spec.strategies, limits=WIDE, epoch=2, venue=rig)
    later.engine.restore(None, rig.journal)
    later.journal = list(rig.journal)
    return later.start(ready=False)


def test_a_restart_ends_a_sweep_with_what_it_filled() -> None:
    rig = idle_rig()
    rig.answers = False
    execute(rig)
    later = restarted(rig)
    later.run(15)
    end = report(later)
    assert (end.ending, end.filled_qty) == (Ending.DONE, Decimal("0.010"))
    assert end.fees == Decimal("0.010") * rig.fills[0].px * Decimal("0.0001")
    assert len(later.orders) == 1
    assert [r for r in later.records if isinstance(r, ExecutionEnded)]


def test_a_restart_goes_on_with_what_has_time_left_and_keeps_its_arrival() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    rig.fill(rig.live()[0], Decimal("0.004"))
    rig.run(1)
    before = report(rig)
    assert before.filled_qty == Decimal("0.004")
    later = restarted(rig)
    later.run(15)
    after = report(later)
    assert (after.state, after.filled_qty, after.arrival) == ("working", Decimal("0.004"), before.arrival)
    assert after.remaining_qty == Decimal("0.006")
    (child,) = later.live()
    later.fill(child)
    later.run(2)
    assert report(later).filled_qty == Decimal("0.008")


def test_a_life_for_one_order_alone_ends_what_the_life_before_left_and_works_its_own() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    rig.fill(rig.live()[0], Decimal("0.004"))
    rig.run(1)
    later = Rig(*rig.spec.strategies, limits=WIDE, epoch=2, venue=rig, pause_added=True)
    later.engine.restore(None, rig.journal)
    later.start(ready=False)
    later.run(15)
    (ended,) = [r.report for r in later.records if isinstance(r, ExecutionEnded)]
    assert (ended.ending, ended.filled_qty, ended.remaining_qty) == (Ending.RESTART, Decimal("0.004"), Decimal("0.006"))
    assert not later.live()
    execute(later, "order-02", qty="0.002")
    later.run(5)
    own = report(later, "order-02")
    assert (own.ending, own.filled_qty) == (Ending.DONE, Decimal("0.002"))


def test_a_repetition_in_the_next_life_is_the_same_order() -> None:
    rig = idle_rig()
    rig.answers = False
    execute(rig)
    later = restarted(rig)
    later.run(15)
    again = execute(later)
    assert (again.state, again.text) == ("done", summary(report(later)))
    assert len(later.orders) == 1
    for another in ("0.020", "sNaN"):
        assert execute(later, qty=another).text == "order-01 is the id of another parent order"


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "delisted"])
def test_a_restart_that_does_not_trade_the_instrument_any_more_ends_it_with_the_truth(listed: bool) -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    rig.fill(rig.live()[0], Decimal("0.004"))
    rig.run(1)
    later = Rig(
        strategy_spec(lambda: Idle(StrategyParams(instrument=ETH)), "eth", 2, ETH), limits=WIDE, epoch=2, venue=rig
    )
    later.engine.restore(None, rig.journal)
    later.start(ready=False)
    if listed:
        later.feed(InstrumentListed(instrument(BTC), later.now_ns))
    later.run(15)
    (ended,) = [r.report for r in later.records if isinstance(r, ExecutionEnded)]
    assert (ended.ending, ended.filled_qty, ended.remaining_qty) == (Ending.RESTART, Decimal("0.004"), Decimal("0.006"))
    assert "does not trade it any more" in ended.text
    assert not later.live()


@pytest.mark.parametrize("crashed", [True, False], ids=["crash", "checkpoint"])
@pytest.mark.parametrize("resting", [True, False], ids=["resting", "between children"])
def test_a_restart_without_its_account_ends_it_with_what_the_journal_knows(crashed: bool, resting: bool) -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    rig.fill(rig.live()[0], Decimal("0.004"))
    rig.run(1)
    (child,) = rig.live()
    if resting:
        rig.fill(child, Decimal("0.001"))
    else:
        rig.refuses = "the link is down"
        rig.fill(child, Decimal("0.004"))
    filled = Decimal("0.005") if resting else Decimal("0.008")
    later = Rig(limits=WIDE, epoch=2, account=AccountId("other"))
    later.engine.restore(None if crashed else rig.engine.checkpoint(), rig.journal if crashed else [])
    later.engine.start(rig.now_ns)
    later.collect()
    (ended,) = [r.report for r in later.records if isinstance(r, ExecutionEnded)]
    assert (ended.ending, ended.state, ended.filled_qty) == (Ending.RESTART, "ended", filled)
    assert ended.remaining_qty == Decimal("0.010") - filled
    assert (ended.fees, ended.vwap) == (sum(f.fee for f in rig.fills), report(rig).vwap)
    assert "account main is not configured any more" in ended.text
    assert ("what became of its last order" in ended.text) is resting
    assert report(later) == ended
    third = Rig(limits=WIDE, epoch=3, account=AccountId("other"))
    third.engine.restore(None, [*rig.journal, *later.journal])
    third.engine.start(rig.now_ns)
    third.collect()
    assert not third.records  # ended once, and for good
    assert report(third) == ended


def test_the_end_of_a_parent_order_without_its_account_is_told_to_people() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    later = Rig(limits=WIDE, epoch=2, account=AccountId("other"))
    later.engine.restore(None, rig.journal)
    said = [command for command in later.engine.start(rig.now_ns) if isinstance(command, Notice)]
    assert [notice.fields["filled"] for notice in said if notice.name == "execution_ended"] == ["0/0.010"]


def test_a_restart_in_the_middle_of_a_target_ends_it_and_the_strategy_states_it_anew() -> None:
    rig = idle_rig()
    rig.accepts = False  # the child never arrives
    idle(rig).wanted = Decimal("0.010")
    rig.run(0.2)
    later = restarted(rig)
    later.run(15)
    (ended,) = [r.report for r in later.records if isinstance(r, ExecutionEnded)]
    assert (ended.ending, ended.filled_qty) == (Ending.RESTART, 0)
    idle(later).wanted = Decimal("0.010")
    later.run(2)
    assert later.positions[BTC] == Decimal("0.010")


@pytest.mark.parametrize("crashed", [True, False], ids=["crash", "checkpoint"])
def test_a_pov_keeps_the_volume_it_counted_over_a_restart(crashed: bool) -> None:
    rig = idle_rig()
    execute(rig, algo="pov", participation="0.5", duration_ms="600000")
    rig.run(1)
    trade(rig, "0.004")
    rig.run(2)
    assert report(rig).filled_qty == Decimal("0.004")
    trade(rig, "0.004")  # our own, as the public sees it
    later = Rig(*rig.spec.strategies, limits=WIDE, epoch=2, venue=rig)
    later.engine.restore(None if crashed else rig.engine.checkpoint(), rig.journal if crashed else [])
    later.start()
    later.run(5)
    assert report(later).filled_qty == Decimal("0.004")
    trade(later, "0.003")
    later.run(2)
    assert report(later).filled_qty == Decimal("0.007")


def trade(rig: Rig, qty: str) -> None:
    """Let the public see a trade."""
    lots = int(Decimal(qty) / Decimal("0.001"))
    rig.feed(Trade(BTC, 600_000, lots, Side.BUY, TradeId(f"p{len(rig.events)}"), rig.now_ns, rig.now_ns))


def test_a_checkpoint_holds_what_is_being_worked() -> None:
    rig = idle_rig()
    execute(rig, algo="iceberg", display_qty="0.004", duration_ms="600000")
    rig.fill(rig.live()[0], Decimal("0.004"))
    rig.run(1)
    later = Rig(*rig.spec.strategies, limits=WIDE, epoch=2, venue=rig)
    later.engine.restore(rig.engine.checkpoint(), [])
    later.start()
    later.run(15)
    assert (report(later).state, report(later).filled_qty) == ("working", Decimal("0.004"))

"""What people tell the engine: pause, resume, close, kill, stop; and halts by limits."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, ETH, LIMITS, MAIN, Rig

from perpmaker.engine.records import HaltChanged, Latch
from perpmaker.model.commands import CancelAll, SubmitOrders
from perpmaker.model.order import Side, TimeInForce


def two() -> Rig:
    other = made(lambda params: Maker(params, qty=Decimal("0.1")), "eth", 2, ETH)
    return Rig(made(Maker), other).start()


def long_btc(rig: Rig, qty: str = "0.010") -> None:
    rig.fill(rig.quotes(BTC, Side.BUY)[0], Decimal(qty))
    assert rig.engine.world.account_books[MAIN].position_qty(BTC) == Decimal(qty)


def test_pause_cancels_the_quotes_and_keeps_the_position() -> None:
    rig = two()
    long_btc(rig)
    answer = rig.operate("pause", command_id="p")
    assert rig.live() == []
    assert (answer.state, rig.engine.answer("p").state) == ("done", "done")
    rig.run(5)
    assert rig.live() == []
    assert rig.positions[BTC] == Decimal("0.010")


def test_pause_of_one_strategy_leaves_the_others() -> None:
    rig = two()
    rig.operate("pause", strategy="btc")
    rig.run(1)
    assert rig.quotes(BTC) == []
    assert len(rig.quotes(ETH)) == 2


def test_pause_by_instrument() -> None:
    rig = two()
    rig.operate("pause", instrument=ETH)
    assert rig.quotes(ETH) == []
    assert len(rig.quotes(BTC)) == 2


def test_pause_is_accepted_until_the_last_order_has_ended() -> None:
    rig = two()
    rig.accepts = rig.answers = False
    assert rig.operate("pause", command_id="p").state == "accepted"
    rig.accepts = rig.answers = True
    rig.run(10)
    assert rig.engine.answer("p").state == "done"


def test_a_name_nobody_has_is_refused() -> None:
    answer = two().operate("pause", strategy="sol")
    assert (answer.state, "sol" in answer.text) == ("refused", True)


def test_resume_quotes_again_at_once() -> None:
    rig = two()
    rig.operate("pause")
    rig.operate("resume")
    assert len(rig.live()) == 4


def test_kill_latches_cancels_everything_and_nothing_but_clear_undoes_it() -> None:
    rig = two()
    long_btc(rig)
    before = rig.engine.world.kill.current
    rig.operate("kill", reason="drill")
    assert rig.live() == []
    assert rig.sent(CancelAll)
    assert [r.latched for r in rig.records if isinstance(r, Latch)] == [True]
    assert rig.engine.world.kill.current == before + 1
    assert rig.operate("resume").state == "refused"
    assert rig.operate("close").state == "refused"
    sent = len(rig.sent(SubmitOrders))
    rig.run(10)
    assert len(rig.sent(SubmitOrders)) == sent


def test_the_latch_record_comes_before_any_cancel_can_be_carried_out() -> None:
    rig = two()
    first: list[object] = []
    carry_out = rig._carry_out

    def watch(commands: object) -> None:
        first.append([type(r).__name__ for r in rig.records][-1:])
        carry_out(commands)  # type: ignore[arg-type]

    rig._carry_out = watch  # type: ignore[method-assign, assignment]
    rig.operate("kill")
    assert first[0] == ["Latch"]


def test_kill_is_done_when_two_reads_five_seconds_apart_were_empty() -> None:
    rig = two()
    assert rig.operate("kill", command_id="k").state == "accepted"
    rig.run(4)
    assert rig.engine.answer("k").state == "accepted"
    rig.run(4)
    assert rig.engine.answer("k").state == "done"


def test_a_kill_keeps_cancelling_what_does_not_go() -> None:
    rig = two()
    rig.accepts = rig.answers = False
    rig.operate("kill", command_id="k")
    rig.run(3)
    rig.accepts = rig.answers = True
    rig.run(12)
    assert rig.live() == []
    assert rig.engine.answer("k").state == "done"


@pytest.mark.parametrize("typed", ["", "clear kill", "clear kill other", "resume"])
def test_the_latch_needs_the_exact_words(typed: str) -> None:
    rig = two()
    rig.operate("kill")
    answer = rig.operate("clear_kill", confirmation=typed)
    assert answer.state == "refused"
    assert rig.engine.world.kill.latched


def test_a_cleared_latch_lets_quotes_come_back() -> None:
    rig = two()
    rig.operate("kill")
    assert rig.operate("clear_kill", confirmation="clear kill test").state == "done"
    rig.run(1)
    assert len(rig.live()) == 4
    assert [r.latched for r in rig.records if isinstance(r, Latch)] == [True, False]


def test_clearing_what_is_not_set_is_refused() -> None:
    assert two().operate("clear_kill", confirmation="clear kill test").state == "refused"


def test_close_flattens_with_reduce_only_limit_iocs_inside_the_cap() -> None:
    rig = two()
    long_btc(rig)
    rig.mid[BTC] += Decimal(20)
    rig.book()
    rig.operate("close", command_id="c")
    rig.run(2)
    assert rig.positions[BTC] == 0
    assert rig.engine.answer("c").state == "done"
    (child,) = [o.order for o in rig.orders.values() if o.order.tag.startswith("close")]
    assert (child.tif, child.reduce_only, child.side) == (TimeInForce.IOC, True, Side.SELL)
    assert child.px is not None
    assert child.px >= (rig.mid[BTC] - Decimal("0.5")) * (1 - Decimal("0.0050"))
    assert rig.notices("position_closed")


def test_close_of_one_strategy_leaves_the_others_quoting() -> None:
    rig = two()
    long_btc(rig)
    rig.operate("close", strategy="btc")
    rig.run(2)
    assert rig.positions[BTC] == 0
    assert len(rig.quotes(ETH)) == 2
    assert rig.quotes(BTC) == []


def test_close_splits_what_is_larger_than_one_order_and_leaves_no_dust() -> None:
    rig = two()
    for _ in range(3):
        long = rig.quotes(BTC, Side.BUY)[0]
        rig.fill(long)
        rig.run(0.3)
    held = rig.positions[BTC]
    assert held * rig.mid[BTC] > LIMITS.max_order_notional
    rig.operate("close", strategy="btc", command_id="c")
    rig.run(5)
    assert rig.positions[BTC] == 0
    children = [o.order for o in rig.orders.values() if o.order.tag.startswith("close")]
    assert len(children) >= 2
    assert all(child.qty * rig.mid[BTC] >= 100 for child in children)


def test_close_goes_on_after_the_market_left_the_cap_behind_and_alarms_meanwhile() -> None:
    rig = two()
    long_btc(rig)
    rig.accepts = False  # the first child is lost
    rig.operate("close", strategy="btc", command_id="c")
    rig.run(8)
    assert rig.notices("position_not_flat")
    rig.mid[BTC] -= Decimal(600)
    rig.accepts = True
    rig.run(60)
    assert rig.positions[BTC] == 0
    assert rig.engine.answer("c").state == "done"


def test_stop_runs_the_last_hook_cancels_and_verifies_twice() -> None:
    rig = two()
    rig.operate("stop", command_id="s")
    assert rig.live() == []
    strategy = rig.engine.world.slots["btc"].strategy  # type: ignore[index]
    assert isinstance(strategy, Maker)
    assert strategy.heard[-1][0] == "stop" or ("stop", rig.now_ns) in strategy.heard
    rig.run(3)
    assert rig.engine.verified_empty
    assert rig.engine.answer("s").state == "done"
    assert rig.live() == []


def test_a_day_loss_at_its_limit_halts_and_a_person_resumes() -> None:
    rig = Rig(made(Maker), limits=msgspec.structs.replace(LIMITS, max_loss=Decimal(5))).start()
    long_btc(rig)
    rig.mid[BTC] -= Decimal(600)  # 0.010 * 600 = 6
    rig.tick()
    rig.run(2)
    (halt,) = [r for r in rig.records if isinstance(r, HaltChanged)]
    assert (halt.halted, halt.code) == (True, "MAX_LOSS")
    assert rig.live() == []
    assert rig.positions[BTC] != 0  # stopping is not flattening


def test_a_drawdown_at_its_limit_halts_and_flattens() -> None:
    limits = msgspec.structs.replace(LIMITS, max_drawdown_frac=Decimal("0.00005"))  # 5 of 100,000
    rig = Rig(made(Maker), limits=limits).start()
    long_btc(rig)
    rig.mid[BTC] -= Decimal(600)
    rig.run(3)
    assert rig.notices("account_halted")
    assert rig.positions[BTC] == 0
    assert rig.quotes() == []


def test_a_block_by_the_runtime_pulls_the_quotes_until_it_is_lifted() -> None:
    rig = two()
    rig.operate("block", cause="journal", reason="the disk is full")
    rig.run(2)
    assert rig.live() == []
    rig.operate("unblock", cause="journal")
    assert len(rig.live()) == 4


def test_a_resync_reads_the_account_before_anything_is_placed_again() -> None:
    rig = two()
    rig.reads = False
    rig.operate("resync", reason="slept for 600 s")
    rig.run(2)
    assert rig.live() == []
    rig.reads = True
    rig.run(12)
    assert len(rig.live()) == 4


def test_unarmed_trading_places_nothing() -> None:
    rig = Rig(made(Maker), needs_arming=True).start()
    rig.run(2)
    assert rig.orders == {}
    rig.operate("arm", until_ns=str(rig.now_ns + 5 * 10**9), config="c1")
    assert len(rig.live()) == 2
    rig.run(7)
    assert rig.live() == []
    assert rig.notices("arming_ended")


def test_arming_is_refused_where_it_means_nothing() -> None:
    assert two().operate("arm", until_ns="1", config="c1").state == "refused"


def test_a_kill_that_is_cleared_before_it_was_verified_is_not_called_done_later() -> None:
    rig = two()
    assert rig.operate("kill", command_id="kill-1").state == "accepted"
    assert rig.operate("clear_kill", confirmation="clear kill test").state == "done"
    answer = rig.engine.answer("kill-1")
    assert answer is not None
    assert (answer.state, "before the venue had shown twice" in answer.text) == ("refused", True)
    rig.run(2)
    rig.operate("stop")
    rig.run(5)
    assert rig.engine.answer("kill-1") == answer


def test_the_latch_stays_while_the_engine_stops_so_that_its_end_is_verified() -> None:
    rig = two()
    rig.operate("kill")
    rig.operate("stop", command_id="stop-1")
    refused = rig.operate("clear_kill", confirmation="clear kill test")
    assert (refused.state, "in its next life" in refused.text) == ("refused", True)
    rig.run(8)
    answer = rig.engine.answer("stop-1")
    assert answer is not None
    assert answer.state == "done"


@pytest.mark.parametrize("kind", ["resume", "kill"])
def test_a_closing_that_another_command_gave_up_is_not_called_under_way(kind: str) -> None:
    rig = two()
    long_btc(rig)
    rig.accepts = False
    assert rig.operate("close", command_id="c").state == "accepted"
    rig.operate(kind)
    rig.run(1)
    answer = rig.engine.answer("c")
    assert answer is not None
    assert (answer.state, f"held: {BTC}" in answer.text) == ("refused", True)


def test_a_pause_that_was_ended_before_its_orders_were_is_not_called_under_way() -> None:
    rig = two()
    rig.answers = False
    assert rig.operate("pause", command_id="p").state == "accepted"
    rig.operate("resume")
    answer = rig.engine.answer("p")
    assert answer is not None
    assert (answer.state, "went on before" in answer.text) == ("refused", True)

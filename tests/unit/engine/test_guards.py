"""Protective orders that wait at the venue, in the engine: who may cancel them, what they count for, when they go."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.engine.rig import BTC, LIMITS, MAIN, Rig, VenueOrder, strategy_spec

from perpmaker.clock import ManualClock
from perpmaker.engine.telemetry import Telemetry
from perpmaker.engine.view import About, View
from perpmaker.logs import RecentLines
from perpmaker.model.commands import CancelOrders, QueryOrders, SubmitOrders
from perpmaker.model.events import CancelFailed, Channel, VenueStatus
from perpmaker.model.order import NewOrder, Side, TimeInForce, TriggerBy, TriggerKind
from perpmaker.risk.gate import ReadyState
from perpmaker.strategies.market_maker import MarketMaker
from perpmaker.strategies.registry import parse_params

QUOTING = {"model": "fixed", "half_spread_bps": 2, "layers": 2, "layer_spacing_bps": 2, "order_notional": 300}
STOP = {"stop_loss_bps": 100}
ABOUT = About("test", 1, "grvt", "local", "live", 1, lambda: "/journal", {MAIN: "grvt"})


def _spec(**protection: Any) -> Any:
    params: Any = parse_params("market_maker", {"instrument": BTC, "quoting": QUOTING, "protection": protection})
    return strategy_spec(lambda: MarketMaker(params))


def _rig(*, triggers: bool = True, **protection: Any) -> Rig:
    rig = Rig(_spec(**(protection or STOP)), triggers=triggers).start()
    rig.run(1)
    return rig


def _hold(rig: Rig, side: Side = Side.BUY) -> None:
    """Get a position of one quote."""
    rig.fill(rig.quotes(BTC, side)[0])


def _held(**protection: Any) -> Rig:
    rig = _rig(**protection)
    _hold(rig)
    rig.run(1)
    return rig


def _only(rig: Rig) -> NewOrder:
    (order,) = rig.guards()
    return order


def _at_venue(rig: Rig) -> str:
    (slot,) = rig.engine.world.slots.values()
    return str(slot.explained[BTC].get("at_venue"))


def test_a_position_gets_its_stop_at_the_venue() -> None:
    rig = _held()
    order = _only(rig)
    entry = rig.fills[0].px
    assert order.trigger is not None
    assert (order.trigger.kind, order.trigger.by) == (TriggerKind.STOP_LOSS, TriggerBy.MARK)
    assert (order.side, order.reduce_only, order.tif) == (Side.SELL, True, TimeInForce.IOC)
    assert order.trigger.px == pytest.approx(entry * Decimal("0.989"), abs=Decimal("0.11"))
    assert order.px == pytest.approx(order.trigger.px * Decimal("0.998"), abs=Decimal("0.11"))
    assert order.qty == rig.positions[BTC]
    assert _at_venue(rig) == f"stop loss at {order.trigger.px}"


def test_without_a_position_there_is_none() -> None:
    rig = _rig()
    assert rig.guards() == []
    assert _at_venue(rig) == "none: nothing to protect"


def test_a_venue_without_triggers_gets_none_and_the_page_says_why() -> None:
    rig = _rig(triggers=False)
    _hold(rig)
    rig.run(2)
    assert rig.guards() == []
    assert _at_venue(rig) == "none: the venue offers no orders that wait for a price"


def test_a_person_may_do_without() -> None:
    rig = _held(stop_loss_bps=100, at_venue=False)
    assert rig.guards() == []
    assert _at_venue(rig) == "None"


def test_take_profit_and_stop_wait_side_by_side_on_a_short_position() -> None:
    rig = _rig(stop_loss_bps=100, take_profit_bps=50)
    _hold(rig, Side.SELL)
    rig.run(1)
    kinds = {o.trigger.kind: (o.side, o.trigger.px - rig.fills[0].px > 0) for o in rig.guards() if o.trigger}
    assert kinds == {TriggerKind.STOP_LOSS: (Side.BUY, True), TriggerKind.TAKE_PROFIT: (Side.BUY, False)}


def test_it_is_no_quote_stands_in_no_book_and_adds_no_exposure() -> None:
    rig = _held()
    world, order = rig.engine.world, _only(rig)
    ticks = world.instruments[BTC].to_ticks(order.px or Decimal(0))
    assert ticks not in world.table.own_levels(BTC).asks
    assert world.table.exposure(MAIN, BTC).sell_qty == sum(o.qty for o in rig.quotes(BTC, Side.SELL))
    assert world.table.best_own_px(BTC, Side.SELL) == min(o.px for o in rig.quotes(BTC, Side.SELL) if o.px)
    assert world.table.open_count(MAIN) == len(rig.quotes()) + 1
    rig.run(3)
    assert len(rig.quotes(BTC, Side.BUY)) == 2  # bids above its price are still placed


def test_a_flat_position_takes_it_away_at_once() -> None:
    rig = _held()
    _only(rig)
    ask = rig.quotes(BTC, Side.SELL)[0]
    rig.fill(ask, min(rig.positions[BTC], ask.qty))
    assert rig.positions[BTC] == 0
    assert rig.guards() == []


def test_a_flip_moves_it_to_the_other_side() -> None:
    rig = _held()
    for order in rig.quotes(BTC, Side.SELL):
        rig.fill(order)
    assert rig.positions[BTC] < 0
    assert [order for order in rig.guards() if order.side is Side.SELL] == []
    rig.run(7)
    assert [order.side for order in rig.guards()] == [Side.BUY]


def test_the_trailing_stop_follows_and_never_leaves_the_position_bare() -> None:
    rig = _held(trailing_stop_bps=50)
    first = _only(rig)
    assert first.trigger is not None
    for _ in range(40):
        rig.mid[BTC] += 6
        rig.run(0.5)
        assert 1 <= len(rig.guards()) <= 2
    last = _only(rig)
    assert last.trigger is not None
    assert last.trigger.px - first.trigger.px > 150
    placed = [order.client_order_id for order in _placed(rig)]
    assert len(placed) <= 5, "one in five seconds at most"


def _placed(rig: Rig) -> list[NewOrder]:
    sent = [command for command in rig.commands if isinstance(command, SubmitOrders)]
    return [passed.order for command in sent for passed in command.orders if passed.order.trigger is not None]


def test_small_moves_of_the_entry_and_a_smaller_position_leave_it_alone() -> None:
    rig = _held()
    first = _only(rig)
    for _ in range(3):
        rig.run(6)
        rig.fill(rig.quotes(BTC, Side.SELL)[0], Decimal("0.001"))
    assert rig.positions[BTC] > 0
    assert _only(rig).client_order_id == first.client_order_id


def test_a_larger_position_gets_a_larger_one() -> None:
    rig = _held()
    first = _only(rig)
    rig.run(6)
    _hold(rig)
    rig.run(1)
    assert _only(rig).qty == rig.positions[BTC] > first.qty


def test_what_the_venue_has_trimmed_is_not_relied_on() -> None:
    """The position shrank to a part and grew back: the order there may close that part alone."""
    rig = _held()
    first = _only(rig)
    rig.run(3)
    rig.fill(rig.quotes(BTC, Side.SELL)[0], Decimal("0.002"))
    rig.run(6)
    rig.fill(rig.quotes(BTC, Side.BUY)[0], Decimal("0.002"))
    rig.run(2)
    assert _only(rig).qty == rig.positions[BTC] == first.qty
    assert _only(rig).client_order_id != first.client_order_id


def test_where_the_venue_takes_one_only_the_old_one_goes_first() -> None:
    rig = _held()
    first = _only(rig)
    rig.run(6)
    rig.rejects = lambda order: order.trigger is not None and bool(rig.guards())
    _hold(rig)
    rig.run(1)
    assert _only(rig) == first, "the new one was rejected, the old one still stands"
    assert "refused: 2402" in _at_venue(rig)
    rig.run(8)
    assert _only(rig).qty == rig.positions[BTC] > first.qty


def test_a_pause_keeps_it_and_is_done_with_it_there() -> None:
    rig = _held()
    order = _only(rig)
    rig.operate("pause", command_id="p")
    rig.run(1)
    assert rig.live() == [order]
    answer = rig.engine.answer("p")
    assert answer is not None
    assert answer.state == "done"
    rig.run(30)
    assert rig.live() == [order]


@pytest.mark.parametrize("kind", ["kill", "stop"])
def test_kill_and_stop_cancel_it(kind: str) -> None:
    rig = _held()
    rig.operate(kind, command_id="k", reason="test")
    rig.run(12)
    assert rig.live() == []
    answer = rig.engine.answer("k")
    assert answer is not None
    assert answer.state == "done"
    assert rig.positions[BTC] > 0


def test_a_stop_beside_an_order_made_by_hand_cancels_it_and_leaves_that_alone() -> None:
    rig = _held()
    theirs = msgspec.structs.replace(_only(rig), client_order_id=77, tag="")
    rig.orders[theirs.client_order_id] = VenueOrder(theirs)
    rig.run(40)
    rig.operate("stop", reason="test")
    rig.run(12)
    assert rig.live() == [theirs]


def test_a_closing_goes_on_beside_it_and_takes_it_away_when_flat() -> None:
    rig = _held()
    rig.operate("close", command_id="c")
    rig.run(3)
    assert rig.positions[BTC] == 0
    assert rig.live() == []
    answer = rig.engine.answer("c")
    assert answer is not None
    assert answer.state == "done"


def test_the_engine_closes_first_while_it_can() -> None:
    rig = _held()
    rig.mid[BTC] = rig.fills[0].px * Decimal("0.9895")  # beyond the engine's stop, not beyond the venue's
    rig.run(3)
    assert rig.positions[BTC] == 0
    assert rig.guards() == []
    assert rig.notices("protected_at_venue") == []
    assert rig.engine.assert_identity() == 1


def test_the_venue_closes_while_the_market_data_is_gone() -> None:
    rig = _held()
    order = _only(rig)
    rig.link("grvt", Channel.MARKET_DATA, up=False)
    rig.run(20, market=False)
    assert rig.live() == [order], "the quotes are pulled, the stop stays"
    rig.mid[BTC] = rig.fills[0].px * Decimal("0.98")
    rig.trigger(order)
    rig.run(1, market=False)
    assert rig.positions[BTC] == 0
    assert rig.engine.world.account_books[MAIN].position_qty(BTC) == 0
    (notice,) = rig.notices("protected_at_venue")
    assert notice.fields["what"] == "stop loss"
    assert rig.live() == []
    rig.link("grvt", Channel.MARKET_DATA)
    rig.run(50)
    assert rig.live() == [], "it rests as after a closing of our own"
    rig.run(20)
    assert len(rig.quotes()) == 4


def test_what_the_venues_price_cap_left_is_closed_here() -> None:
    rig = _held()
    order = _only(rig)
    half = rig.positions[BTC] / 2
    there = rig.orders[order.client_order_id]
    rig.run(3)
    rig.feed(rig._execute(there, half.quantize(Decimal("0.001")), True))
    rig._end(there, VenueStatus.CANCELED)
    rig.run(5)
    assert rig.positions[BTC] == 0
    assert rig.notices("protection_at_venue_off") == []


def test_a_stop_that_executes_in_part_has_the_rest_closed_here_and_the_other_kind_cancelled() -> None:
    rig = _held(stop_loss_bps=100, take_profit_bps=50)
    (stop,) = rig.guards(TriggerKind.STOP_LOSS)
    (profit,) = rig.guards(TriggerKind.TAKE_PROFIT)
    rig.run(6)
    rig.mid[BTC] *= Decimal("0.9895")
    rig.link("grvt", Channel.MARKET_DATA, up=False)
    there = rig.orders[stop.client_order_id]
    rig.feed(rig._execute(there, Decimal("0.002"), True))
    rig._end(there, VenueStatus.CANCELED)
    rig.run(1, market=False)
    held = rig.positions[BTC]
    assert held > 0
    assert rig.guards() == [profit], "it covers the rest, and is trimmed to it"
    assert rig.engine.world.account_books[MAIN].position_qty(BTC) == held
    rig.link("grvt", Channel.MARKET_DATA)
    rig.run(5)
    assert rig.positions[BTC] == 0
    assert rig.live() == []
    assert len(rig.notices("protected_at_venue")) == 1
    assert rig.engine.assert_identity() == 1


def test_what_is_heard_late_of_one_that_fired_closes_no_later_position() -> None:
    rig = _held(stop_loss_bps=100, rest_s=0)
    there = rig.orders[_only(rig).client_order_id]
    rig.run(3)
    rig.feed(rig._execute(there, Decimal("0.003"), True))
    rig._end(there, VenueStatus.CANCELED)
    rig.run(5)
    assert rig.positions[BTC] == 0
    _hold(rig)
    rig.run(1)
    rig.feed(rig._execute(there, Decimal("0.001"), True))
    left = rig.positions[BTC]
    assert left > 0
    rig.run(5)
    assert rig.positions[BTC] == left
    assert len(rig.quotes()) == 4


def test_a_failed_strategy_leaves_it_there_until_the_position_is_flat() -> None:
    rig = _held()
    (slot,) = rig.engine.world.slots.values()
    slot.strategy.on_timer = _raise  # type: ignore[method-assign]
    rig.run(3)
    assert rig.notices("strategy_failed")
    order = _only(rig)
    assert rig.live() == [order]
    rig.operate("close")
    rig.run(3)
    assert rig.live() == []


def _raise(*_: object) -> None:
    raise RuntimeError("broken")


def test_a_halted_account_keeps_it() -> None:
    rig = _held()
    rig.operate("halt", reason="test")
    rig.run(2)
    assert rig.live() == [_only(rig)]


def test_a_private_link_that_comes_back_keeps_it() -> None:
    rig = _held()
    order = _only(rig)
    rig.link(MAIN, Channel.PRIVATE, up=False)
    rig.run(5)
    rig.link(MAIN, Channel.PRIVATE)
    rig.run(5)
    assert order in rig.live()


def test_the_dead_man_timer_takes_it_and_it_is_placed_again() -> None:
    rig = _held()
    first = _only(rig)
    for order in rig.live():
        rig._end(rig.orders[order.client_order_id], VenueStatus.CANCELED)
    rig.run(7)
    assert _only(rig).client_order_id != first.client_order_id


def test_a_restart_keeps_what_is_still_wanted_until_one_of_its_own_is_there() -> None:
    """Nobody watched how far the venue has trimmed it, and its reports do not say."""
    rig = _held()
    first = _only(rig)
    after = _again(rig, _spec(**STOP))
    for _ in range(60):
        after.run(0.1)
        assert after.guards()
    assert after.engine.ready
    second = _only(after)
    assert second.client_order_id != first.client_order_id
    assert second.qty == after.positions[BTC]
    after.run(60)
    assert after.guards() == [second], "once"


def test_a_restart_keeps_it_while_none_can_take_its_place() -> None:
    rig = _held()
    first = _only(rig)
    after = _again(rig, _spec(**STOP))
    after.rejects = lambda order: order.trigger is not None
    after.refuses_alone = True
    after.run(30)
    assert after.guards() == [first]


def test_what_the_venue_has_trimmed_between_two_fills_heard_of_together_is_not_relied_on() -> None:
    rig = _held()
    first = _only(rig)
    rig.run(6)
    rig._execute(rig.orders[rig.quotes(BTC, Side.SELL)[0].client_order_id], Decimal("0.002"), False)
    rig._execute(rig.orders[rig.quotes(BTC, Side.BUY)[0].client_order_id], Decimal("0.002"), False)
    rig.run(10)  # a read of the fills brings both
    assert rig.engine.world.account_books[MAIN].position_qty(BTC) == rig.positions[BTC] == first.qty
    assert _only(rig).client_order_id != first.client_order_id


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: _spec(stop_loss_bps=100, at_venue=False), id="not wanted any more"),
        pytest.param(lambda: strategy_spec(_spec(**STOP).make, "other", 2), id="its strategy is gone"),
    ],
)
def test_a_restart_cancels_what_nobody_asks_for(make: Callable[[], Any]) -> None:
    rig = _held()
    order = _only(rig)
    after = _again(rig, make())
    after.run(4)
    assert order not in after.live()


def test_one_that_nobody_asks_for_is_not_cancelled_without_end_while_no_cancel_can_leave() -> None:
    rig = _held()
    order = _only(rig)
    after = _again(rig, strategy_spec(_spec(**STOP).make, "other", 2))
    after.refuses = "the link is down"
    after.run(60)
    tries = [c for c in after.sent(CancelOrders) if order.client_order_id in [one.client_order_id for one in c.cancels]]
    assert 3 <= len(tries) <= 15
    after.refuses = ""
    after.run(12)
    assert order not in after.live()


def _again(rig: Rig, spec: Any) -> Rig:
    """Begin another life on the journal of this one, at the same venue."""
    after = Rig(spec, epoch=2, venue=rig, triggers=True)
    after.engine.restore(None, rig.journal)
    return after.start(ready=False)


def test_a_lost_journal_leaves_no_stop_that_nobody_knows_the_reason_of() -> None:
    rig = _held()
    order = _only(rig)
    after = Rig(_spec(**STOP), epoch=2, venue=rig, triggers=True).start(ready=False)
    after.run(8)
    assert order not in after.live()
    assert _only(after).qty == after.positions[BTC]


def test_a_closing_that_the_venue_refuses_beside_it_goes_first() -> None:
    rig = _held()
    rig.rejects = lambda order: order.trigger is None and order.reduce_only and bool(rig.guards())
    rig.operate("close", command_id="c")
    rig.run(5)
    assert rig.positions[BTC] == 0
    answer = rig.engine.answer("c")
    assert answer is not None
    assert answer.state == "done"


def test_a_closing_that_is_refused_without_one_there_too_gives_it_back() -> None:
    rig = _held()
    rig.rejects = lambda order: order.trigger is None and order.reduce_only
    rig.operate("close", command_id="c")
    bare_s = 0.0
    for _ in range(1200):
        rig.run(0.1)
        bare_s += 0 if rig.guards() else 0.1
    assert 0 < bare_s < 10
    rig.rejects = lambda order: False
    rig.run(20)
    assert rig.live() == []


def test_a_closing_refused_for_its_own_sake_takes_nothing_away() -> None:
    rig = _held()
    stop = _only(rig)
    rig.rejects = lambda order: order.trigger is None and order.reduce_only
    rig.refuses_alone = True
    rig.operate("close", command_id="c")
    for _ in range(50):
        rig.run(0.1)
        assert rig.guards() == [stop]
    assert [order for order in rig.sent(SubmitOrders) if order.orders[0].order.tag.startswith("close")]
    rig.rejects = lambda order: False
    rig.run(20)
    assert rig.live() == []


def test_a_new_one_refused_for_its_own_sake_does_not_take_the_old_one_away() -> None:
    rig = _held()
    rig.run(6)
    first = _only(rig)
    rig.rejects = lambda order: order.trigger is not None
    rig.refuses_alone = True
    _hold(rig)
    for _ in range(60):
        rig.run(0.5)
        assert rig.guards() == [first]
    assert "refused: 1006" in _at_venue(rig)
    assert 3 <= len(_placed(rig)) <= 6, "asked ever less often"
    rig.rejects = lambda order: False
    rig.run(60)
    assert _only(rig).qty == rig.positions[BTC] > first.qty


def test_after_a_rejection_it_waits_ever_longer() -> None:
    rig = _rig()
    rig.refuses = "no"
    _hold_by_hand(rig)
    rig.run(60)
    assert 3 <= len(_placed(rig)) <= 5
    rig.refuses = ""
    rig.run(60)
    assert len(rig.guards()) == 1


def test_what_our_own_gate_refuses_is_tried_again_soon() -> None:
    rig = _rig()
    rig.engine.world.limits[MAIN] = msgspec.structs.replace(LIMITS, max_open_orders=4)
    _hold(rig)
    rig.run(50)
    assert rig.guards() == []
    assert "MAX_OPEN_ORDERS" in _at_venue(rig)
    rig.engine.world.limits[MAIN] = LIMITS
    rig.run(6)
    assert len(rig.guards()) == 1


def test_what_our_own_gate_refuses_does_not_take_the_old_one_away() -> None:
    rig = _held()
    rig.run(6)
    first = _only(rig)
    rig.engine.world.limits[MAIN] = msgspec.structs.replace(LIMITS, max_open_orders=5)
    _hold(rig)
    for _ in range(30):
        rig.run(0.5)
        assert rig.guards() == [first]
    assert "MAX_OPEN_ORDERS" in _at_venue(rig)


def test_a_venue_that_ends_them_at_once_is_asked_ever_less_often() -> None:
    rig = _rig()
    _hold(rig)
    said = set()
    for _ in range(600):
        rig.run(0.1)
        said.add(_at_venue(rig))
        for order in rig.guards():
            rig._end(rig.orders[order.client_order_id], VenueStatus.CANCELED)
    assert 3 <= len(_placed(rig)) <= 6
    assert any("ended at once" in text for text in said)


def test_one_ended_because_the_position_was_closed_holds_no_other_back() -> None:
    rig = _rig()
    for _ in range(6):
        _hold(rig)
        for _ in range(60):
            if rig.guards():
                break
            rig.run(0.1)
        rig.run(0.5)
        rig._end(rig.orders[_only(rig).client_order_id], VenueStatus.CANCELED)  # told of before the fill
        rig.fill(rig.quotes(BTC, Side.SELL)[0], rig.positions[BTC])
        rig.run(0.2)


def test_a_venue_that_does_not_list_them_among_open_orders_hinders_nothing() -> None:
    rig = _rig()
    rig.lists_triggers = False
    _hold(rig)
    rig.run(1)
    order = _only(rig)
    rig.run(60)
    assert rig.guards() == [order]
    assert len(rig.quotes()) == 4
    assert rig.notices("account_frozen") == []
    asked = [c for c in rig.sent(QueryOrders) if order.client_order_id in c.client_order_ids]
    assert 1 <= len(asked) <= 3, "it is asked about by itself, seldom"
    after = _again(rig, _spec(**STOP))
    after.lists_triggers = False
    after.run(10)
    assert after.engine.ready
    assert _only(after).qty == after.positions[BTC]


def test_one_that_is_gone_without_a_word_is_missed_and_placed_again() -> None:
    rig = _held()
    order = _only(rig)
    rig.orders[order.client_order_id].status = VenueStatus.CANCELED
    rig.run(15)
    assert _only(rig).client_order_id != order.client_order_id
    del rig.orders[_only(rig).client_order_id]
    rig.run(60)
    assert len(rig.guards()) == 1
    assert len(rig.quotes()) == 4


def _hold_by_hand(rig: Rig) -> None:
    order = rig.quotes(BTC, Side.BUY)[0]
    rig.fill(order)


def test_a_venue_that_does_not_wait_is_not_asked_again() -> None:
    rig = _rig()
    rig.honours_triggers = False
    _hold(rig)
    rig.run(30)
    assert len(_placed(rig)) == 1
    (notice,) = rig.notices("protection_at_venue_off")
    assert notice.level == "error"
    assert "had not reached" in _at_venue(rig)


def test_one_in_question_is_never_joined_by_a_third() -> None:
    rig = _rig(trailing_stop_bps=50)
    _hold(rig)
    rig.run(1)
    rig.answers = False
    for _ in range(30):
        rig.mid[BTC] += 10
        rig.run(0.5)
        live = [t for t in rig.engine.world.table.live() if t.waits]
        assert len(live) <= 2


def test_quotes_are_pulled_at_once_though_one_that_waits_cannot_be_cancelled() -> None:
    rig = _held()
    stop = _only(rig)
    rig.keeps = lambda client_order_id: client_order_id == stop.client_order_id
    rig.fill(rig.quotes(BTC, Side.SELL)[0], rig.positions[BTC])
    rig.run(5)
    tries = len(
        [c for c in rig.sent(CancelOrders) for cancel in c.cancels if cancel.client_order_id == stop.client_order_id]
    )
    assert 3 <= tries <= 12, "asked again, but not without end"
    rig.feed(CancelFailed(MAIN, stop.client_order_id, False, "refused", rig.now_ns))
    rig.link("grvt", Channel.MARKET_DATA, up=False)
    assert rig.live() == [stop]


def test_a_frozen_instrument_keeps_its_protection() -> None:
    rig = _held()
    rig.positions[BTC] += Decimal("0.002")  # a fill nobody tells us of
    rig.run(60)
    assert rig.engine.world.reconcilers.ready_state(MAIN, BTC) is ReadyState.FROZEN
    assert rig.live() == [_only(rig)]
    assert _only(rig).qty == rig.positions[BTC], "what the adjustment added is protected too"


def test_what_it_wants_to_sell_does_not_stand_in_the_way_of_a_closing() -> None:
    rig = _held()
    rig.mid[BTC] -= 2000
    rig.run(3)
    assert rig.positions[BTC] == 0
    assert not [n for n in rig.notices("order_refused") if n.fields["reason"] in ("REDUCE_ONLY", "OWN_CROSS")]


def test_it_is_never_refused_where_quotes_are() -> None:
    small = msgspec.structs.replace(LIMITS, max_position_notional=Decimal(350))
    rig = Rig(_spec(**STOP), triggers=True, limits=small).start()
    rig.run(1)
    _hold(rig)
    rig.run(2)
    assert len(rig.guards()) == 1
    assert "stop loss" not in [notice.fields["tag"] for notice in rig.notices("order_refused")]


def test_two_runs_decide_the_same() -> None:
    assert _held().engine.state_hash() == _held().engine.state_hash()


def test_a_person_sees_what_it_waits_for() -> None:
    rig = _held()
    order = _only(rig)
    assert order.trigger is not None
    view = View(rig.engine, ABOUT, Telemetry(), RecentLines(), ManualClock(rig.now_ns), warnings=list)
    view.renew()
    status = view.status()
    (row,) = [row for row in status.open_orders if row.trigger]
    assert (row.trigger, row.trigger_px, row.px) == ("stop_loss", str(order.trigger.px), str(order.px))
    assert [row.trigger_px for row in status.open_orders if not row.trigger] == [None] * len(rig.quotes())
    assert status.strategies[0].inputs["at_venue"] == f"stop loss at {order.trigger.px}"

"""Continuous making: quotes from the hedge venue's executable prices, each fill hedged, one quote unhedged at most."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.strategies.pair.sessions import cash
from tests.unit.strategies.pair.two_venues import TwoVenues

from perpmaker.engine.records import Remembered
from perpmaker.model.events import InstrumentListed
from perpmaker.model.ids import StrategyId
from perpmaker.model.order import NewOrder, Side

D = Decimal


def maker(*, third: bool = False, **params: Any) -> TwoVenues:
    rig = TwoVenues({"qty": "0.5", "max_qty": "1", **params}, kind="cross_maker", third=third)
    return rig.start().run(1)


def quote(rig: TwoVenues, side: Side) -> NewOrder | None:
    found = [order for order in rig.lead.live() if order.side is side]
    assert len(found) <= 1
    return found[0] if found else None


def px(rig: TwoVenues, side: Side) -> Decimal:
    order = quote(rig, side)
    assert order is not None
    assert order.px is not None
    return order.px


def test_quotes_earn_the_least_profit_after_both_fees() -> None:
    """Fees: lead -0.1 bps, hedge 5 bps; profit 1 bps: 5.9 bps from what the hedge venue would pay."""
    rig = maker()
    assert px(rig, Side.BUY) <= D("2599.75") * (1 - D("0.00059"))
    assert px(rig, Side.BUY) > D("2599.75") * (1 - D("0.00060"))
    assert px(rig, Side.SELL) >= D("2600.25") * (1 + D("0.00059"))
    assert px(rig, Side.SELL) < D("2600.25") * (1 + D("0.00060"))


def test_quotes_follow_the_hedge_venue_but_never_take() -> None:
    rig = maker()
    rig.hedge.mid = D("2602")  # 7.7 bps dearer: buying here pays
    rig.run(1)
    assert px(rig, Side.BUY) == D("2600.04")  # a tick inside the lead's own ask of 2600.05
    rig.hedge.mid = D("2590")
    rig.run(1)
    assert px(rig, Side.SELL) == D("2599.96")


def test_a_fill_is_hedged_in_the_same_step_and_earns_what_was_asked() -> None:
    rig = maker(min_profit_bps="2")
    rig.fill(rig.lead, rig.lead.live()[0])
    assert rig.delta == 0
    gross = cash(rig.lead) + cash(rig.hedge)
    fees = sum((fill.fee for face in rig.faces.values() for fill in face.fills), D(0))
    volume = sum((fill.qty * fill.px for fill in rig.lead.fills), D(0))
    assert (gross - fees) / volume * 10_000 >= D("1.99")


def test_while_anything_is_open_no_quote_stands() -> None:
    rig = maker()
    rig.hedge.latency_s = 1.0
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    rig.run(0.5)
    assert not rig.lead.live()
    assert rig.delta != 0
    rig.run(5)
    assert rig.delta == 0
    assert len(rig.lead.live()) == 2


def test_the_position_stops_at_its_limit() -> None:
    rig = maker(max_qty="0.7")
    for _ in range(4):
        order = quote(rig, Side.BUY)
        if order is None:
            break
        rig.fill(rig.lead, order)
        rig.run(1)
    assert rig.lead.position == D("0.7")
    assert quote(rig, Side.BUY) is None
    sell = quote(rig, Side.SELL)
    assert sell is not None
    assert sell.qty == D("0.5")


def test_without_depth_on_the_hedge_venue_nothing_is_quoted() -> None:
    rig = maker()
    rig.hedge.depth_lots = 10  # 0.01 a level, 20 levels; 0.7 of it counts
    rig.run(1)
    assert not rig.lead.live()


def test_a_failed_hedge_is_undone_and_a_person_asked() -> None:
    rig = maker()
    rig.hedge.refuses = "no"
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.run(15)
    assert rig.lead.position == rig.hedge.position == 0
    assert "unwound" in rig.question
    assert not rig.lead.live()
    rig.hedge.refuses = ""
    rig.operate("answer", answer="continue")
    rig.run(2)
    assert len(rig.lead.live()) == 2


@pytest.mark.parametrize(("policy", "quotes"), [("ask", 0), ("stop", 0), ("continue", 2)])
def test_a_fill_by_hand_follows_the_configured_answer(policy: str, quotes: int) -> None:
    rig = maker(on_unexpected=policy)
    rig.fill_by_hand(rig.hedge, Side.BUY, "0.2")
    rig.run(2)
    assert len(rig.lead.live()) == quotes
    assert bool(rig.question) is (policy == "ask")


def test_what_a_third_venue_holds_comes_home_while_nothing_is_quoted() -> None:
    rig = maker(third=True)
    rig.hedge.refuses = "no"
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.until(lambda: rig.delta == 0, 30)
    assert rig.other.position == -rig.lead.position
    rig.hedge.refuses = ""
    rig.until(lambda: rig.other.position == 0, 90)
    rig.run(2)
    assert rig.hedge.position == -rig.lead.position
    assert len(rig.lead.live()) == 2


def test_after_a_restart_it_quotes_on_and_knows_what_it_holds() -> None:
    rig = maker()
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.run(1)
    rig.kill()
    rig.fill(rig.lead, rig.lead.live()[0], "0.1")
    rig.run(5)
    rig.restart().run(5)
    assert rig.delta == 0
    assert not rig.question
    assert rig.status()["lead_qty"] == str(rig.lead.position)
    assert rig.lead.live()


def test_a_quote_that_fills_while_it_is_being_replaced_is_the_only_one_that_can() -> None:
    """The price moves, the old bid fills as its cancel arrives, and whatever rests after that fills as well."""
    rig = TwoVenues({"qty": "0.5", "max_qty": "5"}, kind="cross_maker")
    rig.lead.latency_s, rig.hedge.latency_s = 0.1, 0.3
    rig.on_cancel = lambda face, order: rig.fill(face, order) if order.side is Side.BUY else None

    def fill_new() -> None:
        for order in rig.lead.live():
            if order.side is Side.BUY and len(rig.lead.orders) > 2:
                rig.fill(rig.lead, order)

    rig.on_step = fill_new
    rig.start().run(1)
    for n in range(6):
        rig.hedge.mid += D("0.5") if n % 2 else D("-0.4")
        rig.run(3)
    assert rig.lead.fills
    assert rig.worst <= D("0.5")


# ends


def held(rig: TwoVenues) -> TwoVenues:
    """A maker that has filled a whole quote."""
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.run(1)
    assert (abs(rig.lead.position), rig.delta) == (D("0.5"), 0)
    return rig


def test_a_memo_that_cannot_be_read_ends_it_and_tells_what_the_accounts_hold() -> None:
    rig = held(maker())
    told = f"{rig.lead.position} {rig.lead.instrument}, {rig.hedge.position} {rig.hedge.instrument}"
    rig.kill()
    rig.journal.append(Remembered(StrategyId("pair"), '{"session": 5}', rig.now_ns))
    orders = len(rig.lead.orders)
    rig.restart().run(20)
    assert len(rig.lead.orders) == orders
    assert not rig.lead.live()
    (fields,) = rig.told("pair_forgot")
    assert fields["held"] == told
    assert rig.is_over
    assert "what it held cannot be read any more" in rig.status()["waits_for"]
    assert "see to the positions" in rig.told("pair_ended")[0]["text"]
    assert (rig.status()["lead_qty"], rig.delta) == ("0", 0)
    rig.restart().run(5)
    assert rig.is_over


def test_another_session_tells_what_the_earlier_one_still_holds() -> None:
    rig = held(maker())
    told = f"{rig.lead.position} {rig.lead.instrument}, {rig.hedge.position} {rig.hedge.instrument}"
    rig.table["session"] = "2"
    rig.restart().run(2)
    assert [(one["session"], one["held"]) for one in rig.told("pair_left_behind")] == [("1", told)]
    assert len(rig.lead.live()) == 2


def test_a_stop_ends_it_and_leaves_its_position() -> None:
    rig = held(maker())
    assert rig.operate("pair_stop").state in ("accepted", "done")
    rig.until(lambda: rig.is_over and not rig.lead.live(), 10)
    (ended,) = rig.told("pair_ended")
    assert ended["text"] == "stopped by a person"
    assert abs(rig.lead.position) == D("0.5")
    rig.restart().run(5)
    assert (rig.is_over, rig.lead.live()) == (True, [])


@pytest.mark.parametrize("more", [{}, {"max_qty": "1.2"}])
def test_closing_takes_piece_by_piece_and_is_hedged_all_the_way(more: dict[str, str]) -> None:
    """`worst` is looked at after every event: never more than a quote is unhedged."""
    rig = maker(**more)
    for _ in range(3):
        bid = quote(rig, Side.BUY)
        if bid is not None:
            rig.fill(rig.lead, bid)
        rig.run(1)
    assert rig.lead.position == D(more.get("max_qty", "1"))
    rig.hedge.latency_s = 0.3
    assert rig.operate("pair_close").state == "accepted"
    rig.until(lambda: rig.is_over, 60)
    assert (rig.lead.position, rig.hedge.position, rig.lead.live()) == (0, 0, [])
    assert rig.worst <= D("0.5")
    assert rig.told("pair_ended")[0]["text"] == "closed, as a person wanted"
    assert not rig.told("pair_surprised")


def test_closing_takes_less_while_what_is_too_little_to_hedge_is_open() -> None:
    """0.01 sold, of which the hedge venue takes no order: the first piece is 0.49 of 0.99."""
    rig = maker()
    for _ in range(2):
        bid = quote(rig, Side.BUY)
        assert bid is not None
        rig.fill(rig.lead, bid)
        rig.run(1)
    offer = quote(rig, Side.SELL)
    assert offer is not None
    rig.fill(rig.lead, offer, "0.01")
    rig.run(1)
    assert (rig.lead.position, rig.delta) == (D("0.99"), D("-0.01"))
    rig.operate("pair_close")
    rig.until(lambda: rig.is_over, 60)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert rig.worst == D("0.5")


def test_closing_goes_on_after_a_restart() -> None:
    rig = held(maker())
    rig.operate("pair_close")
    rig.restart()
    rig.until(lambda: rig.is_over, 60)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)


def test_closing_needs_no_rate_of_currencies() -> None:
    rig = held(maker())
    rig.rates.clear()
    rig.run(62)
    rig.operate("pair_close")
    rig.until(lambda: rig.is_over, 60)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)


def small(least: str, *fills: str) -> TwoVenues:
    """A maker of quotes of 0.2 whose fills added up so; then the lead takes nothing smaller than `least`."""
    rig = maker(qty="0.2")
    for qty in fills:
        bid = quote(rig, Side.BUY)
        assert bid is not None
        rig.fill(rig.lead, bid, qty)
        rig.run(1)
    rig.lead.rules = msgspec.structs.replace(rig.lead.rules, min_qty=D(least))
    rig.feed(InstrumentListed(rig.lead.rules, rig.now_ns))
    return rig.run(1)


def test_closing_leaves_less_than_the_smallest_order_where_pieces_do_not_come_out_even() -> None:
    """0.3 in pieces of 0.2, of which nobody takes the last 0.1."""
    rig = small("0.2", "0.2", "0.1")
    assert rig.lead.position == D("0.3")
    rig.operate("pair_close")
    rig.until(lambda: rig.is_over, 60)
    assert (rig.lead.position, rig.hedge.position) == (D("0.1"), D("-0.1"))


def test_closing_goes_on_though_a_quote_less_what_is_open_is_below_the_smallest_order() -> None:
    """0.01 sold, of which the hedge venue takes no order: of pieces of 0.19 the lead takes none, so the first is 0.2."""
    rig = maker(qty="0.2")
    for side, qty in ((Side.BUY, "0.2"), (Side.BUY, "0.2"), (Side.SELL, "0.01")):
        order = quote(rig, side)
        assert order is not None
        rig.fill(rig.lead, order, qty)
        rig.run(1)
    rig.lead.rules = msgspec.structs.replace(rig.lead.rules, min_qty=D("0.2"))
    rig.feed(InstrumentListed(rig.lead.rules, rig.now_ns))
    rig.run(1)
    assert (rig.lead.position, rig.delta) == (D("0.39"), D("-0.01"))
    rig.operate("pair_close")
    rig.until(lambda: rig.is_over, 60)
    assert (rig.lead.position, rig.hedge.position) == (D("0.19"), D("-0.19"))
    assert rig.worst == D("0.21")


def test_quoting_goes_on_though_a_quote_less_what_is_open_is_below_the_smallest_order() -> None:
    """At the largest position one side has no room; 0.01 open of 0.02 left the other with an order that nobody takes."""
    rig = maker(qty="0.02", max_qty="0.04")
    rig.bound = D("0.03")
    for side, qty in ((Side.SELL, "0.02"), (Side.SELL, "0.02"), (Side.BUY, "0.01")):
        order = quote(rig, side)
        assert order is not None
        rig.fill(rig.lead, order, qty)
        rig.run(2)
    assert (rig.lead.position, rig.delta) == (D("-0.03"), D("0.01"))
    rig.hedge.mid += 5  # the order that was partly filled is too far away now
    rig.run(5)
    order = quote(rig, Side.BUY)
    assert order is not None
    assert order.qty == D("0.02")
    rig.fill(rig.lead, order)
    rig.run(2)
    assert (rig.lead.position, rig.delta) == (D("-0.01"), 0)


def test_closing_goes_on_though_the_smallest_order_has_outgrown_a_quote() -> None:
    rig = small("0.25", "0.2", "0.2", "0.2")
    rig.bound = D("0.3")
    rig.operate("pair_close")
    rig.until(lambda: rig.is_over, 60)
    assert abs(rig.lead.position) < D("0.25")
    assert rig.delta == 0

"""One line of time: the order of things, and that nothing of it depends on when somebody looks."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.simulation.lab import BTC, MAIN, PLAIN, RULES, START_NS

from perpmaker.model.events import BookSnapshot, ClockOffset, Event, InstrumentListed, OrderPrepared, OrderReport, Timer
from perpmaker.model.ids import ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.order import NewOrder, Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import Chance, ConstantLatency, SimulatedVenue, Timeline


def venue() -> SimulatedVenue:
    return SimulatedVenue(PLAIN, ConstantLatency(10 * NS_PER_MS, 5 * NS_PER_MS), Chance(1))


def book(at_ns: int) -> BookSnapshot:
    return BookSnapshot(BTC, ((100, 10),), ((101, 10),), at_ns, at_ns)


def order() -> NewOrder:
    return NewOrder(
        ClientOrderId(1), MAIN, StrategyId("s"), BTC, Side.BUY, Decimal(99), Decimal(1), post_only=True,
        expire_ns=START_NS + NS_PER_S,
    )  # fmt: skip


def test_at_one_instant_the_venue_speaks_first_then_timers_then_the_feed() -> None:
    heard: list[Event] = []
    grvt = venue()
    timeline = Timeline({"grvt": grvt}, heard.append, START_NS)
    timeline.feed(InstrumentListed(RULES, START_NS))
    grvt.open_account(MAIN, Decimal(1000), "USDT")
    grvt.submit(MAIN, [order()], START_NS)
    answer_ns = START_NS + 15 * NS_PER_MS
    timeline.set_timer("late", answer_ns)
    timeline.feed(book(answer_ns))
    assert [type(event) for event in heard] == [
        InstrumentListed, OrderPrepared, OrderReport, OrderReport, Timer, BookSnapshot
    ]  # fmt: skip
    assert {event.ts_recv_ns for event in heard[2:]} == {answer_ns}


def test_a_timer_that_is_set_again_moves_and_one_set_in_the_past_is_due_now() -> None:
    heard: list[Event] = []
    timeline = Timeline({}, heard.append, START_NS)
    timeline.set_timer("a", START_NS + 5)
    timeline.set_timer("a", START_NS + 9)
    timeline.set_timer("b", START_NS - 7)
    assert timeline.next_ns == START_NS
    timeline.advance(START_NS + 8)
    timeline.advance(START_NS + 20)
    assert [(event.key, event.ts_recv_ns - START_NS) for event in heard if isinstance(event, Timer)] == [
        ("b", 0), ("a", 9)
    ]  # fmt: skip
    assert timeline.next_ns is None


def test_what_a_reaction_sets_due_earlier_than_the_present_look_still_comes_in_its_turn() -> None:
    heard: list[tuple[str, int]] = []

    def deliver(event: Event) -> None:
        assert isinstance(event, Timer)
        heard.append((event.key, event.ts_recv_ns - START_NS))
        if event.key == "first":
            timeline.set_timer("answer", START_NS + 3)

    timeline = Timeline({}, deliver, START_NS)
    timeline.set_timer("first", START_NS + 1)
    timeline.set_timer("second", START_NS + 5)
    timeline.advance(START_NS + 100)
    assert heard == [("first", 1), ("answer", 3), ("second", 5)]


def test_what_is_fed_from_within_a_reaction_overtakes_nothing() -> None:
    heard: list[str] = []

    def deliver(event: Event) -> None:
        heard.append(event.key if isinstance(event, Timer) else type(event).__name__)
        if heard == ["first"]:
            timeline.set_timer("due at once", START_NS)
            timeline.feed(book(START_NS))
            heard.append("end of first")

    timeline = Timeline({}, deliver, START_NS)
    timeline.set_timer("first", START_NS)
    timeline.advance(START_NS)
    assert heard == ["first", "BookSnapshot", "end of first", "due at once"]


def test_each_exchange_hears_of_its_own_instruments_and_clock_alone() -> None:
    venues = {"grvt": venue(), "backpack": venue()}
    timeline = Timeline(venues, lambda event: None, START_NS)
    timeline.feed(InstrumentListed(RULES, START_NS))
    timeline.feed(ClockOffset("backpack", 70, 1, START_NS))
    timeline.feed(book(START_NS))
    timeline.advance(START_NS + 5 * NS_PER_MS)
    assert [list(one.markets) for one in venues.values()] == [[InstrumentId("BTC_USDT_Perp")], []]
    assert venues["grvt"].markets[BTC].book.bid_ticks == 100

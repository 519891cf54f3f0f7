"""The core: readiness, quoting, fills, denials, failures; each by events in and commands out."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, ETH, MAIN, Rig, VenueOrder

from perpmaker.engine.records import FillBooked, Happened
from perpmaker.model.book import Book
from perpmaker.model.commands import CancelOrders, ReplaceOrders, SubmitOrders
from perpmaker.model.events import BookStale, Channel, Fill, StaleReason
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.strategies.api import Context


def maker(rig: Rig, name: str = "btc") -> Maker:
    strategy = rig.engine.world.slots[name].strategy  # type: ignore[index]
    assert isinstance(strategy, Maker)
    return strategy


def heard(rig: Rig, what: str) -> list[object]:
    return [value for kind, value in maker(rig).heard if kind == what]


def test_nothing_is_sent_before_two_equal_passes() -> None:
    rig = Rig(made(Maker)).start(ready=False)
    assert rig.sent(SubmitOrders) == []
    assert heard(rig, "start") == []
    rig.run(3)
    assert len(heard(rig, "start")) == 1
    assert {order.side for order in rig.quotes()} == {Side.BUY, Side.SELL}


def test_on_start_comes_before_any_other_hook() -> None:
    rig = Rig(made(Maker)).start()
    assert maker(rig).heard[0][0] == "start"


def test_quotes_are_post_only_and_rounded_outward() -> None:
    rig = Rig(made(Maker)).start()
    (bid,) = rig.quotes(side=Side.BUY)
    (ask,) = rig.quotes(side=Side.SELL)
    assert (bid.px, ask.px) == (Decimal("59940.0"), Decimal("60060.0"))
    assert bid.post_only
    assert ask.post_only


def test_a_quote_within_tolerance_keeps_its_place() -> None:
    rig = Rig(made(Maker)).start()
    before = {order.client_order_id for order in rig.quotes()}
    rig.mid[BTC] += Decimal(5)  # 0.8 bps
    rig.run(1)
    assert {order.client_order_id for order in rig.quotes()} == before


def test_a_moved_market_replaces_both_quotes_in_one_request() -> None:
    rig = Rig(made(Maker)).start()
    before = len(rig.commands)
    rig.mid[BTC] += Decimal(60)
    rig.book()
    replaced = [c for c in rig.commands[before:] if isinstance(c, ReplaceOrders)]
    assert [(len(c.cancels), len(c.orders)) for c in replaced] == [(2, 2)]
    assert {order.px for order in rig.quotes()} == {Decimal("59999.9"), Decimal("60120.1")}


def test_a_fill_is_booked_before_the_strategy_hears_of_it() -> None:
    rig = Rig(made(Maker)).start()
    rig.fill(rig.quotes(side=Side.BUY)[0])
    assert heard(rig, "fill") == [Decimal("0.010")]
    (booked,) = [record for record in rig.records if isinstance(record, FillBooked)]
    assert (booked.number, booked.strategy, booked.position_after) == (1, "btc", Decimal("0.010"))
    assert booked.fair_px == Decimal(60000)


def test_a_fill_before_the_first_ticker_of_an_opened_account_is_valued_at_the_mark_known() -> None:
    rig = Rig(made(Maker)).start(ready=False)  # one ticker, then books alone
    for _ in range(20):
        rig.run(0.1, market=False)
        rig.book()
    rig.fill(rig.live()[0])
    assert rig.engine.world.equity() is not None
    assert not rig.engine.world.halts.active


def test_a_fill_told_twice_is_booked_once() -> None:
    rig = Rig(made(Maker)).start()
    fill = rig.fill(rig.quotes(side=Side.BUY)[0])
    rig.feed(fill)
    rig.run(6)  # and once more by a pass
    assert heard(rig, "fill") == [Decimal("0.010")]
    assert rig.engine.world.fills_total == 1


def test_the_pnl_parts_sum_to_the_change_of_equity_at_every_step() -> None:
    rig = Rig(made(Maker)).start()
    for step in range(30):
        if step % 3 == 0 and rig.live():
            rig.fill(rig.live()[step % len(rig.live())], Decimal("0.004"))
        rig.mid[BTC] += Decimal(step % 7 - 3)
        rig.run(1)
        assert rig.engine.assert_identity() == 1
    split = rig.engine.world.ledgers[MAIN].split()
    assert split is not None
    assert split.spread > 0


def test_a_stale_book_pulls_the_quotes_and_tells_the_strategy() -> None:
    rig = Rig(made(Maker)).start()
    rig.feed(BookStale(BTC, StaleReason.GAP, rig.now_ns))
    assert rig.live() == []
    assert [event.reason for event in heard(rig, "connectivity") if isinstance(event, BookStale)] == [StaleReason.GAP]


def test_silence_pulls_the_quotes_within_two_seconds() -> None:
    rig = Rig(made(Maker)).start()
    rig.run(1.9, market=False)
    assert len(rig.live()) == 2
    rig.run(0.2, market=False)
    assert rig.live() == []


def test_a_whole_book_again_brings_the_quotes_back() -> None:
    rig = Rig(made(Maker)).start()
    rig.feed(BookStale(BTC, StaleReason.GAP, rig.now_ns))
    rig.run(1)
    assert len(rig.live()) == 2


def test_a_lost_private_stream_pulls_the_quotes_and_only_a_pass_brings_them_back() -> None:
    rig = Rig(made(Maker)).start()
    rig.link(MAIN, Channel.PRIVATE, up=False)
    assert rig.live() == []
    rig.run(3)
    assert rig.live() == []
    rig.link(MAIN, Channel.PRIVATE)
    rig.run(3)
    assert len(rig.live()) == 2


def test_orders_left_by_a_link_that_was_down_are_cancelled_when_it_is_back() -> None:
    rig = Rig(made(Maker)).start()
    rig.accepts = rig.answers = False
    rig.link(MAIN, Channel.PRIVATE, up=False)
    rig.run(1)
    left = {order.client_order_id for order in rig.live()}
    rig.accepts = rig.answers = True
    rig.link(MAIN, Channel.PRIVATE)
    assert len(left) == 2
    assert left.isdisjoint(order.client_order_id for order in rig.live())


class Raises(Maker):
    def on_fill(self, ctx: Context, fill: Fill) -> None:
        raise ZeroDivisionError("a mistake")


def test_a_strategy_that_raises_is_stopped_its_orders_cancelled_and_the_others_go_on() -> None:
    other = made(lambda params: Maker(params, qty=Decimal("0.1")), "eth", 2, ETH)
    rig = Rig(made(Raises), other).start()
    rig.fill(rig.quotes(BTC, Side.BUY)[0])
    rig.run(1)
    assert rig.quotes(BTC) == []
    assert len(rig.quotes(ETH)) == 2
    (failed,) = rig.notices("strategy_failed")
    assert failed.fields["text"] == "on_fill raised ZeroDivisionError: a mistake"


def test_a_failed_strategy_starts_afresh_when_a_person_resumes_it() -> None:
    rig = Rig(made(Raises)).start()
    before = rig.engine.world.slots["btc"].strategy  # type: ignore[index]
    rig.fill(rig.quotes(BTC, Side.BUY)[0])
    rig.operate("resume", strategy="btc")
    rig.run(1)
    assert rig.engine.world.slots["btc"].strategy is not before  # type: ignore[index]
    assert len(rig.quotes()) == 2


class Insists(Maker):
    """Submits again whenever it is refused."""

    def on_book(self, ctx: Context, book: Book) -> None:
        ctx.submit(BTC, Side.BUY, Decimal("0.010"), None)

    def on_order(self, ctx: Context, order: OrderView) -> None:
        super().on_order(ctx, order)
        ctx.submit(BTC, Side.BUY, Decimal("0.010"), None)


def test_a_strategy_that_feeds_itself_is_stopped() -> None:
    rig = Rig(made(Insists)).start()
    (failed,) = rig.notices("strategy_failed")
    assert "feeds itself" in failed.fields["text"]


class Submits(Maker):
    def on_book(self, ctx: Context, book: Book) -> None:
        if not any(kind == "order" for kind, _ in self.heard):
            ctx.submit(BTC, Side.BUY, Decimal(5), Decimal(60000), post_only=True)


def test_a_refused_order_comes_back_to_its_strategy_with_the_code() -> None:
    rig = Rig(made(Submits)).start()
    view = heard(rig, "order")[0]
    assert isinstance(view, OrderView)
    assert view.state is OrderState.DENIED
    assert view.reason.startswith("MAX_ORDER_NOTIONAL")
    assert rig.engine.world.orders_refused["MAX_ORDER_NOTIONAL"] >= 1
    assert rig.sent(SubmitOrders) == []


class Laps:
    """Remembers the stages in the order they ended."""

    def __init__(self) -> None:
        self.stages: list[str] = []

    def lap(self, stage: str) -> None:
        self.stages.append(stage)


def test_single_orders_time_the_strategy_apart_from_the_gate() -> None:
    rig = Rig(made(Submits))
    rig.engine.world.probe = laps = Laps()
    rig.start()
    at = laps.stages.index("gate")
    assert laps.stages[at - 2 : at] == ["book", "decide"]


def test_a_notice_that_repeats_is_told_at_most_every_ten_seconds() -> None:
    class Again(Submits):
        def on_book(self, ctx: Context, book: Book) -> None:
            ctx.submit(BTC, Side.BUY, Decimal(5), Decimal(60000), post_only=True)

    rig = Rig(made(Again)).start()
    rig.run(20)
    refused = rig.notices("order_refused")
    assert 2 <= len(refused) <= 4
    assert int(refused[-1].fields["untold"]) > 50


def test_an_event_from_within_is_queued_not_nested() -> None:
    rig = Rig(made(Maker)).start()
    engine = rig.engine
    nested: list[object] = []

    class Nests(Maker):
        def on_book(self, ctx: Context, book: Book) -> None:
            nested.append(engine.process(BookStale(BTC, StaleReason.GAP, ctx.now_ns())))
            assert ctx.book(BTC) is not None  # not handled yet

    engine.world.slots["btc"].strategy = Nests(maker(rig).params)  # type: ignore[index]
    rig.book()
    assert nested == [()]
    assert engine.world.books.stale_reason(BTC, rig.now_ns) is StaleReason.GAP


def test_cancels_that_fail_at_once_are_not_repeated_at_once() -> None:
    rig = Rig(made(Maker)).start()
    rig.refuses = "the venue asked for silence"
    rig.feed(BookStale(BTC, StaleReason.GAP, rig.now_ns))
    before = len(rig.sent(CancelOrders))
    rig.run(5, market=False)
    assert 2 <= len(rig.sent(CancelOrders)) - before <= 12
    rig.refuses = ""
    rig.run(1.2, market=False)
    assert rig.live() == []


def test_orders_that_cannot_be_sent_are_not_repeated_at_once() -> None:
    rig = Rig(made(Maker)).start()
    rig.operate("pause")
    rig.refuses = "the venue asked for silence"
    rig.operate("resume")
    before = len(rig.sent(SubmitOrders))
    rig.run(10)
    assert len(rig.sent(SubmitOrders)) - before <= 6
    rig.refuses = ""
    rig.run(8)
    assert len(rig.live()) == 2


def test_an_unknown_outcome_is_never_resent_and_resolves_by_query() -> None:
    rig = Rig(made(Maker)).start()
    rig.operate("pause")
    rig.answers = False
    rig.operate("resume")
    rig.run(2)
    sent = len(rig.orders)
    rig.run(8)
    rig.answers = True
    rig.run(20)
    assert rig.engine.world.table.unsettled(MAIN) == []
    ours = {order.client_order_id for order in rig.live()}
    assert ours == {tracked.client_order_id for tracked in rig.engine.world.table.live(MAIN)}
    assert len(ours) == 2
    assert sent >= 2


def test_a_lost_order_is_retired_with_proof_and_replaced_once() -> None:
    rig = Rig(made(Maker)).start()
    rig.operate("pause")
    rig.accepts = False
    rig.operate("resume")
    rig.run(0.5)
    rig.accepts = True
    rig.run(40)
    assert rig.notices("account_retired")
    assert len(rig.live()) == 2
    assert rig.engine.world.table.unsettled(MAIN) == []


def test_a_hand_made_order_is_counted_and_never_cancelled_unasked() -> None:
    import msgspec

    rig = Rig(made(Maker)).start()
    by_hand = msgspec.structs.replace(rig.quotes(side=Side.BUY)[0], client_order_id=77, px=Decimal("50000.0"))
    rig.orders[77] = VenueOrder(by_hand)  # type: ignore[index]
    rig.run(20)
    rig.operate("stop")
    rig.run(5)
    assert [order.client_order_id for order in rig.live()] == [77]
    assert rig.engine.verified_empty


def test_a_fill_by_hand_is_adopted_and_the_instrument_frozen_for_new_risk() -> None:
    rig = Rig(made(Maker)).start()
    rig.positions[BTC] = Decimal("0.020")  # no fill explains it
    rig.run(60)
    assert rig.engine.world.account_books[MAIN].position_qty(BTC) == Decimal("0.020")
    assert rig.notices("account_frozen")
    assert rig.quotes() == []
    assert rig.engine.assert_identity() == 1
    rig.operate("resume")
    rig.run(2)
    assert len(rig.quotes()) == 2


def test_private_conclusions_are_journalled_as_they_happen() -> None:
    rig = Rig(made(Maker)).start()
    rig.positions[BTC] = Decimal("0.020")
    rig.run(60)
    assert any(isinstance(r, Happened) and type(r.event).__name__ == "PositionAdjusted" for r in rig.records)


def test_an_unknown_account_changes_nothing() -> None:
    rig = Rig(made(Maker)).start()
    before = rig.engine.state_hash()
    fill = rig._execute(rig.orders[rig.quotes()[0].client_order_id], None, False)
    rig.feed(msgspec.structs.replace(fill, account="other"))
    assert rig.engine.state_hash() == before


@pytest.mark.parametrize("kind", [CancelOrders, SubmitOrders])
def test_commands_name_their_account(kind: type) -> None:
    rig = Rig(made(Maker)).start()
    rig.operate("pause")
    rig.operate("resume")
    assert all(command.account == MAIN for command in rig.sent(kind))

"""A life after a life: what the journal holds, and what the venue says, make the same books."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, MAIN, Rig

from perpmaker.engine.records import Closed, EquityMark, FillBooked, Record
from perpmaker.model.events import Channel
from perpmaker.model.ids import client_order_id_parts
from perpmaker.model.order import Side


def traded(*, fills: int = 6) -> Rig:
    """A first life with some fills, killed while its quotes stand."""
    rig = Rig(made(Maker)).start()
    for number in range(fills):
        rig.fill(rig.live()[number % len(rig.live())], Decimal("0.004"))
        rig.mid[BTC] += Decimal(7)
        rig.run(3)
    return rig


def next_life(before: Rig, *, checkpoint: bytes | None = None, records: list[Record] | None = None) -> Rig:
    rig = Rig(made(Maker), epoch=before.spec.epoch + 1, venue=before)
    rig.engine.restore(checkpoint, before.journal if records is None else records)
    rig.journal = before.journal if records is None else records
    return rig


def test_positions_fees_and_fills_are_those_of_the_life_before() -> None:
    before = traded()
    after = next_life(before)
    old, new = before.engine.world.account_books[MAIN], after.engine.world.account_books[MAIN]
    assert new.position(BTC) == old.position(BTC)
    assert (new.balance, new.fees, new.volume) == (old.balance, old.fees, old.volume)
    assert after.engine.world.fills_total == before.engine.world.fills_total


def test_the_pnl_goes_on_from_where_it_was_and_still_sums_up() -> None:
    before = traded()
    after = next_life(before)
    before.mid[BTC] += Decimal(30)
    after.start()
    assert after.engine.assert_identity() == 1
    for _ in range(4):
        after.fill(after.live()[0], Decimal("0.002"))
        after.run(4)
        assert after.engine.assert_identity() == 1
    old, new = before.engine.world.ledgers[MAIN].split(), after.engine.world.ledgers[MAIN].split()
    assert old is not None
    assert new is not None
    assert new.spread > old.spread > 0
    assert new.fees > old.fees
    origin = next(r for r in before.journal if isinstance(r, EquityMark)).equity
    assert after.engine.world.account_books[MAIN].equity == origin + new.total


def test_fills_that_happened_while_nobody_was_there_are_booked_once() -> None:
    before = traded()
    there = before.orders[before.live()[0].client_order_id]
    missed = before._execute(there, Decimal("0.003"), False)
    after = next_life(before).start()
    after.run(10)
    booked = [r.fill.trade_id for r in after.records if isinstance(r, FillBooked)]
    assert booked == [missed.trade_id]
    assert after.engine.world.account_books[MAIN].position_qty(BTC) == before.positions[BTC]
    assert after.engine.assert_identity() == 1


def test_a_fill_whose_booking_a_kill_cut_off_is_numbered_by_the_next_life() -> None:
    before = traded()
    last = max(at for at, record in enumerate(before.journal) if isinstance(record, FillBooked))
    cut_off = before.journal[last]
    assert isinstance(cut_off, FillBooked)
    before.journal[:] = before.journal[:last]
    after = next_life(before).start()
    booked = [r for r in after.records if isinstance(r, FillBooked)]
    assert [(r.number, r.fill.trade_id) for r in booked] == [(cut_off.number, cut_off.fill.trade_id)]
    assert booked[0].position_after == cut_off.position_after
    assert booked[0].strategy == cut_off.strategy
    assert after.engine.world.fills_total == cut_off.number
    assert after.engine.assert_identity() == 1
    third = next_life(after).start()
    assert [r for r in third.records if isinstance(r, FillBooked)] == []
    assert third.engine.world.fills_total == cut_off.number


def test_quotes_left_behind_are_cancelled_and_made_anew_under_a_new_epoch() -> None:
    before = traded()
    left = {order.client_order_id for order in before.live()}
    after = next_life(before).start()
    now = {order.client_order_id for order in after.live()}
    assert len(now) == 2
    assert left.isdisjoint(now)
    assert {client_order_id_parts(number).epoch for number in now} == {2}  # type: ignore[union-attr]


def test_an_order_sent_and_never_answered_is_found_again() -> None:
    before = traded()
    before.operate("pause")
    before.answers = False
    before.operate("resume")
    after = next_life(before).start()
    after.run(15)
    assert after.engine.world.table.unsettled(MAIN) == []
    assert len(after.live()) == 2


def test_an_order_written_and_never_sent_is_retired_with_proof() -> None:
    before = traded()
    before.operate("pause")
    before.accepts = False
    before.operate("resume")
    after = next_life(before).start(ready=False)
    after.run(20)
    assert after.engine.world.table.unsettled(MAIN) == []
    assert len(after.live()) == 2


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.6, 0.9, 1.0])
def test_a_checkpoint_and_the_records_after_it_are_worth_the_whole_journal(cut: float) -> None:
    before = Rig(made(Maker)).start()
    checkpoint, at = None, 0
    for number in range(10):
        if number == int(cut * 10):
            checkpoint, at = before.engine.checkpoint(), len(before.journal)
        before.fill(before.live()[number % len(before.live())], Decimal("0.004"))
        before.run(3)
    whole = next_life(before)
    short = next_life(before, checkpoint=checkpoint, records=before.journal[at:])
    assert short.engine.world.fills_total == whole.engine.world.fills_total == 10
    books = [life.engine.world.account_books[MAIN] for life in (whole, short)]
    assert books[0].state() == books[1].state()
    assert [o.view() for o in short.engine.world.table.live()] == [o.view() for o in whole.engine.world.table.live()]
    short.start()
    assert short.engine.assert_identity() == 1


def test_fills_known_from_a_checkpoint_are_not_booked_again_when_the_venue_repeats_them() -> None:
    before = traded()
    after = next_life(before, checkpoint=before.engine.checkpoint(), records=[]).start()
    after.run(10)
    assert after.engine.world.fills_total == before.engine.world.fills_total
    assert [r for r in after.records if isinstance(r, FillBooked)] == []


def test_a_halt_outlives_a_restart() -> None:
    before = traded()
    before.operate("halt", reason="loop was blocked")
    after = next_life(before).start()
    assert after.live() == []
    assert after.engine.world.halts.active[MAIN].text == "loop was blocked"
    after.operate("resume")
    assert len(after.live()) == 2


def test_a_freeze_that_a_person_must_lift_outlives_a_restart() -> None:
    before = traded()
    before.positions[BTC] = before.positions.get(BTC, Decimal(0)) + Decimal("0.020")
    before.run(60)
    for life in (next_life(before), next_life(before, checkpoint=before.engine.checkpoint(), records=[])):
        life.start(ready=False)
        life.run(5)
        assert life.live() == []
        assert life.engine.reconciling.freezes(MAIN)


def test_a_pause_outlives_a_crash_but_not_an_orderly_end() -> None:
    before = traded()
    before.operate("pause", strategy="btc")
    journal = list(before.journal)
    crashed = next_life(before, records=list(journal)).start()
    assert crashed.live() == []
    ended = next_life(before, records=[*journal, Closed(True, "stop", before.now_ns)]).start()
    assert len(ended.live()) == 2


def test_a_latch_is_taken_over_before_anything_is_placed() -> None:
    before = traded()
    after = next_life(before)
    after.engine.restore_kill(latched=True, reason="yesterday", since_ns=1)
    after.start(ready=False)
    after.run(5)
    assert after.live() == []
    assert after.engine.world.kill.reason == "yesterday"


def test_the_base_of_the_days_loss_survives() -> None:
    before = traded()
    old = before.engine.world.account_books[MAIN]
    after = next_life(before).start()
    new = after.engine.world.account_books[MAIN]
    assert new.day_state() is not None
    assert old.day_state() is not None
    assert new.day_state().base_equity == old.day_state().base_equity  # type: ignore[union-attr]


def test_a_journal_from_a_clock_that_was_ahead_does_not_stop_time() -> None:
    before = traded()
    after = Rig(made(Maker), epoch=2, venue=before, now_ns=before.now_ns)
    after.now_ns = before.now_ns - 3_600 * 10**9
    after.engine.restore(None, before.journal)
    after.start()
    assert len(after.live()) == 2


def test_three_lives_in_a_row_keep_one_account() -> None:
    life = traded()
    for _ in range(3):
        life = next_life(life).start()
        for side in (Side.BUY, Side.SELL):
            life.fill(life.quotes(side=side)[0], Decimal("0.003"))
            life.run(2)
        life.link(MAIN, Channel.PRIVATE, up=False)
    assert life.engine.world.fills_total == len(life.fills)
    assert life.engine.world.account_books[MAIN].position_qty(BTC) == life.positions[BTC]
    assert life.engine.assert_identity() == 1

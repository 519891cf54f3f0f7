"""Sessions of pairs out of a journal's records: exact against the venues' own fills, over restarts and new sessions."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.engine.test_pair_commands import NAME, Bench, bench, done
from tests.unit.strategies.pair.two_venues import HEDGE, LEAD, Face

from perpmaker.engine.records import Checkpoint, EquityMark, FillBooked, Happened, Remembered
from perpmaker.model.events import FundingPaid, InstrumentListed
from perpmaker.research.pair_sessions import PairSession, sessions_of
from perpmaker.strategies.pair.summary import LegSummary

D = Decimal


def sessions(rig: Bench) -> list[PairSession]:
    return sessions_of(rig.journal)


def leg(session: PairSession, name: str) -> LegSummary:
    return next(one for one in session.summary.legs if one.instrument == name)


def assert_is_the_venues(told: LegSummary, face: Face) -> None:
    fills = face.fills
    assert told.fills == len(fills)
    assert told.fees == sum((fill.fee for fill in fills), D(0))
    assert told.volume == sum((fill.px * fill.qty for fill in fills), D(0))
    assert told.cash == -sum((fill.side.sign * fill.px * fill.qty for fill in fills), D(0))
    assert told.qty == face.position


def test_a_session_is_the_venues_fills_to_the_last_decimal() -> None:
    rig = bench(piece="0.07")
    rig.tell("pair_start", command_id="first-one", instrument=LEAD, hedge_instrument=HEDGE, mode="alternate", size="0.5",
             clip="0.25", iterations="4")  # fmt: skip
    done(rig)
    (one,) = sessions(rig)
    assert (one.strategy, one.session, one.mode, one.status) == (NAME, "first-one", "alternate", "Flat")
    assert (one.summary.cycles, one.summary.asked, one.ended) == (4, 4, "every cycle was run")
    assert one.accounts == {LEAD: "first", HEDGE: "second"}
    for name, face in ((LEAD, rig.lead), (HEDGE, rig.hedge)):
        assert_is_the_venues(leg(one, name), face)
    whole = one.summary
    assert whole.net == whole.gross - whole.fees + whole.funding
    assert whole.cost_per_million == -whole.net / whole.volume * 1_000_000


def test_fills_that_were_booked_after_the_last_memo_are_counted() -> None:
    rig = bench()
    rig.pair(iterations="2")
    done(rig)
    last = max(place for place, record in enumerate(rig.journal) if isinstance(record, Remembered))
    cut = [record for place, record in enumerate(rig.journal) if not isinstance(record, Remembered) or place != last]
    assert any(isinstance(record, FillBooked) for record in cut)
    (one,) = sessions_of(cut)
    for name, face in ((LEAD, rig.lead), (HEDGE, rig.hedge)):
        assert leg(one, name).fills == len(face.fills)


def test_a_held_position_is_valued_at_the_last_mark_and_in_the_leads_currency() -> None:
    rig = bench()
    rig.feed_rate("USDC", "USDT", "0.999")
    rig.pair(mode="build_and_hold")
    done(rig)
    rig.lead.mid = rig.hedge.mid = D(2700)
    rig.run(15)
    (one,) = sessions(rig)
    assert (one.status, one.mark_px[LEAD], one.rate_is_assumed) == ("Hedged", 2700, False)
    assert leg(one, LEAD).gross == leg(one, LEAD).cash + D("0.5") * 2700
    assert one.summary.gross == leg(one, LEAD).gross + leg(one, HEDGE).gross * D("0.999")


def test_funding_belongs_to_the_session_that_ran_and_counts_once() -> None:
    rig = bench()
    rig.pair(mode="build_and_hold")
    done(rig)
    paid = FundingPaid(rig.lead.account, LEAD, D("0.25"), "USDT", "p1", rig.now_ns, rig.now_ns)
    rig.journal += [Happened(paid, rig.now_ns), Happened(paid, rig.now_ns)]
    rig.run(1)
    rig.pair(mode="close_existing", clip="0.5")
    rig.until(lambda: rig.status()["phase"] == "end" and not rig.lead.position, 60)
    first, second = sessions(rig)
    assert (leg(first, LEAD).funding, leg(second, LEAD).funding) == (D("0.25"), 0)
    assert first.summary.funding == D("0.25")
    assert (second.mode, second.status, second.summary.cycles) == ("close_existing", "Flat", 1)


def test_what_an_earlier_session_held_is_valued_when_the_next_one_began() -> None:
    rig = bench()
    rig.pair(mode="build_and_hold")
    done(rig)
    rig.run(15)
    rig.pair(mode="build_and_hold")
    rig.lead.mid = rig.hedge.mid = D(3000)
    rig.run(15)
    first, second = sessions(rig)
    assert first.mark_px[LEAD] == 2600
    assert second.mark_px[LEAD] == 3000


def test_a_session_goes_on_over_a_restart() -> None:
    rig = bench()
    rig.pair(iterations="4")
    rig.until(lambda: rig.status().get("cycles", 0) >= 2)
    rig.restart()
    done(rig)
    (one,) = sessions(rig)
    assert one.summary.cycles == 4
    assert_is_the_venues(leg(one, LEAD), rig.lead)


def test_a_journal_whose_beginning_was_pruned_still_names_currencies_and_lots() -> None:
    rig = bench()
    rested = Checkpoint(rig.engine.checkpoint(), rig.now_ns)
    rig.pair(iterations="1")
    done(rig)
    kept = [one for one in rig.journal if not (isinstance(one, Happened) and isinstance(one.event, InstrumentListed))]
    (one,) = sessions_of([rested, *kept])
    assert (one.currency, leg(one, HEDGE).currency, one.status) == ("USDT", "USDC", "Hedged")
    assert any(isinstance(record, EquityMark) for record in kept)

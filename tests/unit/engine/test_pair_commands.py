"""Pairs that people start, stop and close while the engine runs, and what a restart makes of them."""

from __future__ import annotations

from copy import copy
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.unit.strategies.pair.two_venues import FEES, HEDGE, LEAD, LIMITS, THIRD, Crowd, TwoVenues

from perpmaker.engine.core import AccountSpec, Answer, Engine, EngineSpec
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.core.state import decode_state
from perpmaker.engine.records import StrategyAdded, StrategyRemoved
from perpmaker.model.events import Operator
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId, client_order_id_parts
from perpmaker.model.order import Side
from perpmaker.strategies.api import Leg

D = Decimal
NAME = StrategyId("pair-eth")
ASKED = {"instrument": str(LEAD), "hedge_instrument": str(HEDGE), "mode": "alternate", "size": "0.5"}


class Bench(TwoVenues):
    """The two venues with an engine that has no strategy of its own: pairs are started by command."""

    follows: tuple[InstrumentId, ...] = (LEAD, HEDGE)
    pause_added = False
    idle = False
    """Whether there is another account on the lead's exchange, of which nothing is heard."""
    idle_follows: tuple[InstrumentId, ...] = ()
    bits = 64

    def _boot(self) -> None:
        super()._boot()
        accounts = tuple(
            AccountSpec(
                face.account,
                face.rules.exchange,
                LIMITS,
                client_id_bits=self.bits,
                instruments=(face.instrument,) if face.instrument in self.follows else (),
            )
            for face in self.faces.values()
        )
        if self.idle:
            accounts += (AccountSpec(AccountId("idle"), "grvt", LIMITS, instruments=self.idle_follows),)
        numbers = {str(one.strategy): one.number for one in self.journal if isinstance(one, StrategyAdded)}
        self.spec = EngineSpec(
            "test", 1, self.life, False, accounts, (), config_hash="c1", fees=FEES, numbers=numbers,
            pause_added=self.pause_added,
        )  # fmt: skip
        self.engine = Engine(self.spec)

    def tell(self, kind: str, name: str | None = None, /, *, command_id: str = "", **arguments: str) -> Answer:
        self.sent = command_id or f"{kind}-{len(self.journal)}"
        strategy = None if name is None else StrategyId(name)
        self.feed(Operator(self.sent, kind, strategy, arguments, "tester", self.now_ns))
        answer = self.engine.answer(self.sent)
        assert answer is not None
        return answer

    @property
    def answer(self) -> Answer | None:
        """What the last command has come to by now."""
        return self.engine.answer(self.sent)

    def status(self) -> dict[str, Any]:
        slot = self.engine.world.slots.get(NAME)
        return {} if slot is None else dict(slot.explained.get(LEAD, {}))

    @property
    def paused(self) -> bool:
        return self.engine.world.slots[NAME].paused

    def pair(self, **more: str) -> Answer:
        return self.tell("pair_start", **{**ASKED, **more})


def bench(*, piece: str = "0.5") -> Bench:
    made = Bench({"mode": "alternate", "size": "0.5"})
    made.on_step = Crowd(made, piece=piece)
    made.start()
    return made


def done(rig: Bench) -> Bench:
    rig.until(lambda: rig.is_over, 300)
    return rig


def test_a_pair_that_is_started_runs_as_asked_under_the_id_of_its_command() -> None:
    rig = bench()
    answer = rig.tell("pair_start", command_id="command-1", **ASKED, iterations="4")
    assert answer == Answer("done", f"{NAME}: {LEAD} (first) against {HEDGE} (second)")
    done(rig)
    assert (rig.status()["cycles"], rig.lead.position, rig.hedge.position) == (4, 0, 0)
    (added,) = [record for record in rig.journal if isinstance(record, StrategyAdded)]
    assert added.words["session"] == "command-1"
    numbers = {client_order_id_parts(fill.client_order_id).strategy for fill in rig.lead.fills}  # type: ignore[union-attr]
    assert numbers == {added.number} == {1}


def test_the_same_legs_begin_anew_once_they_are_over_and_keep_name_and_number() -> None:
    rig = bench()
    rig.pair(iterations="2")
    again = rig.pair()
    assert (again.state, "at work" in again.text) == ("refused", True)
    done(rig)
    assert rig.pair(iterations="1", size="0.25").state == "done"
    rig.until(lambda: rig.status().get("cycles") == 1, 60)
    added = [record for record in rig.journal if isinstance(record, StrategyAdded)]
    assert [(one.strategy, one.number) for one in added] == [(NAME, 1), (NAME, 1)]
    assert rig.status()["asked"] == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"hedge_instrument": str(LEAD)}, "wash trading"),
        ({"hedge_instrument": "DOGE@backpack"}, "does not follow 'DOGE@backpack'"),
        ({"hedge_account": "first"}, "does not trade on backpack"),
        ({"size": "0.001"}, "size 0.001 is 0 ETH in lots of both venues (0.01); it must be at least 0.02"),
        ({"size": "12", "size_in": "notional"}, "must be at least 0.02"),
        ({"size": "500"}, "risk.max_position_notional is 1000000"),
        ({"size": "100"}, "risk.max_order_notional is 100000"),
        ({"size": "much"}, "size = 'much': must be a number > 0"),
        ({"mode": "close_existing", "size": "0.001"}, "clip 0.001 is 0 ETH in lots of both venues"),
        ({"mode": "close_existing", "size": "100"}, "risk.max_order_notional is 100000"),
        ({"mode": "close_existing", "size": "9", "clip": "0.01"}, "it must be at least 0.02"),
        ({"hedge_account": ""}, "hedge_account is given no value"),
        ({"hedge_account": "zzz"}, "account 'zzz' does not trade on backpack"),
        ({"kind": "market_maker"}, "kind 'market_maker': must be pair or cross_maker"),
        ({"mode": "sideways"}, "mode = 'sideways': must be one of open_and_close"),
        ({"clip": "1"}, "clip = 1 must not be more than size = 0.5"),
        ({"maker.timeout_s": "1e9"}, "maker.timeout_s"),
        ({"colour": "red"}, "colour = 'red': unknown key"),
    ],
)
def test_what_cannot_be_a_pair_is_refused_with_the_reason(words: dict[str, str], said: str) -> None:
    rig = bench()
    answer = rig.pair(**words)
    assert answer.state == "refused"
    assert said in answer.text
    assert [record for record in rig.journal if isinstance(record, StrategyAdded)] == []
    assert dict(rig.engine.world.slots) == {}


@pytest.mark.parametrize(
    ("fallback", "said"),
    [
        ({"fallback_instrument": "ETH-USD@third"}, "does not follow 'ETH-USD@third'"),
        ({"fallback_instrument": str(HEDGE)}, "wash trading"),
        ({"fallback_account": "first"}, "come together"),
    ],
)
def test_a_third_leg_is_held_to_the_same_rules(fallback: dict[str, str], said: str) -> None:
    answer = bench().pair(**fallback)
    assert (answer.state, said in answer.text) == ("refused", True), answer.text


def test_a_third_venue_that_is_followed_is_a_leg() -> None:
    rig = Bench({"mode": "alternate", "size": "0.5"}, third=True)
    rig.follows = (LEAD, HEDGE, THIRD)
    rig.kill()
    rig._boot()
    rig.start()
    assert rig.pair(fallback_instrument=THIRD).state == "done"
    assert [leg.account for leg in rig.engine.world.slots[NAME].spec.legs] == ["first", "second", "third"]


def test_other_names_are_taken_as_they_are_given() -> None:
    rig = bench()
    assert "small letters" in rig.tell("pair_start", "Not A Name", **ASKED).text
    assert rig.tell("pair_start", "mine", **ASKED).text.startswith("mine:")
    assert list(rig.engine.world.slots) == ["mine"]


def test_an_account_that_does_not_trade_the_instrument_is_no_choice() -> None:
    rig = bench()
    rig.kill()
    rig.idle = True
    rig._boot()
    rig.start()
    assert "idle does not trade" in rig.pair(account="idle").text
    assert rig.pair().text.startswith(f"{NAME}: {LEAD} (first)")


def test_another_own_account_may_not_trade_the_instrument_of_a_pair() -> None:
    rig = bench()
    rig.kill()
    rig.idle, rig.idle_follows = True, (LEAD,)
    rig._boot()
    rig.start()
    assert rig.pair(account="first").state == "done"
    answer = rig.tell("pair_start", "other", **ASKED, account="idle")
    assert answer.state == "refused"
    assert f"on account 'idle' is traded by '{NAME}' on account 'first'" in answer.text
    assert "wash trading" in answer.text


def test_what_a_pair_has_left_is_free_for_one_of_other_legs() -> None:
    """The first pair hears nothing more: the fills of the second are no surprise to it."""
    rig = Bench({"mode": "alternate", "size": "0.5"}, third=True)
    rig.follows = (LEAD, HEDGE, THIRD)
    rig.on_step = Crowd(rig)
    rig.kill()
    rig._boot()
    rig.start()
    rig.pair(iterations="2")
    assert "traded by" in rig.tell("pair_start", "other", **{**ASKED, "hedge_instrument": str(THIRD)}).text
    done(rig)
    assert rig.tell("pair_start", "other", **{**ASKED, "hedge_instrument": str(THIRD)}, iterations="1").state == "done"
    rig.until(lambda: rig.other.position != 0, 60)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), 0)
    assert not rig.told("pair_surprised")
    assert [type(record) for record in rig.journal if isinstance(record, StrategyAdded | StrategyRemoved)] == [
        StrategyAdded, StrategyRemoved, StrategyAdded,
    ]  # fmt: skip


def test_nothing_is_started_while_the_kill_latch_is_set() -> None:
    rig = bench()
    rig.tell("kill")
    assert rig.pair() == Answer("refused", "the kill latch is set: no order passes until it is cleared")


def test_a_stop_in_the_middle_hedges_what_was_filled_and_leaves_the_position() -> None:
    rig = bench(piece="0.07")
    rig.pair(iterations="20", clip="0.25")
    rig.until(lambda: rig.lead.position > 0)
    assert rig.tell("pair_stop", NAME).state in ("accepted", "done")
    rig.until(lambda: (rig.answer or Answer("refused")).state == "done", 60)
    assert rig.lead.position > 0
    assert abs(rig.delta) < rig.hedge.rules.min_qty
    assert rig.lead.live() == rig.hedge.live() == []
    fills = len(rig.lead.fills)
    rig.run(20)
    assert len(rig.lead.fills) == fills


def test_a_close_leads_the_positions_to_nothing_within_one_clip_and_ends() -> None:
    rig = bench()
    rig.pair(mode="build_hold_close", size="2", clip="0.5", hold_min="60")
    rig.until(lambda: rig.lead.position == 2)
    assert rig.tell("pair_close", NAME).state == "accepted"
    rig.until(lambda: (rig.answer or Answer("refused")).state == "done", 120)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert rig.worst <= rig.bound
    assert rig.status()["waits_for"] == "closed, as a person wanted"
    rig.run(30)
    assert rig.lead.position == 0


def test_a_close_while_building_turns_round_at_once() -> None:
    rig = bench(piece="0.1")
    rig.pair(mode="build_and_hold", size="2", clip="0.5")
    rig.until(lambda: rig.lead.position > 0)
    rig.tell("pair_close", NAME)
    rig.until(lambda: rig.is_over, 120)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)


def test_a_position_that_is_held_after_the_end_can_still_be_closed() -> None:
    rig = bench()
    rig.pair(mode="build_and_hold")
    done(rig)
    rig.run(3)
    assert [record for record in rig.journal if isinstance(record, StrategyRemoved)] == []
    rig.tell("pair_close", NAME)
    rig.until(lambda: rig.is_over and not rig.lead.position, 60)
    rig.run(2)
    assert [record.strategy for record in rig.journal if isinstance(record, StrategyRemoved)] == [NAME]


def test_pause_and_resume_reach_pairs_alone() -> None:
    rig = bench()
    assert rig.tell("pair_pause").text == "this engine runs no pair"
    rig.pair(iterations="10")
    rig.tell("pair_pause")
    rig.run(5)
    fills = len(rig.lead.fills)
    rig.run(10)
    assert len(rig.lead.fills) == fills
    assert rig.tell("pair_resume", NAME).state == "done"
    done(rig)
    assert rig.status()["cycles"] == 10


def test_an_unexpected_fill_is_answered_by_the_pairs_own_command() -> None:
    rig = bench()
    rig.watching = False
    rig.pair(iterations="10")
    assert rig.tell("pair_answer", answer="stop").text == "no strategy asks anything"
    rig.until(lambda: rig.lead.position > 0)
    rig.fill_by_hand(rig.hedge, Side.BUY, "0.1")
    rig.until(lambda: bool(rig.engine.world.slots[NAME].question), 10)
    assert rig.tell("pair_answer", NAME, answer="perhaps").state == "refused"
    assert rig.tell("pair_answer", answer="stop").state == "done"
    done(rig)
    assert rig.engine.world.slots[NAME].question == ""


def test_a_restart_goes_on_with_a_pair_that_is_not_over() -> None:
    rig = bench()
    rig.pair(iterations="6")
    rig.until(lambda: rig.status().get("cycles", 0) >= 2)
    rig.restart()
    assert list(rig.engine.world.slots) == [NAME]
    done(rig)
    assert (rig.status()["cycles"], rig.lead.position, rig.hedge.position) == (6, 0, 0)


def test_a_checkpoint_carries_it_and_its_memo() -> None:
    rig = bench()
    rig.pair(iterations="6")
    rig.until(lambda: rig.status().get("cycles", 0) >= 2)
    rested = rig.engine.checkpoint()
    assert [one.strategy for one in decode_state(rested).added] == [NAME]
    fresh = Engine(rig.spec)
    fresh.restore(rested, ())
    assert fresh.world.slots[NAME].memo == rig.engine.world.slots[NAME].memo != ""


def test_a_restart_begins_without_a_pair_that_was_over_and_flat() -> None:
    rig = bench()
    rig.pair(iterations="2")
    done(rig)
    rig.run(3)
    rig.restart()
    assert dict(rig.engine.world.slots) == {}
    rig.pair(iterations="1", size="0.25")
    assert rig.engine.world.slots[NAME].spec.number == 1


def test_a_restart_knows_which_pair_a_person_paused_and_which_not_any_more() -> None:
    rig = bench()
    rig.pair(iterations="6")
    rig.tell("pair_pause", NAME)
    rig.restart()
    assert rig.paused
    rig.tell("pair_resume")
    rig.restart()
    assert not rig.paused
    rig.tell("pair_pause")
    rig.tell("pair_stop")
    rig.until(lambda: rig.is_over, 30)
    rig.pair(iterations="2")
    rig.restart()
    assert not rig.paused
    done(rig)


def test_a_life_that_may_not_go_on_by_itself_brings_it_up_paused_and_hedges() -> None:
    rig = bench(piece="0.1")
    rig.pair(iterations="6")
    rig.until(lambda: rig.lead.position > 0)
    rig.pause_added = True
    rig.restart()
    assert rig.paused
    rig.run(20)
    assert abs(rig.delta) < rig.hedge.rules.min_qty
    assert rig.tell("pair_resume", NAME).state == "done"
    done(rig)
    assert rig.status()["cycles"] == 6


def test_a_life_that_does_not_follow_its_instruments_keeps_it_for_one_that_does() -> None:
    rig = bench()
    rig.pair(iterations="6")
    rig.until(lambda: rig.status().get("cycles", 0) >= 2)
    rig.follows = (LEAD,)
    rig.restart()
    assert dict(rig.engine.world.slots) == {}
    assert rig.told("strategy_rests") == [
        {"strategy": NAME, "why": f"{HEDGE} is not among the instruments of account second"}
    ]
    rested = rig.engine.checkpoint()
    rig.follows = (LEAD, HEDGE)
    rig.kill()
    rig._boot()
    rig.engine.restore(rested, ())
    rig.start()
    done(rig)
    assert (rig.status()["cycles"], rig.lead.position, rig.hedge.position) == (6, 0, 0)


def test_numbers_fit_the_narrowest_venue_and_those_of_what_is_over_are_used_again() -> None:
    rig = bench()
    rig.kill()
    rig.bits = 32
    rig._boot()
    rig.engine.world.numbers |= {f"old-{number}": number for number in range(1, 16)}
    rig.start()
    assert rig.pair().state == "done"
    assert rig.engine.world.slots[NAME].spec.number == 1


def of_three() -> Bench:
    """As `bench`, with a third venue that is followed."""
    rig = Bench({"mode": "alternate", "size": "0.5"}, third=True)
    rig.follows = (LEAD, HEDGE, THIRD)
    rig.kill()
    rig._boot()
    rig.on_step = Crowd(rig, piece="0.5")
    rig.start()
    return rig


def beside(rig: Bench, name: str, **more: Any) -> Slot:
    """Add a second strategy of several legs, as far as commands see it: on the third venue, running nothing."""
    slot = copy(rig.engine.world.slots[NAME])
    leg = Leg(rig.other.account, THIRD)
    slot.spec = msgspec.structs.replace(
        slot.spec, strategy=StrategyId(name), account=leg.account, instrument=leg.instrument, others=(leg,), **more
    )
    rig.engine.world.slots[slot.spec.strategy] = slot
    return slot


def test_a_pair_that_has_failed_keeps_no_other_from_being_stopped() -> None:
    rig = of_three()
    rig.pair(iterations="10")
    rig.until(lambda: rig.lead.position > 0)
    failed = beside(rig, "pair-broken")
    failed.state, failed.error = SlotState.FAILED, "it divided by zero"
    rig.tell("pair_stop")
    done(rig)
    assert rig.status()["waits_for"] == "stopped by a person"
    answer = rig.answer
    assert answer is not None
    assert (answer.state, answer.text.partition(";")[0]) == ("refused", "pair-broken is failed: it divided by zero")


def test_a_parent_order_on_a_leg_of_a_pair_is_refused_while_the_pair_works_or_holds() -> None:
    rig = bench()
    rig.pair(mode="build_and_hold")
    order = {"instrument": str(LEAD), "side": "sell", "qty": "0.1", "algo": "sweep"}
    assert "is a leg of pair-eth" in rig.tell("execute", **order).text
    done(rig)
    assert rig.lead.position != 0
    refused = rig.tell("execute", **order)
    assert (refused.state, "close that first" in refused.text) == ("refused", True)
    rig.tell("pair_close", str(NAME))
    rig.until(lambda: rig.lead.position == rig.hedge.position == 0 and rig.is_over, 300)
    rig.run(5)
    assert rig.tell("execute", **order).state != "refused"


def test_closing_what_is_held_may_be_of_any_size_as_long_as_its_clip_is_not() -> None:
    assert bench().pair(mode="close_existing", size="500", clip="0.5").state == "done"


# told before it has started


def unready() -> Bench:
    """An engine that has not read its accounts."""
    rig = Bench({"mode": "alternate", "size": "0.5"})
    rig.on_step = Crowd(rig)
    rig.lead.up = rig.hedge.up = False
    return rig.start()


def come_up(rig: Bench) -> Bench:
    for face in (rig.lead, rig.hedge):
        rig.link(face)
    return rig.run(10)


@pytest.mark.parametrize("word", ["stop", "close"])
def test_a_pair_that_is_stopped_before_it_began_never_begins(word: str) -> None:
    rig = unready()
    assert rig.pair(iterations="9").state == "done"
    assert rig.engine.world.slots[NAME].state is SlotState.STARTING
    answer = rig.tell(f"pair_{word}", NAME)
    assert (answer.state, "Flat" in answer.text) == ("done", True)
    come_up(rig)
    assert (rig.lead.orders, rig.status()["phase"]) == ({}, "end")
    rig.tell("resume")
    rig.run(5)
    assert not rig.lead.orders
    rig.restart().run(5)
    assert dict(rig.engine.world.slots) == {}


def test_after_a_stop_before_its_beginning_the_same_legs_may_be_started_again() -> None:
    rig = unready()
    rig.pair(iterations="9")
    rig.tell("pair_stop", NAME)
    assert rig.pair(iterations="1").state == "done"
    done(come_up(rig))
    assert (rig.status()["asked"], rig.status()["cycles"]) == (1, 1)


@pytest.mark.parametrize("between", ["nothing", "a restart", "a checkpoint and a restart"])
@pytest.mark.parametrize(("word", "held"), [("stop", "0.25"), ("close", "0")])
def test_a_pair_of_an_earlier_life_hears_it_when_it_has_started(word: str, held: str, between: str) -> None:
    """The position is half built; what it was told survives another life."""
    rig = bench(piece="0.25")
    rig.pair(iterations="9", clip="0.25")
    rig.until(lambda: rig.lead.position == D("0.25") and not rig.delta, 60)
    rig.kill()
    rig.on_step = lambda: None
    rig.lead.up = rig.hedge.up = False
    rig.restart()
    answer = rig.tell(f"pair_{word}", NAME)
    assert (answer.state, "as soon as it has started" in answer.text) == ("accepted", True)
    if "checkpoint" in between:
        rig.checkpoint()
    if "restart" in between:
        rig.restart()
    orders = len(rig.lead.orders)
    come_up(rig)
    if word == "close":
        rig.on_step = Crowd(rig)
        done(rig)
    assert rig.status()["phase"] == "end"
    assert (rig.lead.position, rig.delta) == (D(held), 0)
    assert word == "close" or len(rig.lead.orders) == orders
    if between == "nothing":
        rig.until(lambda: (rig.answer or Answer("refused")).state == "done", 10)


# making across venues


MAKER = {"instrument": str(LEAD), "hedge_instrument": str(HEDGE), "kind": "cross_maker", "qty": "0.5", "max_qty": "1"}


def test_a_maker_is_started_steered_and_stopped_as_a_pair_is() -> None:
    rig = Bench({"mode": "alternate", "size": "0.5"}).start()
    assert rig.tell("pair_start", **MAKER).text == f"make-eth: {LEAD} (first) against {HEDGE} (second)"
    rig.run(1)
    assert len(rig.lead.live()) == 2
    assert rig.tell("pair_pause").state in ("accepted", "done")
    rig.run(1)
    assert not rig.lead.live()
    rig.tell("pair_resume")
    rig.run(1)
    rig.fill(rig.lead, rig.lead.live()[0])
    rig.restart().run(2)
    assert len(rig.lead.live()) == 2
    assert rig.tell("pair_close").state == "accepted"
    rig.until(lambda: (rig.answer or Answer("refused")).state == "done", 30)
    assert (rig.lead.position, rig.hedge.position, rig.lead.live()) == (0, 0, [])
    rig.run(2)
    assert [type(one) for one in rig.journal if isinstance(one, StrategyAdded | StrategyRemoved)] == [
        StrategyAdded, StrategyRemoved,
    ]  # fmt: skip
    assert rig.tell("pair_start", **MAKER, session="again").state == "done"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"qty": "0.001"}, "qty 0.001 is 0 ETH in lots of both venues"),
        ({"max_qty": "500"}, "risk.max_position_notional is 1000000"),
        ({"qty": "100", "max_qty": "100"}, "risk.max_order_notional is 100000"),
        ({"max_qty": "0.1"}, "max_qty = 0.1 must not be less than qty = 0.5"),
        ({"mode": "alternate"}, "mode = 'alternate': unknown key"),
        ({"hedge_instrument": str(LEAD)}, "wash trading"),
    ],
)
def test_what_cannot_be_a_maker_is_refused_with_the_reason(words: dict[str, str], said: str) -> None:
    answer = bench().tell("pair_start", **{**MAKER, **words})
    assert (answer.state, said in answer.text) == ("refused", True), answer.text


def test_a_new_session_tells_what_the_one_before_it_still_holds() -> None:
    rig = bench()
    rig.pair(mode="build_and_hold")
    done(rig)
    assert rig.pair(iterations="1", size="0.25").state == "done"
    (left,) = rig.told("pair_left_behind")
    assert left["held"] == "0.50 ETH_USDT_Perp, -0.500 ETH_USDC_PERP@backpack"


@pytest.mark.parametrize("word", ["stop", "close"])
def test_a_pair_that_fails_while_it_ends_is_not_called_done(word: str) -> None:
    rig = bench()
    rig.pair(mode="build_hold_close", size="2", clip="0.5", hold_min="60")
    rig.until(lambda: rig.lead.position == 2)
    rig.on_step = lambda: None  # nobody fills what closes it
    rig.engine.world.slots[NAME].strategy.on_told = broken
    rig.tell(f"pair_{word}", NAME)
    rig.run(1)
    assert rig.answer == Answer("refused", f"{NAME} is failed: on_told raised ZeroDivisionError: by zero")


def test_a_pair_that_fails_as_it_starts_has_not_heard_what_it_was_told() -> None:
    rig = bench()
    rig.pair(mode="build_hold_close", size="2", clip="0.5", hold_min="60")
    rig.until(lambda: rig.lead.position == 2)
    rig.lead.up = rig.hedge.up = False
    rig.restart()
    rig.tell("pair_stop", NAME)
    rig.engine.world.slots[NAME].strategy.on_start = broken
    come_up(rig)
    assert rig.answer == Answer("refused", f"{NAME} is failed: on_start raised ZeroDivisionError: by zero")
    rig.checkpoint()
    rig.restart()
    come_up(rig)
    assert rig.status()["waits_for"] == "stopped by a person"


def test_a_pair_started_anew_after_a_failure_is_told_nothing_of_before() -> None:
    rig = unready()
    rig.pair(iterations="9")
    rig.engine.world.slots[NAME].memo = "of a life before"
    rig.tell("pair_stop", NAME)
    rig.engine.world.slots[NAME].strategy.on_start = broken
    come_up(rig)
    assert rig.engine.world.slots[NAME].state is SlotState.FAILED
    assert rig.pair(iterations="1").state == "done"
    done(rig)
    assert rig.status()["cycles"] == 1


def test_what_a_failed_pair_holds_after_its_end_is_closed_once_it_was_resumed() -> None:
    rig = bench()
    rig.pair(mode="build_and_hold")
    done(rig)
    held = rig.lead.position
    rig.engine.world.slots[NAME].strategy.on_timer = broken
    rig.run(1)
    failed = Answer("refused", f"{NAME} is failed: on_timer raised ZeroDivisionError: by zero")
    assert rig.tell("pair_close", NAME) == failed
    assert rig.lead.position == held != 0
    rig.tell("pair_resume", NAME)
    assert rig.tell("pair_close", NAME).state == "accepted"
    rig.until(lambda: (rig.answer or failed).state == "done", 60)
    assert rig.lead.position == rig.hedge.position == 0


def broken(*_: object) -> None:
    raise ZeroDivisionError("by zero")

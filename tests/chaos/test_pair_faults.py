"""What two venues and a process do to a pair, in virtual time: RELIABILITY G1 to G7, P1; R18; I1, I2, I3, I4, I9, I14.

Each test plays alternating cycles while a crowd fills the pair's orders in pieces, lets a fault happen in the middle, and
holds the pair to what goal R18 says: never more than a clip unhedged (the lab compares after each event, by the venues' own
books), open for 2 s at most while all is well and 10 s with one fault, else undone within 30 s. In the end the cycles asked
for have run, both accounts are flat, and every figure of the session is the venues' to the last decimal.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.unit.strategies.pair.sessions import assert_sums_are_the_venues, done, pair
from tests.unit.strategies.pair.two_venues import TwoVenues

from perpmaker.model.order import Side

D = Decimal
CYCLES = 6
HEALTHY_S, ONE_FAULT_S, UNDONE_S = 2.0, 10.0, 30.0
KILLS = 20
SEED = 7


def playing(*, third: bool = False, cycles: int = CYCLES, **params: str) -> TwoVenues:
    """A pair of 0.5 in two clips, 50 ms from one venue and 100 ms from the other."""
    rig = pair(
        third=third, iterations=cycles, clip="0.25", piece="0.11", start=False, on_unexpected="continue", **params,
        maker={"timeout_s": 4, "stability_s": 0},
    )  # fmt: skip
    rig.lead.latency_s, rig.hedge.latency_s = 0.05, 0.1
    return rig.start()


def in_the_middle(rig: TwoVenues) -> TwoVenues:
    """Something of the second cycle has filled."""
    return rig.until(lambda: rig.status().get("cycles") == 1 and has_just_filled(rig))


def has_just_filled(rig: TwoVenues) -> bool:
    return bool(rig.lead.fills) and rig.lead.fills[-1].ts_event_ns > rig.now_ns - 10**8


def assert_kept(rig: TwoVenues, longest_s: float, *, cycles: int = CYCLES, balance: bool = True) -> None:
    """Play to the end and judge."""
    while not rig.is_over:
        rig.until(lambda: rig.is_over or bool(rig.question), 600)
        if rig.question:
            rig.operate("answer", answer="continue")
    rig.run(1)
    assert rig.status()["cycles"] == cycles
    assert all(face.position == rig.base[face.account] for face in rig.faces.values())
    assert not any(face.live() for face in rig.faces.values())
    assert max(rig.spells_s, default=0) <= longest_s
    assert rig.violations == []
    assert rig.worst <= rig.bound
    assert_sums_are_the_venues(rig, balance=balance)


def test_without_faults_no_clip_is_open_for_2_s_in_200() -> None:
    rig = playing(cycles=100)
    assert_kept(rig, HEALTHY_S, cycles=100)
    assert len(rig.spells_s) >= 200


@pytest.mark.long
@pytest.mark.timeout(900)
def test_five_thousand_clips_with_a_fault_after_every_few() -> None:
    """Goal R18 at its size: open for 2 s at most in 99 of 100 clips that nothing befell, and for 30 s in any."""
    faults: list[Callable[[TwoVenues], object]] = [
        lambda rig: setattr(rig.hedge, "refuses", "no"),
        lambda rig: setattr(rig.hedge, "answers", False),
        lambda rig: setattr(rig.lead, "answers", False),
        lambda rig: setattr(rig.hedge, "loses_next", True),
        lambda rig: setattr(rig.hedge, "take_share", D("0.3")),
        lambda rig: rig.link(rig.hedge, up=False),
        lambda rig: rig.restart(),
    ]
    drawn = random.Random(SEED)
    rig = playing(cycles=2_500)
    healthy: list[float] = []
    while not rig.is_over:
        before = len(rig.spells_s)
        rig.run(drawn.uniform(20, 60))
        healthy += rig.spells_s[before:]
        drawn.choice(faults)(rig)
        rig.run(drawn.uniform(0.5, 6))
        rig.heal()
        rig.lead.latency_s, rig.hedge.latency_s = 0.05, 0.1
        rig.run(30)
        if rig.question:
            rig.operate("answer", answer="continue")
    assert_kept(rig, UNDONE_S, cycles=2_500)
    assert len(rig.spells_s) >= 5_000
    assert sorted(healthy)[len(healthy) * 99 // 100] <= HEALTHY_S
    print(f"{len(rig.spells_s)} spells, {rig.life} lives, longest {max(rig.spells_s)} s, healthy {max(healthy)} s")


@pytest.mark.parametrize("third", [False, True])
@pytest.mark.parametrize(("lasts_s", "longest_s"), [(4, ONE_FAULT_S), (25, UNDONE_S)])
def test_a_hedge_venue_that_rejects(lasts_s: float, longest_s: float, third: bool) -> None:
    rig = in_the_middle(playing(third=third))
    rig.hedge.refuses = "no"
    rig.run(lasts_s)
    rig.hedge.refuses = ""
    assert_kept(rig, longest_s)


@pytest.mark.parametrize(("lasts_s", "longest_s"), [(4, ONE_FAULT_S), (25, UNDONE_S)])
def test_a_hedge_venue_that_is_down(lasts_s: float, longest_s: float) -> None:
    rig = in_the_middle(playing())
    rig.link(rig.hedge, up=False)
    rig.run(lasts_s)
    rig.link(rig.hedge, up=True)
    assert_kept(rig, longest_s)


@pytest.mark.parametrize("lasts_s", [4, 25])
def test_a_lead_venue_that_is_down(lasts_s: float) -> None:
    rig = in_the_middle(playing())
    rig.link(rig.lead, up=False)
    rig.run(lasts_s)
    rig.link(rig.lead, up=True)
    assert_kept(rig, UNDONE_S if lasts_s > UNDONE_S else lasts_s + ONE_FAULT_S)


def test_a_hedge_venue_that_takes_30_s_to_take_orders_refuses_them_and_the_leg_is_undone() -> None:
    """What arrives after its life (10 s) is refused; until that is proven nothing else may be done."""
    rig = in_the_middle(playing())
    rig.hedge.orders_late_s = 30
    rig.run(45)
    rig.hedge.orders_late_s = 0
    assert_kept(rig, UNDONE_S)


def test_a_hedge_venue_that_takes_30_s_to_answer_orders_is_asked_meanwhile() -> None:
    rig = in_the_middle(playing())
    rig.hedge.replies_late_s = 30
    rig.run(45)
    rig.hedge.replies_late_s = 0
    assert_kept(rig, ONE_FAULT_S)


@pytest.mark.parametrize("phase", ["open", "close"])
@pytest.mark.parametrize("lasts_s", [30, 60])
def test_a_hedge_venue_that_does_everything_30_s_late_leaves_a_clip_open_until_it_answers_in_time(
    lasts_s: float, phase: str
) -> None:
    """The bound is the fault's own length and 10 s, whether the clip builds or closes.

    What was sent may have been executed, and the venue says so 30 s later: goal R18's 30 s cannot be promised. Undoing the
    lead meanwhile would leave as much open the other way if it was. So nothing more is done, and never more than a clip.
    """
    rig = playing(mode="open_and_close")
    rig.until(lambda: rig.status().get("phase") == phase and has_just_filled(rig))
    began, rig.hedge.latency_s = len(rig.spells_s), 30
    rig.run(lasts_s)
    rig.hedge.latency_s = 0.1
    assert_kept(rig, lasts_s + ONE_FAULT_S)
    assert max(rig.spells_s[began:]) > 10


def test_a_hedge_lost_on_its_way_is_made_up_for() -> None:
    rig = in_the_middle(playing())
    rig.hedge.loses_next = True
    assert_kept(rig, ONE_FAULT_S)
    assert not rig.hedge.loses_next
    assert not rig.told("pair_unwound")


@pytest.mark.parametrize("lasts_s", [1, 6])
def test_orders_and_cancels_lost_on_their_way(lasts_s: float) -> None:
    rig = in_the_middle(playing())
    rig.hedge.accepts = False
    rig.run(lasts_s)
    rig.hedge.accepts = True
    assert_kept(rig, UNDONE_S)
    assert not rig.told("pair_unwound")  # the time it took to find out was not held against the hedge venue


@pytest.mark.parametrize("lasts_s", [1, 6, 20])
@pytest.mark.parametrize("who", ["lead", "hedge"])
def test_answers_lost_on_their_way(who: str, lasts_s: float) -> None:
    rig = in_the_middle(playing())
    face = rig.lead if who == "lead" else rig.hedge
    face.answers = False
    rig.run(lasts_s)
    face.answers = True
    assert_kept(rig, lasts_s + ONE_FAULT_S)


def test_partial_fills_below_the_minimum_are_gathered_and_hedged() -> None:
    """Pieces of 0.01 where the hedge venue takes 0.02 at least: what is open stays below two of its orders."""
    rig = pair(iterations=CYCLES, clip="0.25", piece="0.01", maker={"timeout_s": 60, "stability_s": 0})
    done(rig, 900)
    assert rig.worst < D("0.04")
    assert min(fill.qty for fill in rig.hedge.fills) >= D("0.02")
    assert_kept(rig, HEALTHY_S)


@pytest.mark.parametrize("who", ["lead", "hedge"])
def test_more_is_executed_than_was_ordered(who: str) -> None:
    rig = in_the_middle(playing())
    rig.bound = D("0.35")
    if who == "hedge":
        rig.hedge.overfills = D("0.1")
    else:
        rig.until(lambda: bool(rig.lead.live()))
        order = rig.lead.live()[0]
        rig.fill(rig.lead, order, str(order.qty - rig.lead.orders[order.client_order_id].filled + D("0.1")))
    rig.run(15)
    assert rig.delta == 0
    rig.operate("resume")  # the engine froze the instrument: a person looked at it
    assert_kept(rig, ONE_FAULT_S)
    assert any("beyond the size of its order" in row["text"] for row in rig.told("pair_surprised"))


def test_a_cancel_loses_to_a_fill_each_time() -> None:
    """Whenever a cancel is on its way the order fills whole."""
    rig = playing()
    rig.lead.latency_s = 0.3
    rig.on_step = lambda: None
    rig.on_cancel = rig.fill
    assert_kept(rig, HEALTHY_S)
    assert not rig.told("pair_surprised")


@pytest.mark.parametrize("who", ["lead", "hedge"])
def test_positions_read_at_different_times_are_no_difference(who: str) -> None:
    rig = playing()
    face = rig.lead if who == "lead" else rig.hedge
    face.position_lag_s = 3
    assert_kept(rig, HEALTHY_S)
    assert not rig.told("pair_surprised")
    assert not rig.told("position_adjusted")


@pytest.mark.parametrize("lag_s", [8, 15])
@pytest.mark.parametrize("who", ["lead", "hedge"])
def test_a_position_read_far_too_early_is_asked_about_and_traded_on_by_nobody(who: str, lag_s: float) -> None:
    """The engine takes the venue's word after a while and freezes the instrument; the pair waits until it lasts."""
    rig = pair(
        iterations=4, clip="0.25", piece="0.11", start=False, pause_s=20, maker={"timeout_s": 4, "stability_s": 0}
    )
    rig.lead.latency_s, rig.hedge.latency_s = 0.05, 0.1
    face = rig.lead if who == "lead" else rig.hedge
    face.position_lag_s = lag_s
    rig.start()
    rig.until(lambda: bool(rig.question), 60)
    assert "without a fill" in rig.question
    held = (rig.lead.position, rig.hedge.position)
    rig.run(lag_s + 5)
    assert (rig.lead.position, rig.hedge.position) == held
    assert rig.delta == 0
    face.position_lag_s = 0
    rig.operate("resume")
    rig.operate("answer", answer="continue")
    assert_kept(rig, HEALTHY_S, cycles=4, balance=False)  # a false correction and its return are told as a drift


def test_a_position_that_has_gone_without_a_word_is_followed_once_it_lasts() -> None:
    rig = playing(cycles=2)
    rig.until(lambda: rig.lead.position == D("0.5") and rig.delta == 0)
    rig.on_step = lambda: None
    rig.watching = False
    rig.fill_by_hand(rig.lead, Side.SELL, "0.5", of_the_pair=True, told=False)
    rig.run(20)
    assert rig.hedge.position == D("-0.5")
    rig.run(30)
    assert rig.lead.position == rig.hedge.position == 0


def test_both_venues_fail_at_once_and_come_back() -> None:
    rig = in_the_middle(playing())
    for face in rig.faces.values():
        rig.link(face, up=False)
    rig.run(20)
    rig.heal()
    assert_kept(rig, UNDONE_S)


@pytest.mark.parametrize("trouble", ["none", "hedge rejects", "answers lost", "hedge slow"])
def test_killed_at_twenty_points(trouble: str) -> None:
    """Twenty steps of a session drawn by a seed, of all that write to the journal or send: each is the last of its life."""
    hurt: dict[str, Callable[[TwoVenues], None]] = {
        "none": lambda rig: None,
        "hedge rejects": lambda rig: setattr(rig.hedge, "refuses", "no"),
        "answers lost": lambda rig: setattr(rig.hedge, "answers", False),
        "hedge slow": lambda rig: setattr(rig.hedge, "latency_s", 2.0),
    }
    whole = playing(cycles=2)
    done(whole)
    for point in sorted(random.Random(SEED).sample(range(1, whole.steps), KILLS)):
        rig = pair(
            iterations=2, clip="0.25", piece="0.11", start=False, maker={"timeout_s": 4, "stability_s": 0}
        )  # fmt: skip
        rig.lead.latency_s, rig.hedge.latency_s = 0.05, 0.1
        rig.kill_at = point
        rig.start()
        for _ in range(600):
            if not rig.alive:
                break
            rig.run(0.1)
        assert not rig.alive
        hurt[trouble](rig)
        rig.run(1)
        rig.restart().run(3)
        rig.heal()
        assert_kept(rig, UNDONE_S, cycles=2)
        assert rig.life == 2


def test_the_venue_closes_one_leg_itself_and_the_other_follows() -> None:
    rig = playing(cycles=2)
    rig.until(lambda: rig.lead.position == D("0.5") and rig.delta == 0)
    rig.on_step = lambda: None
    rig.watching = False
    rig.fill_by_hand(rig.lead, Side.SELL, "0.5", of_the_pair=True)
    rig.run(5)
    assert rig.lead.position == rig.hedge.position == 0

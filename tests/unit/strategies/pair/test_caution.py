"""What pairs and makers across venues do as a loss limit of an account is used up: hedging and closing always go on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest
from tests.unit.strategies.pair.sessions import done, pair
from tests.unit.strategies.pair.two_venues import Crowd, TwoVenues

from perpmaker.engine.core.context import SlotContext
from perpmaker.model.order import Side
from perpmaker.strategies.pair.programme import Programme

D = Decimal
Use = Callable[[float], None]


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Says which part of a loss limit is used up; none before it is called."""
    part = {"used": 0.0}
    monkeypatch.setattr(SlotContext, "loss_used", lambda _: part["used"])
    return lambda used: part.update(used=used)


# pairs


def test_at_a_half_clips_that_open_are_half_as_large_and_those_that_close_are_not(use: Use) -> None:
    use(0.5)
    rig = done(pair(mode="open_and_close", size="1", clip="0.5"))
    assert [fill.qty for fill in rig.lead.fills if fill.side is Side.BUY] == [D("0.25")] * 4
    assert [fill.qty for fill in rig.lead.fills if fill.side is Side.SELL] == [D("0.5")] * 2
    assert rig.status()["caution"] == "widen: 50% of a loss limit is used"


def test_a_clip_that_no_venue_would_take_smaller_keeps_its_size(use: Use) -> None:
    use(0.5)
    rig = done(pair(mode="build_and_hold", size="0.06", clip="0.03"))
    assert {fill.qty for fill in rig.lead.fills} == {D("0.03")}


def test_at_three_quarters_nothing_is_begun_until_it_has_eased(use: Use) -> None:
    use(0.76)
    rig = pair(mode="build_and_hold").run(20)
    assert not rig.lead.orders
    assert rig.status()["waits_for"] == "opens nothing: 76% of a loss limit is used"
    use(0.6)
    done(rig)
    assert rig.lead.position == D("0.5")


def test_at_three_quarters_an_opening_order_is_withdrawn_and_what_it_filled_is_hedged(use: Use) -> None:
    rig = pair(mode="build_and_hold", crowd=False)
    rig.until(lambda: bool(rig.lead.live()))
    rig.hedge.latency_s = 0.5
    rig.fill(rig.lead, rig.lead.live()[0], "0.2")
    assert rig.delta == D("0.2")
    use(0.8)
    rig.run(20)
    assert not rig.lead.live()
    assert (rig.lead.position, rig.hedge.position) == (D("0.2"), D("-0.2"))
    use(0.6)
    rig.until(lambda: bool(rig.lead.live()))


TAKES = {"timeout_s": 2, "reprices": 0, "on_timeout": "take", "stability_s": 0}


def taking(mode: str, phase: str, **params: float) -> TwoVenues:
    """A pair in the midst of a sweep on the lead, of which each order gets a fifth of what it asks for."""
    rig = pair(mode=mode, crowd=False, maker=TAKES, **params)
    rig.until(lambda: rig.status().get("phase") == phase and bool(rig.lead.live()))
    rig.lead.take_share = D("0.2")
    fills = len(rig.lead.fills)
    rig.until(lambda: len(rig.lead.fills) > fills, 10)
    assert rig.status()["clip"] == "taking"
    return rig


@pytest.mark.parametrize("hindered", ["three quarters", "paused"])
def test_a_clip_that_opens_by_taking_is_left_and_what_it_took_is_hedged(use: Use, hindered: str) -> None:
    rig = taking("build_and_hold", "open")
    took = rig.lead.position
    use(0.8) if hindered == "three quarters" else rig.operate("pause")
    rig.run(10)
    assert 0 < took == rig.lead.position < D("0.5")
    assert rig.delta == 0
    use(0.6)
    rig.operate("resume")
    rig.lead.take_share = D(1)
    done(rig)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))


def test_a_clip_that_closes_by_taking_goes_on_at_three_quarters(use: Use) -> None:
    rig = taking("open_and_close", "close")
    use(0.8)
    rig.until(lambda: abs(rig.lead.position) < D("0.1"), 10)
    assert rig.delta == 0


@pytest.mark.parametrize("mode", ["alternate", "build_hold_close"])
def test_at_three_quarters_what_is_held_is_closed_as_planned(use: Use, mode: str) -> None:
    rig = pair(mode=mode, iterations=4, hold_min=0.1, pause_s=6)
    rig.until(lambda: rig.status().get("phase") in ("hold", "pause"))
    assert rig.lead.position == D("0.5")
    use(0.8)
    rig.until(lambda: rig.lead.position == rig.hedge.position == 0)
    rig.run(20)
    assert len(rig.lead.fills) == 2
    assert "opens nothing" in rig.status()["waits_for"]


def test_at_nine_tenths_what_is_held_is_taken_down_clip_by_clip(use: Use) -> None:
    """Nobody fills resting orders here: it takes."""
    rig = pair(mode="build_hold_close", hold_min=60, size="1.2", clip="0.5")
    rig.until(lambda: rig.status().get("phase") == "hold")
    rig.on_step = lambda: None
    opened = len(rig.lead.fills)
    rig.hedge.latency_s = 0.3
    use(0.92)
    done(rig, 30)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert len(rig.lead.fills) - opened == 3
    assert all(fill.is_taker for fill in rig.lead.fills[opened:])
    assert rig.worst <= D("0.5")
    assert rig.told("pair_flattens")[0]["held"] == "1.20"
    assert rig.told("pair_ended")[0]["text"] == "closed, 92% of a loss limit is used"
    use(0.0)
    rig.run(20)
    assert rig.lead.position == 0


def test_at_nine_tenths_a_clip_that_opens_is_left_first(use: Use) -> None:
    rig = pair(mode="build_and_hold", size="1", clip="0.5", crowd=False)
    rig.until(lambda: bool(rig.lead.live()))
    rig.fill(rig.lead, rig.lead.live()[0], "0.3")
    use(0.95)
    done(rig, 30)
    assert (rig.lead.position, rig.hedge.position, rig.lead.live()) == (0, 0, [])


def test_at_nine_tenths_a_position_that_was_built_to_be_held_is_taken_down(use: Use) -> None:
    rig = done(pair(mode="build_and_hold"))
    assert rig.lead.position == D("0.5")
    use(0.95)
    rig.until(lambda: rig.lead.position == rig.hedge.position == 0, 30)
    assert rig.told("pair_ended")[-1]["text"] == "closed, 95% of a loss limit is used"


def test_at_nine_tenths_what_an_odd_number_of_cycles_left_is_taken_down(use: Use) -> None:
    rig = done(pair(mode="alternate", iterations=3))
    assert (rig.lead.position, rig.status()["waits_for"]) == (D("0.5"), "every cycle was run")
    use(0.95)
    rig.until(lambda: rig.lead.position == rig.hedge.position == 0, 30)
    assert rig.told("pair_ended")[-1]["text"] == "closed, 95% of a loss limit is used"


def test_what_was_built_and_then_stopped_by_a_person_stays_at_nine_tenths_and_after_a_restart(use: Use) -> None:
    rig = done(pair(mode="build_and_hold"))
    rig.operate("pair_stop")
    assert rig.status()["waits_for"] == "built; the position is held; stopped by a person"
    use(0.95)
    rig.run(10)
    rig.restart().run(10)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))
    assert rig.told("pair_flattens") == []
    rig.operate("pair_close")
    rig.until(lambda: rig.lead.position == rig.hedge.position == 0, 30)


def test_what_was_built_stays_at_nine_tenths_after_a_surprise_that_stops(use: Use) -> None:
    rig = done(pair(mode="build_and_hold", on_unexpected="stop"))
    rig.fill_by_hand(rig.hedge, Side.SELL, "0.1")
    rig.run(1)
    held = rig.lead.position
    use(0.95)
    rig.run(10)
    assert held == rig.lead.position == D("0.5")


@pytest.mark.parametrize(
    ("mode", "cycles", "text", "keeps"),
    [
        ("build_and_hold", 1, "built; the position is held", True),
        ("build_and_hold", 0, "stopped by a person", False),
        ("alternate", 1, "stopped by a person", False),
    ],
)
def test_what_was_remembered_before_who_ended_it_was_is_taken_as_it_was_then(
    mode: str, cycles: int, text: str, keeps: bool
) -> None:
    old = {"mode": mode, "phase": "end", "cycles": cycles, "side": "buy", "wanted": "0.5", "text": text}
    assert msgspec.json.decode(msgspec.json.encode(old), type=Programme).keeps is keeps


def test_what_a_person_stopped_stays_at_nine_tenths(use: Use) -> None:
    rig = pair(mode="build_hold_close", hold_min=60)
    rig.until(lambda: rig.status().get("phase") == "hold")
    rig.operate("pair_stop")
    use(0.95)
    rig.run(20)
    assert (rig.lead.position, rig.hedge.position) == (D("0.5"), D("-0.5"))


def test_at_nine_tenths_a_paused_pair_waits_for_its_person(use: Use) -> None:
    rig = pair(mode="build_hold_close", hold_min=60)
    rig.until(lambda: rig.status().get("phase") == "hold")
    rig.operate("pause")
    use(0.95)
    rig.run(10)
    assert rig.lead.position == D("0.5")
    rig.operate("resume")
    done(rig, 30)
    assert rig.lead.position == 0


def test_a_pair_that_holds_nothing_survives_nine_tenths(use: Use) -> None:
    use(0.95)
    rig = pair(mode="build_and_hold").run(5)
    assert (rig.is_over, rig.told("pair_flattens")) == (False, [])
    use(0.1)
    done(rig)
    assert rig.lead.position == D("0.5")


def test_taking_down_waits_for_a_venue_that_is_away(use: Use) -> None:
    rig = pair(mode="build_hold_close", hold_min=60)
    rig.until(lambda: rig.status().get("phase") == "hold")
    rig.link(rig.hedge, up=False)
    use(0.95)
    rig.run(5)
    assert rig.lead.position == D("0.5")
    rig.link(rig.hedge)
    done(rig, 30)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)


def test_taking_down_goes_on_after_a_restart_though_the_figure_has_eased(use: Use) -> None:
    rig = pair(mode="build_hold_close", hold_min=60, size="1", clip="0.5")
    rig.until(lambda: rig.status().get("phase") == "hold")
    rig.on_step = lambda: None
    use(0.95)
    rig.until(lambda: rig.lead.position == D("0.5"), 10)
    rig.kill()
    use(0.0)
    rig.restart()
    done(rig, 30)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)
    assert "95% of a loss limit is used" in rig.told("pair_ended")[-1]["text"]


# makers across venues


def maker(use: Use, used: float, **params: str) -> TwoVenues:
    """One that holds 0.5 when that part of a loss limit is used up."""
    rig = TwoVenues({"qty": "0.5", "max_qty": "1", **params}, kind="cross_maker").start().run(1)
    (bid,) = [order for order in rig.lead.live() if order.side is Side.BUY]
    rig.fill(rig.lead, bid)
    rig.run(1)
    assert (rig.lead.position, rig.hedge.position, len(rig.lead.live())) == (D("0.5"), D("-0.5"), 2)
    use(used)
    return rig.run(1)


def test_at_a_half_a_maker_wants_to_earn_half_as_much_again(use: Use) -> None:
    """Fees: lead -0.1 bps, hedge 5 bps; profit 1 bps: 5.9 bps, and 8.85 of them."""
    rig = maker(use, 0.5)
    (bid,) = [order for order in rig.lead.live() if order.side is Side.BUY]
    assert D("2599.75") * (1 - D("0.00089")) < (bid.px or 0) <= D("2599.75") * (1 - D("0.000885"))


def test_a_maker_that_pays_for_its_fills_pays_less_at_a_half(use: Use) -> None:
    """Of -2.1 bps: -1.05, never more."""
    rig = TwoVenues({"qty": "0.5", "max_qty": "0.5", "min_profit_bps": "-7"}, kind="cross_maker").start().run(1)
    rig.fill(rig.lead, next(order for order in rig.lead.live() if order.side is Side.BUY))
    rig.hedge.mid = D("2610")
    use(0.5)
    rig.run(1)
    (offer,) = rig.lead.live()
    assert D("2610.25") * (1 - D("0.00011")) < (offer.px or 0) < D("2610.25") * (1 - D("0.00010"))


def test_at_three_quarters_a_maker_quotes_only_what_reduces(use: Use) -> None:
    rig = maker(use, 0.8)
    assert [(order.side, order.qty) for order in rig.lead.live()] == [(Side.SELL, D("0.5"))]
    assert rig.status()["waits_for"] == "quotes only what reduces: 80% of a loss limit is used"
    rig.fill(rig.lead, rig.lead.live()[0], "0.3")
    rig.run(1)
    assert rig.delta == 0
    assert [(order.side, order.qty) for order in rig.lead.live()] == [(Side.SELL, D("0.2"))]


def test_at_nine_tenths_a_maker_flattens_and_quotes_again_once_that_has_eased(use: Use) -> None:
    rig = maker(use, 0.95)
    rig.until(lambda: rig.lead.position == rig.hedge.position == 0, 20)
    rig.run(5)
    assert rig.lead.live() == []
    assert rig.worst <= D("0.5")
    assert "flattens and quotes nothing: 95%" in rig.status()["waits_for"]
    assert len(rig.told("pair_flattens")) == 1
    use(0.3)
    rig.run(2)
    assert len(rig.lead.live()) == 2


def test_at_nine_tenths_a_maker_that_a_person_stopped_keeps_its_position(use: Use) -> None:
    rig = maker(use, 0.0)
    rig.operate("pair_stop")
    rig.run(1)
    use(0.95)
    rig.run(10)
    assert (rig.lead.position, rig.told("pair_flattens")) == (D("0.5"), [])


def test_a_crowd_that_fills_everything_builds_nothing_at_three_quarters(use: Use) -> None:
    rig = maker(use, 0.8)
    rig.on_step = Crowd(rig)
    rig.run(20)
    assert (rig.lead.position, rig.hedge.position) == (0, 0)

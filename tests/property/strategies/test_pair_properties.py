"""Whatever befalls both venues and the process: never more than a clip unhedged, and equal legs once things are quiet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.strategies.pair.sessions import assert_sums_are_the_venues
from tests.unit.strategies.pair.two_venues import TwoVenues

from perpmaker.engine.core.context import SlotContext

D = Decimal
TROUBLES = st.sampled_from(
    [
        "none",
        "none",
        "refuse",
        "mute",
        "deaf",
        "slow",
        "late",
        "thin",
        "down",
        "move",
        "narrow",
        "kill",
        "rest",
        "pause",
    ]
)
EPISODES = st.tuples(
    TROUBLES,
    st.integers(0, 2),  # which venue
    st.sampled_from([0.2, 0.6, 1.5, 4.0, 9.0]),  # for how many seconds
    st.integers(0, 10),  # how much of it
)
SMALLEST = D("0.02")
"""Orders of the hedge venue: less than this stays in the ledger."""


class Story:
    """A strategy through a sequence of troubles; a crowd fills its orders in pieces that `pieces` says, every 300 ms."""

    def __init__(self, kind: str, params: dict[str, Any], pieces: list[int], clip: str, *, third: bool) -> None:
        self.rig = TwoVenues({**params, "on_unexpected": "continue"}, kind=kind, clip=clip, third=third)
        self._pieces = pieces
        self._count = 0
        self.rig.on_step = self._crowd
        self.rig.start()

    def _crowd(self) -> None:
        self._count += 1
        lead = self.rig.lead
        if self._count % 3 or not lead.up:
            return
        piece = D(self._pieces[self._count // 3 % len(self._pieces)]) / 100
        for order in lead.live():
            if order not in lead.live():  # a fill of the other side had it withdrawn
                continue
            left = order.qty - lead.orders[order.client_order_id].filled
            self.rig.fill(lead, order, str(min(left, piece)))

    def befall(self, trouble: str, who: int, seconds: float, much: int) -> None:
        rig = self.rig
        faces = list(rig.faces.values())
        face = faces[who % len(faces)]
        match trouble:
            case "refuse":
                face.refuses = "no"
            case "mute":
                face.answers = False
            case "deaf":
                face.accepts = False
            case "slow":
                face.latency_s = 0.05 + much / 4
            case "late":
                face.fills_late_s = 0.5 + much / 2
            case "thin":
                face.take_share = D(much) / 10
            case "down":
                rig.link(face, up=False)
            case "move":
                face.mid += D(much - 5)
            case "narrow":
                face.half_ticks = 1 + much
            case "rest":
                rig.checkpoint()
            case "kill":
                rig.kill_at = rig.steps + 1 + 3 * much
        rig.operate(trouble if trouble == "pause" else "resume")
        rig.run(seconds)
        if not rig.alive:
            rig.restart()
        rig.kill_at = 0
        rig.heal()
        if rig.question:
            rig.operate("answer", answer="continue")

    def calm_down(self) -> None:
        rig = self.rig
        rig.operate("pause")
        rig.until(lambda: not rig.lead.live() and abs(rig.delta) < 2 * SMALLEST and self.is_quiet, 120)
        rig.run(12)  # two passes over the accounts: nothing is found that was not known

    @property
    def is_quiet(self) -> bool:
        table = self.rig.engine.world.table
        return self.rig.status().get("hedge") == "calm" and not table.live()


@settings(derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(EPISODES, min_size=2, max_size=12),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.sampled_from(["0.5", "0.2", "0.05"]),
    st.booleans(),
    st.sampled_from(["skip", "take"]),
)
def test_never_more_than_a_clip_is_unhedged_and_nothing_is_lost(
    episodes: list[tuple[str, int, float, int]], pieces: list[int], clip: str, third: bool, on_timeout: str
) -> None:
    maker = {"timeout_s": 2, "reprices": 1, "on_timeout": on_timeout, "stability_s": 0}
    params = {"mode": "alternate", "size": "0.5", "clip": clip, "iterations": 50, "maker": maker}
    live(Story("pair", params, pieces, clip, third=third), episodes)


@settings(derandomize=True, deadline=None, max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(EPISODES, min_size=2, max_size=12), st.lists(st.integers(1, 60), min_size=1, max_size=5), st.booleans())
def test_no_more_than_a_quote_is_unhedged_where_markets_are_made(
    episodes: list[tuple[str, int, float, int]], pieces: list[int], third: bool
) -> None:
    live(Story("cross_maker", {"qty": "0.3", "max_qty": "1"}, pieces, "0.3", third=third), episodes)


@settings(derandomize=True, deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(EPISODES, st.sampled_from([0.0, 0.55, 0.8, 0.95])), min_size=3, max_size=8),
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.sampled_from(["pair", "cross_maker"]),
)
def test_no_more_than_a_clip_is_unhedged_while_a_loss_limit_is_used_up(
    episodes: list[tuple[tuple[str, int, float, int], float]], pieces: list[int], kind: str
) -> None:
    maker = {"timeout_s": 2, "reprices": 1, "stability_s": 0}
    pair = {"mode": "build_hold_close", "hold_min": 0.1, "size": "0.5", "clip": "0.2", "iterations": 5, "maker": maker}
    params = pair if kind == "pair" else {"qty": "0.2", "max_qty": "1"}
    used = {"part": 0.0}
    with patch.object(SlotContext, "loss_used", lambda _: used["part"]):
        story = Story(kind, params, pieces, "0.2", third=False)
        for episode, used["part"] in episodes:
            story.befall(*episode)
        live(story, [])


def live(story: Story, episodes: list[tuple[str, int, float, int]]) -> None:
    """Play the episodes, with the bound checked after each event by the lab; then judge what is left."""
    for episode in episodes:
        story.befall(*episode)
    story.calm_down()
    assert abs(story.rig.delta) < 2 * SMALLEST
    assert_sums_are_the_venues(story.rig)
    assert not story.rig.told("strategy_failed")
    assert not story.rig.told("pair_surprised")

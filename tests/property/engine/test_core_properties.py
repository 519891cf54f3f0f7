"""Whatever is done to an engine: its books are the venue's once things are quiet, and no limit is passed on the way."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, LIMITS, MAIN, Rig

from perpmaker.engine.records import FillBooked, Intent
from perpmaker.model.commands import ReplaceOrders, SubmitOrders
from perpmaker.model.events import Channel
from perpmaker.model.order import Side

SPEC = made(lambda params: Maker(params, layers=3))
ACTIONS = st.sampled_from(
    [
        "fill", "fill", "fill", "partial", "up", "down", "jump", "mute", "speak", "lose", "take", "private_down",
        "private_up", "stale", "pause", "resume", "blind", "see", "restart", "checkpoint", "wait", "silence",
    ]
)  # fmt: skip


class Story:
    """An engine through a sequence of misfortunes, over several lives."""

    def __init__(self) -> None:
        self.rig = Rig(SPEC).start()
        self.checkpoint: bytes | None = None
        self.since = 0
        self.sent: list[int] = []
        self.numbers: list[int] = []

    def act(self, action: str, pick: int) -> None:
        rig = self.rig
        live = rig.live()
        if action in ("fill", "partial") and live:
            order = live[pick % len(live)]
            left = order.qty - rig.orders[order.client_order_id].filled
            rig.fill(order, left if action == "fill" or left < Decimal("0.004") else Decimal("0.003"))
        elif action in ("up", "down", "jump"):
            rig.mid[BTC] += {"up": 8, "down": -8, "jump": 150}[action]
        elif action in ("mute", "speak"):
            rig.answers = action == "speak"
        elif action in ("lose", "take"):
            rig.accepts = action == "take"
        elif action in ("blind", "see"):
            rig.reads = action == "see"
        elif action in ("private_down", "private_up"):
            rig.link(MAIN, Channel.PRIVATE, up=action == "private_up")
        elif action in ("pause", "resume"):
            rig.operate(action)
        elif action == "checkpoint":
            self.checkpoint, self.since = rig.engine.checkpoint(), len(rig.journal)
        elif action == "restart":
            self.restart()
        elif action == "silence":
            rig.run(2.5, market=False)
        rig = self.rig
        rig.run(0.3)
        self.watch()

    def restart(self) -> None:
        """A kill, and the next life from the last checkpoint and the journal after it."""
        before = self.rig
        self.note()
        rig = Rig(SPEC, epoch=before.spec.epoch + 1, venue=before)
        rig.engine.restore(self.checkpoint, before.journal[self.since :])
        rig.journal = before.journal
        rig.commands = []
        self.rig = rig
        rig.start(ready=False)

    def note(self) -> None:
        for command in self.rig.commands:
            if isinstance(command, SubmitOrders | ReplaceOrders):
                self.sent += [int(approved.order.client_order_id) for approved in command.orders]

    def watch(self) -> None:
        """What must hold at every instant."""
        world = self.rig.engine.world
        exposure = world.table.exposure(MAIN, BTC)
        position = world.account_books[MAIN].position_qty(BTC)
        worst = max(position + exposure.buy_qty, exposure.sell_qty - position)
        # a cancelled quote may fill while its replacement stands: what passed the gate was inside when it passed
        assert worst * self.rig.mid[BTC] <= LIMITS.max_position_notional * Decimal("1.02")
        bid, ask = world.table.best_own_px(BTC, Side.BUY), world.table.best_own_px(BTC, Side.SELL)
        assert bid is None or ask is None or bid < ask
        self.rig.engine.assert_identity()

    def quiet(self) -> None:
        """Everything works again, and there is time."""
        rig = self.rig
        rig.answers = rig.accepts = rig.reads = True
        rig.link(MAIN, Channel.PRIVATE)
        rig.run(40)
        rig.operate("resume")
        rig.run(10)
        self.watch()


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.lists(st.tuples(ACTIONS, st.integers(0, 5)), min_size=5, max_size=25))
def test_after_any_story_the_books_are_the_venues(story: list[tuple[str, int]]) -> None:
    told = Story()
    for action, pick in story:
        told.act(action, pick)
    told.quiet()
    told.note()
    rig, world = told.rig, told.rig.engine.world
    # every fill once, numbered without a break
    booked = [record for record in rig.journal if isinstance(record, FillBooked)]
    assert sorted(r.fill.trade_id for r in booked) == sorted(fill.trade_id for fill in rig.fills)
    assert [r.number for r in booked] == list(range(1, len(booked) + 1))
    # position and open orders
    assert world.account_books[MAIN].position_qty(BTC) == rig.positions.get(BTC, Decimal(0))
    assert {o.client_order_id for o in world.table.live(MAIN)} == {o.client_order_id for o in rig.live()}
    assert world.table.unsettled(MAIN) == []
    # every order at the venue had its intent, and no id was used twice
    assert len(told.sent) == len(set(told.sent))
    intents = {int(record.order.client_order_id) for record in rig.journal if isinstance(record, Intent)}
    assert {int(number) for number in rig.orders} <= intents
    # and it trades again
    assert rig.engine.ready
    assert rig.quotes(), rig.notices()[-5:]

"""What makers and grids do as a loss limit of their account is used up."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any

import pytest
from tests.unit.engine.rig import BTC as NAME
from tests.unit.strategies.grid.grid_rig import GridRig

from perpmaker.model.quote import Sweep
from perpmaker.strategies.caution import Caution
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.registry import parse_params

from .fake_context import FakeContext, book, perp

BTC = perp()
ID = BTC.instrument_id


def test_tiers_begin_at_their_part_and_end_a_little_below() -> None:
    caution = Caution()
    seen = [caution.update(used) for used in (0.2, 0.5, 0.46, 0.44, 0.76, 0.71, 0.69, 0.95, 0.86, 0.84, 0.1)]
    assert [tier.name for tier in seen] == [
        "FREE", "WIDEN", "WIDEN", "FREE", "REDUCE", "REDUCE", "WIDEN", "FLATTEN", "FLATTEN", "REDUCE", "FREE",
    ]  # fmt: skip
    assert caution.text == ""


def _maker(used: float, position: str = "0.02") -> tuple[FakeContext, MarketMaker]:
    quoting = {"model": "fixed", "half_spread_bps": 4, "layers": 2, "layer_spacing_bps": 2, "order_notional": 300}
    params = parse_params("market_maker", {"instrument": ID, "quoting": quoting, "regime": {"filter": "none"}})
    assert isinstance(params, MarketMakerParams)
    ctx, maker = FakeContext(BTC), MarketMaker(params)
    ctx.hold(ID, position, entry="60000")
    ctx.books[ID] = book(BTC, "59999.9", "60000.1")
    ctx.loss_part = used
    maker.on_start(ctx)
    return ctx, maker


def test_at_a_half_the_maker_stands_wider() -> None:
    ctx, _ = _maker(0.5)
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(6)
    assert ctx.explained[ID]["caution"] == "widen: 50% of a loss limit is used"
    bids = ctx.quotes[ID].bids
    assert float(bids[0].px - bids[1].px) == pytest.approx(60_000 * 3e-4, rel=1e-3)


def test_at_three_quarters_the_maker_only_reduces() -> None:
    ctx, _ = _maker(0.8)
    assert ctx.quotes[ID].bids == ()
    assert sum(quote.qty for quote in ctx.quotes[ID].asks) <= Decimal("0.02")
    assert ctx.targets == []
    assert "only what reduces the position is quoted: 80% of a loss limit is used" in ctx.explained[ID]["reasons"]


def test_at_nine_tenths_the_maker_flattens_and_quotes_nothing() -> None:
    ctx, maker = _maker(0.9)
    assert (ctx.quotes[ID].bids, ctx.quotes[ID].asks) == ((), ())
    assert ctx.targets == [(ID, Decimal(0), Sweep(max_slippage_bps=Decimal(20)))]
    ctx.hold(ID, "0")
    ctx.wait(maker, 3.0)
    assert len(ctx.targets) == 1


def _grid(used: float, monkeypatch: pytest.MonkeyPatch) -> Any:
    from perpmaker.engine.core.context import SlotContext

    part = {"used": 0.0}
    monkeypatch.setattr(SlotContext, "loss_used", lambda _: part["used"])
    rig = GridRig(mode="long", seed=False).start()
    rig.run(1)
    rig.walk(59_390)
    part["used"] = used
    rig.run(10)
    return rig


def test_at_three_quarters_a_grid_opens_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = _grid(0.8, monkeypatch)
    assert rig.position > 0
    assert {order.side.value for order in rig.quotes(NAME)} == {"sell"}
    assert "opens nothing: 80% of a loss limit is used" in rig.explained["reasons"]


def test_at_nine_tenths_a_grid_flattens_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = _grid(0.95, monkeypatch)
    assert (rig.position, rig.live(), rig.explained["phase"]) == (0, [], "stopped")
    (slot,) = rig.engine.world.slots.values()
    assert slot.question.startswith("95% of a loss limit is used")


@pytest.mark.parametrize("seed", [True, False])
@pytest.mark.parametrize("used", [0.8, 0.95])
def test_a_grid_that_holds_nothing_does_not_begin_while_a_limit_is_nearly_used_up(
    used: float, seed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perpmaker.engine.core.context import SlotContext

    part = {"used": used}
    monkeypatch.setattr(SlotContext, "loss_used", lambda _: part["used"])
    rig = GridRig(mode="long", seed=seed).start()
    rig.run(5)
    assert (rig.orders, rig.position, rig.explained["phase"]) == ({}, 0, "waiting")
    assert rig.explained["reasons"] == (f"opens nothing: {used:.0%} of a loss limit is used",)
    part["used"] = 0.1
    rig.run(5)
    assert rig.explained["phase"] == "working"
    assert bool(rig.position) is seed


def test_seeding_ends_where_it_is_at_three_quarters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The book shows a part of what is wanted at a time; with the first of it the figure rises."""
    from perpmaker.engine.core.context import SlotContext

    rig = GridRig(mode="long", order_notional=450)
    monkeypatch.setattr(rig, "book", functools.partial(rig.book, depth=1))
    limit = {"used": 0.0}
    monkeypatch.setattr(SlotContext, "loss_used", lambda _: limit["used"] if rig.position else 0.0)
    rig.start()
    rig.run(30)
    wanted = rig.position
    limit["used"] = 0.8
    rig = GridRig(mode="long", order_notional=450)
    monkeypatch.setattr(rig, "book", functools.partial(rig.book, depth=1))
    rig.start()
    rig.run(30)
    assert 0 < rig.position < wanted
    assert rig.explained["phase"] == "working"
    assert {order.side.value for order in rig.quotes(NAME)} == {"sell"}


def test_a_figure_that_is_no_number_counts_as_three_quarters() -> None:
    caution = Caution()
    assert caution.update(float("nan")).name == "REDUCE"
    assert caution.update(float("inf")).name == "REDUCE"

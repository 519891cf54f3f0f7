"""The market maker in the engine, in virtual time: what only shows there."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.unit.engine.rig import BTC, ETH, Rig, instrument, strategy_spec

from perpmaker.model.events import BookSnapshot, InstrumentListed
from perpmaker.model.order import Side
from perpmaker.strategies.market_maker import MarketMaker
from perpmaker.strategies.registry import parse_params

QUOTING = {"model": "fixed", "half_spread_bps": 2, "layers": 2, "layer_spacing_bps": 2, "order_notional": 300}


def _rig(**tables: Any) -> Rig:
    params: Any = parse_params("market_maker", {"instrument": BTC, "quoting": QUOTING, **tables})
    rig = Rig(strategy_spec(lambda: MarketMaker(params))).start()
    rig.run(1)
    return rig


def _told(rig: Rig) -> dict[str, Any]:
    (slot,) = rig.engine.world.slots.values()
    return dict(slot.explained[BTC])


def test_a_fill_is_followed_by_its_layer_for_its_markouts() -> None:
    rig = _rig()
    order = next(order for order in rig.quotes(BTC, Side.BUY) if order.tag == "quote bid 1")
    rig.fill(order)
    rig.run(2)
    assert _told(rig)["markout_1s_bid_bps"] > 0
    (slot,) = rig.engine.world.slots.values()
    assert isinstance(slot.strategy, MarketMaker)
    assert slot.strategy._markouts.mean_bps(1, Side.BUY, 1) is not None


def test_a_stop_loss_flattens_the_position_and_rests() -> None:
    rig = _rig(protection={"stop_loss_bps": 20, "rest_s": 5})
    for order in rig.quotes(BTC, Side.BUY):
        rig.fill(order)
    assert rig.positions[BTC] > 0
    rig.mid[BTC] -= 150
    rig.run(4)
    assert rig.positions[BTC] == 0
    assert rig.live() == []
    rig.run(8)
    assert len(rig.live()) == 4
    assert rig.engine.assert_identity() == 1


def test_it_counts_the_ends_of_its_orders() -> None:
    rig = _rig()
    for step in range(6):
        rig.mid[BTC] += 60 * (-1) ** step
        rig.run(1.5)
    assert "ended: 100% unfilled" in _told(rig)["order_quality"]


def test_another_market_leads_it() -> None:
    rig = _rig(reference={"instrument": ETH, "weight": 1.0, "max_age_s": 30})
    rig.feed(InstrumentListed(instrument(ETH), rig.now_ns))
    for mid in (30_000, 30_000, 30_015):
        rig.feed(BookSnapshot(ETH, ((mid - 1, 10),), ((mid + 1, 10),), rig.now_ns, rig.now_ns))
        rig.tick(ETH)
        rig.run(1)
    assert 4.5 < _told(rig)["lead_shift_bps"] <= 5.0
    assert Decimal(str(_told(rig)["fair"])) > 60_020

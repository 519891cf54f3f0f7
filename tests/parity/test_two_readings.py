"""The simulated gateway against the practice exchange's replay: the same recording, the same orders, the same fills."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.parity.two_readings import Fills, by_exchange, by_simulation, plan, without_tickers
from tests.scenario.market_lab import REAL_TAPE

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.simulation import Chance, QueueModel
from perpmaker.tape.binance import DepthSnapshot, DepthUpdate, Row, Trade, read_capture

BEGIN_NS = 1_700_000_000 * NS_PER_S


def lots(fills: Fills, number: int) -> int:
    return sum(qty for _, qty in fills.get(number, []))


def quiet_market(seed: int, seconds: int) -> list[Row]:
    """A recording in which nobody cancels: levels shrink by what trades and grow by what is added, and the mid wanders."""
    chance = Chance(seed)
    bids = {600_000 - n: 20 + 5 * n for n in range(30)}
    asks = {600_001 + n: 20 + 5 * n for n in range(30)}
    rows: list[Row] = [DepthSnapshot(BEGIN_NS, 0, 1, _stated(bids, reverse=True), _stated(asks))]
    for step in range(seconds * 20):
        at_ns = BEGIN_NS + (step + 1) * 50 * NS_PER_MS
        sells = chance.below(2) == 0
        levels = bids if sells else asks
        changed: dict[int, int] = {}
        left = 1 + chance.below(25)
        while left:
            px = max(levels) if sells else min(levels)
            taken = min(left, levels[px])
            rows.append(
                Trade(at_ns, 0, "BTCUSDT", len(rows), Decimal(px) / 10, Decimal(taken) / 1000, is_buyer_maker=sells)
            )
            levels[px] -= taken
            left -= taken
            changed[px] = levels[px]
            if not levels[px]:
                del levels[px]
        joined = (max(bids) + chance.below(2), bids) if chance.below(2) else (min(asks) - chance.below(2), asks)
        px, side = joined
        if max(bids) < px < min(asks) or px in side:
            side[px] = side.get(px, 0) + 10
        told = ({}, changed) if not sells else (changed, {})
        stated = [dict(one) for one in told]
        stated[0 if side is bids else 1][px] = side.get(px, 0)
        update = DepthUpdate(
            at_ns + NS_PER_MS, 0, "BTCUSDT", step + 2, step + 2, step + 1, _stated(stated[0]), _stated(stated[1])
        )
        rows.append(update)
    return rows


def _stated(levels: dict[int, int], *, reverse: bool = False) -> tuple[tuple[Decimal, Decimal], ...]:
    return tuple((Decimal(px) / 10, Decimal(qty) / 1000) for px, qty in sorted(levels.items(), reverse=reverse))


@pytest.mark.parametrize(
    ("seed", "side", "away"), [(1, Side.BUY, 0), (2, Side.SELL, 0), (3, Side.BUY, 2), (4, Side.SELL, 1)]
)
def test_where_nobody_cancels_both_fill_the_same_lots_at_the_same_times(seed: int, side: Side, away: int) -> None:
    rows = quiet_market(seed, 60)
    planned = plan(rows, side, away)
    theirs = by_exchange(rows, planned, side)
    assert sum(lots(theirs, number) for number in theirs) > 50
    for queue in QueueModel:
        assert by_simulation(rows, planned, side, queue) == theirs


@pytest.mark.skipif(not REAL_TAPE.exists(), reason="../shared/data is absent")
@pytest.mark.parametrize(("side", "away"), [(Side.BUY, 0), (Side.SELL, 5)])
def test_on_the_real_tape_they_differ_only_by_what_cancels_before_an_order_say(side: Side, away: int) -> None:
    """The exchange lets a shrinking level never help; here an order is never further back than what is displayed."""
    rows = without_tickers(read_capture(REAL_TAPE), 60)
    planned = plan(rows, side, away)
    theirs, ours = by_exchange(rows, planned, side), by_simulation(rows, planned, side, QueueModel.RISK_AVERSE)
    orders = {one.number for one in planned}
    same = [number for number in orders if lots(ours, number) == lots(theirs, number)]
    assert len(same) >= 0.95 * len(orders)
    assert sum(lots(ours, number) for number in orders) == pytest.approx(sum(lots(theirs, n) for n in orders), rel=0.1)
    behind = [number for number in orders if lots(ours, number) < lots(theirs, number)]
    assert behind == []

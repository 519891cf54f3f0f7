from __future__ import annotations

from decimal import Decimal

import pytest

from perpmaker.engine.core import FeeRates
from perpmaker.engine.core.fees import Fees
from perpmaker.model.events import Channel
from perpmaker.model.order import Side

from .grid_rig import BTC, GridRig, around

LINES = [59_000.0 + 200 * n for n in range(11)]


def _started(**keys: object) -> GridRig:
    rig = GridRig(**keys).start()
    rig.run(1)
    return rig


def _reasons(rig: GridRig) -> list[str]:
    return list(rig.explained["reasons"])


def test_a_neutral_grid_bids_below_the_price_and_offers_above_with_the_nearest_line_empty() -> None:
    rig = _started()
    assert rig.prices(Side.BUY) == LINES[4::-1]
    assert rig.prices(Side.SELL) == LINES[6:]
    assert rig.position == 0


def test_a_filled_level_places_its_opposite_one_line_away() -> None:
    rig = _started()
    rig.walk(59_790)
    assert rig.position == Decimal("0.003")
    assert rig.prices(Side.BUY) == LINES[3::-1]
    assert rig.prices(Side.SELL) == [60_000.0, *LINES[6:]]


def test_a_closed_level_is_stated_again_and_has_earned_its_step() -> None:
    rig = _started()
    rig.walk(59_790, 60_010)
    assert rig.position == 0
    assert rig.prices(Side.BUY) == LINES[4::-1]
    cell = rig.cells.cells[4]
    assert (cell.cycles, cell.profit) == (1, Decimal("0.003") * 200)
    assert cell.fees == Decimal("0.003") * (59_800 + 60_000) * Decimal("0.0001")


def test_a_short_level_mirrors_a_long_one() -> None:
    rig = _started()
    rig.walk(60_210)
    assert rig.position == Decimal("-0.003")
    rig.walk(59_990)
    assert rig.position == 0
    assert (rig.cells.cells[5].cycles, rig.cells.cells[5].profit) == (1, Decimal("0.003") * 200)


def test_levels_are_static_while_the_price_moves_between_them() -> None:
    rig = _started()
    before = {order.client_order_id for order in rig.live()}
    rig.walk(60_100, 59_900, 60_050)
    assert {order.client_order_id for order in rig.live()} == before


def test_orders_carry_their_level_in_their_tag_and_never_take() -> None:
    rig = _started()
    assert all(order.post_only for order in rig.live())
    assert {order.tag for order in rig.quotes(BTC, Side.BUY)} == {f"quote bid {n}" for n in range(5)}


def test_grid_profit_and_inventory_pnl_are_told_apart_and_sum_to_the_whole() -> None:
    rig = _started()
    rig.walk(59_390, 59_810, 59_510, 60_690)
    told = rig.explained
    totals = rig.cells.totals(rig.mid[BTC])
    assert told["grid_profit"] == float(totals.profit) > 0
    assert told["inventory_pnl"] == float(totals.inventory_pnl)
    assert totals.profit + totals.inventory_pnl == rig.cash() + rig.position * rig.mid[BTC]
    assert totals.fees == sum(fill.fee for fill in rig.fills)
    assert told["grid_cycles"] == sum(cell.cycles for cell in rig.cells.cells)
    assert len(told["grid_levels"]) == 10


def test_a_partly_filled_level_sells_what_it_has_and_goes_on_buying_the_rest() -> None:
    rig = _started(order_notional=600)
    bid = next(order for order in rig.live() if order.px == 59_800)
    rig.fill(bid, Decimal("0.004"))
    rig.run(1)
    sells = [order for order in rig.quotes(BTC, Side.SELL) if order.px == 60_000]
    assert [order.qty for order in sells] == [Decimal("0.004")]
    assert bid.client_order_id in {order.client_order_id for order in rig.live()}, "the rest keeps its place"


def test_at_most_so_many_orders_stand_a_side_the_nearest() -> None:
    rig = _started(orders_per_side=2)
    assert rig.prices(Side.BUY) == LINES[4:2:-1]
    assert rig.prices(Side.SELL) == LINES[6:8]
    rig.walk(59_790)
    assert rig.prices(Side.BUY) == LINES[3:1:-1]


def test_a_line_too_far_away_waits_until_the_price_is_nearer() -> None:
    rig = _started(max_distance_bps=90)
    assert rig.prices(Side.BUY) == [59_800.0, 59_600.0]
    rig.walk(59_810)
    assert rig.prices(Side.BUY) == [59_800.0, 59_600.0, 59_400.0]


@pytest.mark.parametrize(
    ("mode", "seeded", "bids", "asks"),
    [("long", "0.015", LINES[4::-1], LINES[6:]), ("short", "-0.015", LINES[4::-1], LINES[6:])],
)
def test_a_one_sided_grid_is_seeded_with_what_the_far_side_closes(
    mode: str, seeded: str, bids: list[float], asks: list[float]
) -> None:
    rig = _started(mode=mode)
    rig.run(5)
    assert rig.position == Decimal(seeded)
    assert rig.prices(Side.BUY) == bids
    assert rig.prices(Side.SELL) == asks
    rig.walk(61_010 if mode == "long" else 58_990)
    assert rig.position == 0


def test_without_a_seed_a_long_grid_offers_nothing_it_does_not_have() -> None:
    rig = _started(mode="long", seed=False)
    rig.run(5)
    assert rig.position == 0
    assert rig.prices(Side.SELL) == []
    assert rig.prices(Side.BUY) == LINES[5::-1]
    rig.walk(60_390)
    assert rig.prices(Side.BUY) == LINES[6::-1], "levels that the price has passed may rest now"


def test_a_grid_that_became_flat_is_seeded_again_when_so_asked() -> None:
    for reseed, held in ((True, "0.006"), (False, "0")):
        rig = _started(mode="long", reseed=reseed, out_of_range_s=0)
        rig.run(5)
        rig.walk(61_010)
        assert rig.position == 0
        rig.jump(60_550)
        rig.run(5)
        assert rig.position == Decimal(held)


def test_it_begins_when_the_price_is_where_it_is_activated() -> None:
    rig = _started(activate_below_px=59_950)
    assert rig.live() == []
    assert _reasons(rig) == ["begins at 59950 or below"]
    rig.walk(59_940)
    assert rig.live()
    rig.walk(60_100)
    assert rig.live(), "once begun it goes on"
    rig = _started(activate_above_px=60_050)
    assert _reasons(rig) == ["begins at 60050 or above"]
    rig.walk(60_060)
    assert rig.live()


def test_a_step_that_does_not_pay_both_fees_is_refused() -> None:
    narrow = around(width_bps=30, count=10)
    rig = GridRig(**narrow)
    rig.engine.world.fees = Fees({BTC: FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005"))})
    rig.start()
    rig.run(1)
    assert rig.live() == []
    assert _reasons(rig) == [
        "the narrowest step of 3.00 bps does not pay: two maker fees of 2 bps and min_profit_bps 0.5 need 4.50"
    ]
    assert _started(**narrow, assumed_maker_fee_bps=0).live(), "without a fee it pays"
    assert "two maker fees of 2 bps" in _reasons(_started(**narrow))[0], "one that nobody has told is assumed"
    assert _started(**narrow, min_profit_bps=20).live() == []


def test_a_grid_larger_than_the_position_limit_is_refused() -> None:
    rig = _started(order_notional=2_000)
    assert rig.live() == []
    assert _reasons(rig)[0].startswith("filled to one end it holds 9")


def test_an_order_notional_below_the_venues_minimum_is_refused() -> None:
    rig = _started(order_notional=20)
    assert _reasons(rig)[0].startswith("order_notional = 20 is below the venue's minimum")


@pytest.mark.parametrize("policy", ["hold", "stop", "flatten", "trail", "recentre"])
def test_inside_its_grace_nothing_happens_out_of_range(policy: str) -> None:
    keys = around(width_bps=300) if policy == "recentre" else {}
    rig = _started(out_of_range=policy, out_of_range_s=1000, **keys)
    rig.walk(58_900)
    assert rig.explained["phase"] == "working"
    assert _reasons(rig)[0].startswith("below the grid")
    assert rig.position > 0


def test_holding_it_waits_with_its_orders_in_place() -> None:
    rig = _started(out_of_range_s=1)
    rig.walk(58_900)
    rig.run(5)
    assert _reasons(rig) == ["below the grid"]
    assert rig.prices(Side.SELL)[:1] == [59_200.0]
    rig.walk(60_010)
    assert rig.position == 0


def test_stopping_it_withdraws_everything_keeps_the_position_and_asks() -> None:
    rig = _started(out_of_range="stop", out_of_range_s=1)
    rig.walk(58_900)
    rig.run(3)
    held = rig.position
    assert held > 0
    assert rig.live() == []
    (slot,) = rig.engine.world.slots.values()
    assert slot.question.startswith("The price left the grid")
    rig.walk(60_000)
    assert (rig.live(), rig.position) == ([], held)


def test_an_answer_lays_a_stopped_grid_around_the_price_anew_with_what_it_holds() -> None:
    rig = _started(**around(width_bps=300, out_of_range="stop", out_of_range_s=1))
    rig.walk(58_900)
    rig.run(3)
    held = rig.position
    rig.operate("answer", strategy="btc", answer="continue")
    rig.run(3)
    assert rig.explained["phase"] == "working"
    assert float(rig.explained["grid_lower"]) < 58_900 < float(rig.explained["grid_upper"])
    assert rig.cells.held == held == rig.position
    assert rig.live()


def test_flattening_it_closes_the_position_and_stops() -> None:
    rig = _started(out_of_range="flatten", out_of_range_s=1)
    rig.walk(58_900)
    rig.run(10)
    assert rig.position == 0
    assert rig.cells.held == 0
    assert (rig.live(), rig.explained["phase"]) == ([], "stopped")


def test_trailing_it_follows_with_its_lines_and_keeps_their_number() -> None:
    rig = _started(mode="long", out_of_range="trail", out_of_range_s=1)
    rig.run(5)
    rig.walk(61_350)
    rig.run(3)
    assert (rig.cells.lower_px, rig.cells.upper_px, len(rig.cells.cells)) == (Decimal(59_400), Decimal(61_400), 10)
    assert rig.prices(Side.BUY)[0] == 61_200.0
    assert rig.cells.held == rig.position == 0


def test_trailing_keeps_what_the_dropped_cells_held_and_earned() -> None:
    rig = _started(out_of_range="trail", out_of_range_s=1)
    rig.walk(59_390, 59_810, 58_700)
    rig.run(3)
    assert rig.cells.lower_px < 58_700
    assert rig.cells.held == rig.position > 0
    totals = rig.cells.totals(rig.mid[BTC])
    assert totals.profit + totals.inventory_pnl == rig.cash() + rig.position * rig.mid[BTC]


def test_an_order_of_before_the_lines_moved_is_booked_by_its_price() -> None:
    rig = _started(out_of_range="trail", out_of_range_s=1)
    rig.walk(60_190)
    old = next(order for order in rig.live() if order.px == 60_200)
    rig.accepts = False
    rig.jump(61_700)
    rig.run(3)
    assert rig.cells.upper_px > 61_700
    for _ in range(2):
        rig.fill(old, Decimal("0.001"))
    rig.run(1)
    (cell,) = [cell for cell in rig.cells.cells if cell.open_qty]
    assert (cell.upper_px, cell.side, cell.open_qty) == (60_200, Side.SELL, Decimal("0.002"))


def test_recentring_it_lays_the_grid_around_the_price_with_the_old_inventory_at_its_own_price() -> None:
    rig = _started(**around(width_bps=300, out_of_range="recentre", out_of_range_s=1))
    rig.walk(58_900)
    rig.run(3)
    assert rig.cells.lower_px < 58_900 < rig.cells.upper_px
    assert rig.cells.held == rig.position > 0
    assert max(cell.open_px for cell in rig.cells.cells) > rig.cells.upper_px
    totals = rig.cells.totals(rig.mid[BTC])
    assert totals.profit + totals.inventory_pnl == rig.cash() + rig.position * rig.mid[BTC]


def test_a_volatility_scaled_grid_measures_first() -> None:
    rig = _started(**around(spacing="volatility", count=6, volatility_mult=20, min_profit_bps=0))
    assert _reasons(rig)[0].startswith("volatility is being measured")
    for _ in range(35):
        rig.walk(60_004, 60_000)
    assert rig.live()
    assert len(rig.cells.cells) == 6


def test_a_position_of_before_the_grid_is_taken_over() -> None:
    rig = GridRig()
    rig.positions[BTC] = Decimal("0.006")
    rig.start()
    rig.run(3)
    assert rig.cells.held == Decimal("0.006")
    assert sum(order.qty for order in rig.quotes(BTC, Side.SELL) if order.px <= 60_400) == Decimal("0.006")


def test_a_position_that_a_person_changed_is_followed() -> None:
    rig = _started()
    rig.walk(59_590)
    assert rig.position == Decimal("0.006")
    rig.operate("pause")
    rig.operate("close")
    rig.run(6)
    assert rig.position == 0
    assert rig.cells.held == 0
    rig.operate("resume")
    rig.run(2)
    assert rig.prices(Side.BUY)[0] == 59_400.0


def test_a_lost_book_withdraws_the_levels_and_they_come_back() -> None:
    rig = _started()
    rig.link("grvt", Channel.MARKET_DATA, up=False)
    rig.run(1, market=False)
    assert rig.live() == []
    rig.link("grvt", Channel.MARKET_DATA)
    rig.run(2)
    assert len(rig.live()) == 10


def test_a_stop_loss_closes_the_position_and_asks() -> None:
    rig = _started(mode="long", seed=False, stop_loss=8)
    rig.walk(59_390)
    assert rig.position > 0
    assert rig.explained["phase"] == "working"
    assert rig.explained["stop_loss"].endswith("so far, closes at -8")
    rig.jump(58_000)
    rig.run(10)
    assert (rig.position, rig.cells.held, rig.live()) == (0, 0, [])
    assert (rig.explained["phase"], rig.notices("grid_stop_loss")[0].fields["stop_loss"]) == ("stopped", "8")
    (slot,) = rig.engine.world.slots.values()
    assert slot.question.startswith("Stop loss, it lost ")


def test_after_an_answer_a_stop_loss_counts_anew() -> None:
    rig = _started(mode="long", seed=False, stop_loss=8, **around(width_bps=300, spacing="arithmetic"))
    rig.walk(59_390)
    rig.jump(58_000)
    rig.run(10)
    rig.operate("answer", strategy="btc", answer="continue")
    rig.run(5)
    assert rig.explained["phase"] == "working"
    assert rig.explained["stop_loss"].startswith(("+0.00", "-0.00"))
    assert rig.live()


def test_a_stop_loss_survives_a_restart() -> None:
    rig = _started(mode="long", seed=False, stop_loss=30)
    rig.walk(59_390)
    again = GridRig(before=rig).start()
    again.run(2)
    assert again.explained["stop_loss"] == rig.explained["stop_loss"]
    again.jump(55_000)
    again.run(10)
    assert (again.position, again.explained["phase"]) == (0, "stopped")


def test_cells_as_a_share_of_equity_are_laid_out_with_the_equity_of_the_moment() -> None:
    rig = _started(order_equity_frac=0.005)
    equity = rig.engine.world.equity()
    assert equity is not None
    wanted = float(equity) * 0.005
    for cell in rig.cells.cells:
        assert wanted * 0.9 <= float(cell.qty * cell.opening_px) <= wanted * 1.001


def test_a_share_that_is_too_small_says_so() -> None:
    rig = _started(order_equity_frac=0.0001)
    assert "order_equity_frac = 0.0001 makes cells of" in _reasons(rig)[0]
    assert rig.live() == []

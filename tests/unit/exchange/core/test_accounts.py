"""Money: fees, average entry, realised and unrealised PnL, margin, funding, histories."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.exchange.core.desk import (
    ALICE,
    BOB,
    BTC,
    BUY,
    ETH,
    HOUR_NS,
    SELL,
    START_NS,
    Desk,
)

from perpmaker.exchange.core.fees import SEEN_LIVE, TIERS, fee_nano
from perpmaker.exchange.core.types import (
    NANO,
    FundingPaid,
    PositionCloseStatus,
    PositionMarginType,
    Rejection,
    Side,
)


def nano(text: str) -> int:
    return int(Decimal(text) * NANO)


def balance(desk: Desk, account: int = ALICE) -> int:
    view = desk.venue.account(account)
    assert view is not None
    return view.balance_nano


def test_fees_default_to_what_was_seen_live_and_reach_the_balance(desk: Desk) -> None:
    """Taker 0.045 % of 600.001, maker -0.0001 % of 600."""
    desk.maker(SELL, "0.01", "60000.0", account=BOB)
    desk.send(BUY, "0.01", "60000.0")
    (taker,), (maker,) = desk.fills(ALICE), desk.fills(BOB)
    assert (taker.fee_nano, taker.fee_rate_cb) == (nano("0.27"), 450)
    assert (maker.fee_nano, maker.fee_rate_cb) == (nano("-0.0006"), -1)
    assert balance(desk) == nano("100000") - nano("0.27")
    assert balance(desk, BOB) == nano("100000.0006")


def test_fee_tier_of_an_account_is_charged_from_then_on(desk: Desk) -> None:
    desk.venue.set_fee_tier(ALICE, TIERS[9])
    desk.market(BUY, "0.01")
    assert desk.fills()[0].fee_rate_cb == 190
    assert desk.venue.fee_tier(BOB) == SEEN_LIVE


def test_tier_table_is_the_help_centres() -> None:
    assert [(tier.number, tier.maker_cb, tier.taker_cb) for tier in (TIERS[1], TIERS[5], TIERS[9])] == [
        (1, 270, 550),
        (5, 140, 340),
        (9, -30, 190),
    ]


@pytest.mark.parametrize(
    ("notional", "rate_cb", "fee"), [(1, 450, 1), (10**6, -1, -1), (10**6 - 1, -1, 0), (0, 450, 0)]
)
def test_fee_is_rounded_in_the_venues_favour(notional: int, rate_cb: int, fee: int) -> None:
    assert fee_nano(notional, rate_cb) == fee


def test_builder_fee_is_charged_beside_the_trading_fee(desk: Desk) -> None:
    desk.send(BUY, "0.01", "60000.1", builder="0xb", builder_fee_cb=100)
    (fill,) = desk.fills()
    assert (fill.builder_fee_nano, fill.fee_nano) == (nano("0.0600001"), nano("0.27000045"))
    assert balance(desk) == nano("100000") - nano("0.0600001") - nano("0.27000045")


def test_position_averages_its_entries_and_realises_against_them(desk: Desk) -> None:
    desk.quote(SELL, "60000.2", "5")
    desk.market(BUY, "1")
    desk.market(BUY, "1")
    position = desk.venue.position(ALICE, BTC)
    assert position is not None
    assert (position.qty_lots, position.entry_px_nano) == (2000, nano("60000.15"))
    desk.market(SELL, "0.5")
    position = desk.venue.position(ALICE, BTC)
    assert position is not None
    assert (position.entry_px_nano, position.exit_px_nano) == (nano("60000.15"), nano("59999.9"))
    assert position.realized_pnl_nano == desk.fills()[-1].realized_pnl_nano == nano("-0.125")


def test_unrealised_pnl_follows_the_mark_and_is_in_equity(desk: Desk) -> None:
    desk.market(SELL, "1")
    desk.venue.set_mark(BTC, nano("59000"))
    view = desk.venue.account(ALICE)
    assert view is not None
    (position,) = view.positions
    assert position.unrealized_pnl_nano == view.unrealized_pnl_nano == nano("999.9")
    assert view.total_equity_nano == view.balance_nano + nano("999.9")
    assert (position.notional_nano, position.qty_lots) == (-nano("59000"), -1000)
    assert position.roi_cb == round(Decimal("999.9") / Decimal("59999.9") * 10**6)


def test_trade_through_zero_closes_one_position_and_opens_the_next(desk: Desk) -> None:
    desk.quote(BUY, "59999.8", "5")
    desk.market(BUY, "0.5")
    desk.market(SELL, "1.5")
    position = desk.venue.position(ALICE, BTC)
    assert position is not None
    assert (position.qty_lots, position.realized_pnl_nano) == (-1000, 0)
    assert position.entry_px_nano == nano("59999.85")
    (row,) = desk.venue.position_history(ALICE).rows
    assert (row.status, row.is_long, row.closed_lots) == (PositionCloseStatus.CLOSED, True, 500)
    assert row.realized_pnl_nano == nano("-0.1")
    ledger = desk.venue.ledger().accounts[0]
    fees = sum(Decimal(fill.fee) for fill in ledger.fills)
    assert nano(str(fees)) == row.cumulative_fee_nano + position.cumulative_fee_nano


def test_thirds_of_a_position_realise_all_of_its_cost(desk: Desk) -> None:
    """Average entry 60000.1666... is no whole number of nanos: nothing may be lost in rounding."""
    desk.quote(SELL, "60000.2", "5")
    desk.market(BUY, "1")
    desk.market(BUY, "2")
    for _ in range(3):
        desk.quote(BUY, "59999.9", "1")
        desk.market(SELL, "1")
    assert desk.lots() == 0
    fills = desk.fills()
    cash = sum(-fill.side * fill.px_ticks * fill.qty_lots * 10**5 for fill in fills)
    assert sum(fill.realized_pnl_nano for fill in fills) == cash
    assert balance(desk) == nano("100000") + cash - sum(fill.fee_nano for fill in fills)


def test_position_history_tells_partly_closed_positions_apart(desk: Desk) -> None:
    desk.market(BUY, "0.5")
    assert not desk.venue.position_history(ALICE).rows
    desk.market(SELL, "0.2")
    (row,) = desk.venue.position_history(ALICE).rows
    assert (row.status, row.close_mark_nano) == (PositionCloseStatus.PARTIALLY_CLOSED, None)
    assert (row.closed_lots, row.max_lots, row.entry_px_nano) == (200, 500, nano("60000.1"))
    assert row.max_initial_margin_nano == nano("3000.005")
    desk.market(SELL, "0.3")
    (row,) = desk.venue.position_history(ALICE).rows
    assert (row.status, row.close_mark_nano, row.unrealized_pnl_nano) == (
        PositionCloseStatus.CLOSED,
        nano("60000"),
        None,
    )


# margin


def test_order_adjusted_position_is_the_larger_side(desk: Desk) -> None:
    desk.market(BUY, "1")
    desk.maker(BUY, "1", "59000")
    desk.maker(SELL, "4", "61000")
    view = desk.venue.account(ALICE)
    assert view is not None
    assert view.initial_margin_nano == nano("18000")
    assert view.maintenance_margin_nano == nano("600")
    assert view.available_nano == view.total_equity_nano - nano("18000") - min(view.unrealized_pnl_nano, 0)


def test_maintenance_margin_is_that_of_the_bracket_the_notional_is_in(desk: Desk) -> None:
    """9 at 60,000 are 540,000 at 1 %; 11 are 660,000 at 2 % less 6,000, not 6,600 and not 13,200."""
    desk.quote(SELL, "60000.1", "20")
    for lots, needed in (("9", "5400"), ("2", "7200")):
        desk.market(BUY, lots)
        view = desk.venue.account(ALICE)
        assert view is not None
        assert view.maintenance_margin_nano == nano(needed)


def test_reduce_only_orders_need_no_margin(desk: Desk) -> None:
    desk.market(BUY, "1")
    desk.maker(SELL, "1", "61000", reduce_only=True)
    view = desk.venue.account(ALICE)
    assert view is not None
    assert view.initial_margin_nano == nano("6000")


@pytest.mark.parametrize("side", [BUY, SELL])
def test_estimated_liquidation_price_is_where_equity_meets_maintenance(desk: Desk, side: Side) -> None:
    desk.quote(SELL, "60000.1", "20")
    desk.quote(BUY, "59999.9", "20")
    desk.quote(SELL, "2600", "10", instrument=ETH)
    desk.market(BUY, "10", instrument=ETH)
    desk.market(side, "10")
    position = desk.venue.position(ALICE, BTC)
    assert position is not None
    desk.venue.set_mark(BTC, position.est_liquidation_px_nano)
    view = desk.venue.account(ALICE)
    assert view is not None
    assert abs(view.total_equity_nano - view.maintenance_margin_nano) < nano("0.00001")
    moved = side * (nano("60000") - position.est_liquidation_px_nano)
    assert nano("8000") < moved < nano("10000")


@pytest.mark.parametrize(
    ("leverage", "code"),
    [("0", 2100), ("-1", 2100), ("NaN", 2100), ("0.5", 2107), ("50.000001", 2108), ("12.0000001", 2100)],
)
def test_leverage_out_of_bounds_is_refused(desk: Desk, leverage: str, code: int) -> None:
    answer = desk.venue.set_leverage(ALICE, BTC, Decimal(leverage))
    assert isinstance(answer, Rejection)
    assert answer.code == code
    assert desk.venue.leverages(ALICE)[0].leverage_e6 == 10_000_000


def test_leverage_of_an_unknown_instrument_is_3000(desk: Desk) -> None:
    assert desk.venue.set_leverage(ALICE, "DOGE_USDT_Perp", Decimal(5)) == Rejection(3000, "DOGE_USDT_Perp")


def test_leverage_is_kept_per_instrument(desk: Desk) -> None:
    assert desk.venue.set_leverage(ALICE, ETH, Decimal(28)) is None
    rows = {row.instrument: row.leverage_e6 for row in desk.venue.leverages(ALICE)}
    assert rows == {BTC: 10_000_000, ETH: 28_000_000, "SOL_USDT_Perp": 10_000_000}


def test_leverage_is_not_lowered_below_what_the_margin_carries(desk: Desk) -> None:
    desk.maker(BUY, "10", "59000")
    answer = desk.venue.set_leverage(ALICE, BTC, Decimal(5))
    assert isinstance(answer, Rejection)
    assert answer.code == 2100
    assert desk.venue.set_leverage(ALICE, BTC, Decimal(6)) is None


def test_isolated_margin_is_not_offered(desk: Desk) -> None:
    def code() -> int | None:
        answer = desk.venue.set_position_config(ALICE, BTC, PositionMarginType.ISOLATED, Decimal(5))
        return answer.code if answer is not None else None

    assert code() == 2104
    desk.maker(BUY, "0.01", "59000")
    assert code() == 2103
    desk.market(BUY, "0.01")
    assert code() == 2102
    assert desk.venue.set_position_config(ALICE, BTC, PositionMarginType.CROSS, Decimal(5)) is None


# funding


def test_longs_pay_a_positive_rate_and_shorts_receive_it(desk: Desk) -> None:
    desk.market(BUY, "0.5")
    desk.market(SELL, "0.5", account=BOB)
    before = balance(desk), balance(desk, BOB)
    (rate,) = desk.venue.pay_funding(BTC, rate_cb=100)
    desk.collect()
    assert (rate.rate_cb, rate.mark_nano, rate.interval_hours) == (100, nano("60000"), 8)
    assert [event.payment.amount_nano for event in desk.seen(FundingPaid)] == [nano("3"), nano("-3")]
    assert (balance(desk), balance(desk, BOB)) == (before[0] - nano("3"), before[1] + nano("3"))
    position = desk.venue.position(ALICE, BTC)
    assert position is not None
    assert position.cumulative_funding_nano == nano("3")
    (payment,) = desk.venue.funding_payments(ALICE).rows
    assert (payment.amount_nano, payment.currency, payment.tx_id) == (nano("3"), "USDT", 1)


def test_funding_is_settled_every_eight_hours_of_the_day(desk: Desk) -> None:
    first_ns = desk.venue.ticker(BTC).next_funding_ns
    assert first_ns % (8 * HOUR_NS) == 0
    assert START_NS < first_ns <= START_NS + 8 * HOUR_NS
    desk.venue.advance(START_NS + 24 * HOUR_NS)
    rows = desk.venue.funding_history(BTC).rows
    assert [row.funding_ns for row in rows] == [first_ns + n * 8 * HOUR_NS for n in (2, 1, 0)]
    assert [row.rate_cb for row in rows] == [100] * 3
    assert desk.venue.ticker(BTC).next_funding_ns == first_ns + 24 * HOUR_NS


@pytest.mark.parametrize(
    ("mid", "rate_cb"), [("60000", 100), ("60060", 500), ("59940", -500), ("60300", 3000), ("61000", 3000)]
)
def test_funding_rate_follows_the_premium_within_its_cap(mid: str, rate_cb: int) -> None:
    """Premium 0.1 % less the 0.05 % damper is 500 centibeeps; 0.5 %, where samples are held, is capped at 0.3 %."""
    desk = Desk()
    px = Decimal(mid)
    desk.quote(BUY, str(px - 1), "1")
    desk.quote(SELL, str(px + 1), "1")
    for _ in range(10):
        desk.wait_ns(NANO)
        desk.venue.set_index(BTC, nano("60000"))
    assert desk.venue.ticker(BTC).funding_rate_cb == rate_cb


def test_accounts_without_a_position_pay_nothing(desk: Desk) -> None:
    desk.venue.pay_funding()
    desk.collect()
    assert not desk.seen(FundingPaid)
    assert len(desk.venue.funding_history(ETH).rows) == 1


# histories


def test_account_history_is_hourly_and_leaves_idle_hours_out(desk: Desk) -> None:
    desk.wait_ns(2 * HOUR_NS)
    assert not desk.venue.account_history(ALICE).rows
    desk.market(BUY, "0.01")
    desk.wait_ns(2 * HOUR_NS)
    desk.market(SELL, "0.01")
    desk.wait_ns(5 * HOUR_NS)
    rows = desk.venue.account_history(ALICE).rows
    first_hour = START_NS // HOUR_NS + 3
    assert [row.event_ns // HOUR_NS for row in rows] == [first_hour + 2, first_hour + 1, first_hour]
    assert [len(row.positions) for row in rows] == [0, 1, 1]
    assert not desk.venue.account_history(BOB).rows


def test_fill_history_pages_back_without_loss_while_fills_come_in(desk: Desk) -> None:
    for _ in range(5):
        desk.market(BUY, "0.01")
    page = desk.venue.fill_history(ALICE, limit=2)
    seen = [fill.trade_id for fill in page.rows]
    desk.market(BUY, "0.01")
    while page.next_before is not None:
        page = desk.venue.fill_history(ALICE, limit=2, before=page.next_before)
        seen += [fill.trade_id for fill in page.rows]
    assert seen == ["5-1", "4-1", "3-1", "2-1", "1-1"]


def test_histories_are_filtered_by_time_and_instrument(desk: Desk) -> None:
    desk.quote(SELL, "2600", "10", instrument=ETH)
    desk.market(BUY, "0.01")
    middle_ns = desk.venue.now_ns
    desk.wait_ns(NANO)
    desk.market(BUY, "1", instrument=ETH)
    assert [fill.instrument for fill in desk.venue.fill_history(ALICE, start_ns=middle_ns + 1).rows] == [ETH]
    assert [fill.instrument for fill in desk.venue.fill_history(ALICE, end_ns=middle_ns).rows] == [BTC]

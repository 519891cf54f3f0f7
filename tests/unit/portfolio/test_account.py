"""Equity, the day's PnL, peak and drawdown of one account."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from tests.unit.execution.stage import (
    BTC_ID,
    BUY,
    ETH_ID,
    MAIN,
    SELL,
    T0,
    S,
    fill,
    position_report,
    replaced,
    snapshot,
)

from perpmaker.errors import InvariantError
from perpmaker.model.events import FundingPaid, PositionAdjusted
from perpmaker.portfolio.account import AccountBook, AccountState
from perpmaker.portfolio.trades import Booking

D = Decimal
DAY = 86_400 * S


def opened(balance: str = "1000", **figures: object) -> AccountBook:
    account = AccountBook(MAIN)
    account.open(snapshot(balance=balance, **figures))  # type: ignore[arg-type]
    return account


def payment(amount: str, number: str = "f1", currency: str = "USDT") -> FundingPaid:
    return FundingPaid(MAIN, BTC_ID, D(amount), currency, number, T0, T0)


def test_equity_is_balance_and_unrealised_by_the_mark() -> None:
    account = opened()
    account.on_fill(fill(1, "0.01", "60000", fee="0.5"))
    account.on_mark(BTC_ID, D(60_100))
    assert (account.balance, account.unrealized, account.equity) == (D("999.5"), D(1), D("1000.5"))


def test_realised_pnl_fees_and_funding_move_the_balance() -> None:
    account = opened()
    account.on_fill(fill(1, "0.01", "60000", fee="-0.2"))
    account.on_fill(fill(2, "0.01", "60500", SELL, trade="t2", fee="1"))
    account.on_funding(payment("-0.3"))
    assert account.balance == D(1000) + D(5) + D("0.2") - D(1) - D("0.3")
    assert (account.fees, account.funding, account.realized) == (D("0.8"), D("-0.3"), D(5))
    assert account.equity == account.balance
    position = account.position(BTC_ID)
    assert (position.qty, position.fees, position.funding) == (D(0), D("0.8"), D("-0.3"))


def test_equity_is_unknown_while_a_position_has_no_mark() -> None:
    account = opened()
    account.on_fill(fill(1))
    assert (account.equity, account.day_pnl, account.drawdown_frac) == (None, None, None)
    account.on_mark(BTC_ID, D(60_000))
    assert account.equity == D(1000)


@pytest.mark.parametrize("mark", ["NaN", "Infinity", "0", "-5"])
def test_a_mark_that_is_no_price_changes_nothing(mark: str) -> None:
    account = opened()
    account.on_fill(fill(1))
    account.on_mark(BTC_ID, D(60_000))
    account.on_mark(BTC_ID, D(mark))
    assert account.equity == D(1000)


def test_a_fill_is_booked_once() -> None:
    account = opened()
    assert [account.on_fill(fill(1)), account.on_fill(fill(1))] == [Booking.NEW, Booking.DUPLICATE]
    assert account.position_qty(BTC_ID) == D("0.01")
    assert account.volume == D(600)


def test_a_payment_and_an_adjustment_are_booked_once() -> None:
    account = opened()
    assert [account.on_funding(payment("2")), account.on_funding(payment("2"))] == [True, False]
    adjusted = PositionAdjusted(MAIN, BTC_ID, D("-0.5"), D(60_000), "a1", T0)
    assert [account.on_adjustment(adjusted), account.on_adjustment(adjusted)] == [True, False]
    assert (account.position_qty(BTC_ID), account.volume, account.balance) == (D("-0.5"), D(0), D(1002))


def test_fees_in_another_currency_are_kept_apart() -> None:
    account = opened()
    account.on_fill(fill(1, fee="3", fee_currency="GRVT"))
    account.on_funding(payment("1", currency="USDC"))
    assert (account.fees, account.funding, account.balance) == (D(0), D(0), D(1000))
    assert account.other_fees == {"GRVT": D(3), "USDC": D(-1)}


def test_the_first_snapshot_gives_balance_positions_and_fills_already_booked() -> None:
    account = opened(positions=(position_report("0.5", entry="59000"),), fills=(fill(9, trade="old"),))
    assert account.equity == D(1000) + D("0.5") * 1000
    assert account.on_fill(fill(9, trade="old")) is Booking.DUPLICATE
    assert account.lots(BTC_ID).qty == D("0.5")
    with pytest.raises(InvariantError):
        account.open(snapshot())


def test_a_later_snapshot_is_compared_and_never_copied() -> None:
    account = opened()
    assert account.drift(snapshot(balance="990")) == D(-10)
    assert account.balance == D(1000)


def test_the_days_pnl_starts_anew_at_midnight_utc() -> None:
    account = opened()
    account.on_fill(fill(1, fee="10"))
    account.on_mark(BTC_ID, D(60_000))
    assert (account.day_pnl, account.day_volume) == (D(-10), D(600))
    midnight = (T0 // DAY + 1) * DAY
    assert not account.roll(midnight - 1)
    assert account.roll(midnight)
    assert not account.roll(midnight + S)
    assert (account.day_pnl, account.day_volume, account.volume) == (D(0), D(0), D(600))
    account.on_mark(BTC_ID, D(59_900))
    assert account.day_pnl == D(-1)


def test_transfers_are_equity_but_no_pnl_and_no_drawdown() -> None:
    account = opened()
    account.on_fill(fill(1, "0.1"))
    account.on_mark(BTC_ID, D(59_000))
    account.transfer(D(-400))
    assert account.equity == D(500)
    assert account.day_pnl == D(-100)
    assert (account.peak_equity, account.drawdown_frac) == (D(600), D(100) / D(600))


def test_drawdown_is_measured_from_the_peak() -> None:
    account = opened()
    account.on_fill(fill(1, "0.1"))
    for mark in (60_000, 65_000, 64_000, 62_000):
        account.on_mark(BTC_ID, D(mark))
    assert (account.peak_equity, account.equity) == (D(1500), D(1200))
    assert account.drawdown_frac == D("0.2")


def test_a_restart_continues_from_the_stored_state() -> None:
    account = opened()
    account.on_fill(fill(1, "0.1", "60000", fee="2"))
    account.on_fill(fill(2, "0.03", "60100", SELL, trade="t2"))
    account.on_mark(BTC_ID, D(60_200))
    account.on_funding(payment("0.7"))
    stored = msgspec.json.decode(msgspec.json.encode(account.state()), type=AccountState)
    again = AccountBook.restored(stored, fills=[fill(2, "0.03", "60100", SELL, trade="t2")])
    again.on_mark(BTC_ID, D(60_200))
    assert again.state() == account.state()
    assert (again.equity, again.day_pnl, again.peak_equity) == (account.equity, account.day_pnl, account.peak_equity)
    assert again.on_fill(fill(2, "0.03", "60100", SELL, trade="t2")) is Booking.DUPLICATE


def test_a_stored_day_that_is_over_only_restores_the_peak() -> None:
    account = opened()
    state = account.day_state()
    assert state is not None
    account.restore_day(replaced(state, day=state.day - 1, base_equity=D(5000), peak_equity=D(2000)))
    assert (account.day_pnl, account.drawdown_frac) == (D(0), D("0.5"))
    account.restore_day(replaced(state, base_equity=D(1100)))
    assert account.day_pnl == D(-100)


def test_first_in_first_out_stands_beside_the_average() -> None:
    account = opened()
    account.on_fill(fill(1, "0.1", "60000"))
    account.on_fill(fill(2, "0.1", "61000", trade="t2"))
    account.on_fill(fill(3, "0.1", "62000", SELL, trade="t3"))
    assert account.position(BTC_ID).realized_pnl == D(150)
    assert account.lots(BTC_ID).realized_pnl == D(200)


def test_positions_of_several_instruments_add_up() -> None:
    account = opened()
    account.on_fill(fill(1, "0.1"))
    account.on_fill(fill(2, "2", "2600", BUY, trade="t2", instrument=ETH_ID))
    account.on_mark(BTC_ID, D(60_010))
    assert account.equity is None
    account.on_mark(ETH_ID, D(2_599))
    assert account.equity == D(1000) + D(1) - D(2)

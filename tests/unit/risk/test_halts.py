"""Loss and drawdown as decisions."""

from __future__ import annotations

import pytest
from tests.unit.execution.stage import BTC_ID, BUY, MAIN, T0, D, S, fill, snapshot

from perpmaker.portfolio.account import AccountBook
from perpmaker.risk.codes import Code
from perpmaker.risk.halts import Halt, Halts, loss_used
from perpmaker.risk.limits import Limits


@pytest.fixture
def account() -> AccountBook:
    """1,000 of balance, long 0.1 at 60,000."""
    account = AccountBook(MAIN)
    account.open(snapshot(balance="1000"))
    account.on_fill(fill(1, "0.1", "60000", BUY))
    account.on_mark(BTC_ID, D(60_000))
    return account


def test_inside_the_limits_there_is_no_halt(account: AccountBook) -> None:
    account.on_mark(BTC_ID, D(59_501))
    assert Halts().check(account, Limits(), T0) is None


def test_a_loss_halts_once_without_flattening(account: AccountBook) -> None:
    halts = Halts()
    account.on_mark(BTC_ID, D(59_500))
    limits = Limits(max_drawdown_frac=D("0.5"))
    halt = halts.check(account, limits, T0)
    assert halt == Halt(MAIN, Code.MAX_LOSS, "the day's PnL is -50.00, the limit is -50", False, T0)
    assert halts.check(account, limits, T0 + S) is None
    assert halts.active == {MAIN: halt}


def test_a_loss_flattens_by_option(account: AccountBook) -> None:
    account.on_mark(BTC_ID, D(59_500))
    halt = Halts().check(account, Limits(max_drawdown_frac=D("0.5"), flatten_on_loss=True), T0)
    assert halt is not None
    assert halt.flatten


def test_a_drawdown_flattens(account: AccountBook) -> None:
    account.on_mark(BTC_ID, D(61_000))
    account.on_mark(BTC_ID, D(60_450))
    halt = Halts().check(account, Limits(), T0)
    assert halt is not None
    assert (halt.code, halt.flatten) == (Code.MAX_DRAWDOWN, True)
    assert Halts().check(account, Limits(flatten_on_drawdown=False), T0).flatten is False  # type: ignore[union-attr]


def test_a_drawdown_after_a_loss_halt_still_asks_to_flatten(account: AccountBook) -> None:
    halts = Halts()
    limits = Limits(max_drawdown_frac=D("0.06"))
    account.on_mark(BTC_ID, D(59_500))
    first = halts.check(account, limits, T0)
    account.on_mark(BTC_ID, D(59_400))
    second = halts.check(account, limits, T0)
    assert first is not None
    assert second is not None
    assert (first.code, second.code, second.flatten) == (Code.MAX_LOSS, Code.MAX_DRAWDOWN, True)
    assert halts.check(account, limits, T0) is None


def test_what_cannot_be_computed_halts_without_panic() -> None:
    account = AccountBook(MAIN)
    account.open(snapshot(balance="1000"))
    account.on_fill(fill(1, "0.1", "60000", BUY))
    halt = Halts().check(account, Limits(flatten_on_loss=True), T0)
    assert halt is not None
    assert (halt.code, halt.flatten) == (Code.MAX_LOSS, False)


def test_an_account_not_opened_yet_is_not_judged() -> None:
    assert Halts().check(AccountBook(MAIN), Limits(), T0) is None


def test_a_halt_outlives_its_cause_until_a_person_resumes(account: AccountBook) -> None:
    halts = Halts()
    account.on_mark(BTC_ID, D(59_000))
    halts.check(account, Limits(), T0)
    account.on_mark(BTC_ID, D(60_000))
    assert halts.check(account, Limits(), T0) is None
    assert MAIN in halts.active
    with pytest.raises(ValueError, match="who"):
        halts.resume(MAIN, actor="")
    assert halts.resume(MAIN, actor="ann") is not None
    assert halts.active == {}
    assert halts.resume(MAIN, actor="ann") is None


def test_the_part_of_a_limit_that_is_used_is_the_nearer_of_loss_and_drawdown(account: AccountBook) -> None:
    account.on_mark(BTC_ID, D(59_750))
    assert loss_used(account, Limits(max_drawdown_frac=D("0.5"))) == D("0.5")
    assert loss_used(account, Limits(max_loss=D(1000), max_drawdown_frac=D("0.1"))) == D("0.25")
    account.on_mark(BTC_ID, D(50_000))
    assert loss_used(account, Limits()) == 1
    account.on_mark(BTC_ID, D(70_000))
    assert loss_used(account, Limits()) == 0


def test_what_cannot_be_computed_is_three_quarters_and_nothing_before_the_first_snapshot() -> None:
    account = AccountBook(MAIN)
    assert loss_used(account, Limits()) == 0
    account.open(snapshot(balance="1000"))
    account.on_fill(fill(1, "0.1", "60000", BUY))
    assert loss_used(account, Limits()) == D("0.75")

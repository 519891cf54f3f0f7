"""The PnL identity and exactness, whatever happens in whatever order."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.execution.stage import BTC_ID, ETH_ID, MAIN, MS, T0, S, fill, position_report, snapshot

from perpmaker.model.events import FundingPaid, PositionAdjusted
from perpmaker.model.ids import StrategyId
from perpmaker.model.order import Side
from perpmaker.portfolio.account import AccountBook, AccountState
from perpmaker.portfolio.attribution import Attribution
from perpmaker.portfolio.position import FifoLots, RunningPosition

PX = st.integers(590_000, 610_000).map(lambda ticks: Decimal(ticks) / 10)
QTY = st.integers(1, 500).map(lambda lots: Decimal(lots) / 1000)
MONEY = st.integers(-10_000, 10_000).map(lambda cents: Decimal(cents) / 997)
INSTRUMENT = st.sampled_from([BTC_ID, ETH_ID])
WAIT = st.integers(0, 25_000)

STEP = st.one_of(
    st.tuples(st.just("mid"), INSTRUMENT, PX),
    st.tuples(st.just("mark"), INSTRUMENT, PX),
    st.tuples(st.just("fill"), INSTRUMENT, PX, QTY, st.sampled_from(Side), MONEY, st.integers(0, 40_000)),
    st.tuples(st.just("funding"), INSTRUMENT, MONEY),
    st.tuples(st.just("adjust"), INSTRUMENT, PX, QTY, st.sampled_from(Side)),
    st.tuples(st.just("transfer"), MONEY),
    st.tuples(st.just("advance")),
)


@given(st.lists(st.tuples(WAIT, STEP), max_size=40), st.sampled_from(["0", "0.37", "-0.21"]))
def test_the_parts_sum_exactly_to_the_change_in_equity_at_every_moment(
    steps: list[tuple[int, tuple]], held: str
) -> None:  # type: ignore[type-arg]
    account = AccountBook(MAIN)
    account.open(snapshot(balance="1000", positions=(position_report(held, entry="59123.4567"),)))
    for instrument in (BTC_ID, ETH_ID):
        account.on_mark(instrument, Decimal(60_000))
    attribution = Attribution(account)
    assert attribution.start()
    now = T0
    for number, (wait_ms, (kind, *what)) in enumerate(steps):
        now += wait_ms * MS
        if kind == "mid":
            attribution.on_mid(what[0], what[1], now)
        elif kind == "mark":
            account.on_mark(*what)
        elif kind == "fill":
            instrument, px, qty, side, fee, late_ms = what
            event = fill(
                1,
                str(qty),
                str(px),
                side,
                trade=f"t{number}",
                instrument=instrument,
                fee=str(fee),
                at=now - late_ms * MS,
            )
            account.on_fill(event)
            attribution.on_fill(event, StrategyId("s"), 0)
        elif kind == "funding":
            paid = FundingPaid(MAIN, what[0], what[1], "USDT", f"f{number}", now, now)
            account.on_funding(paid)
            attribution.on_funding(paid)
        elif kind == "adjust":
            instrument, px, qty, side = what
            adjusted = PositionAdjusted(MAIN, instrument, side.sign * qty, px, f"a{number}", now)
            account.on_adjustment(adjusted)
            attribution.on_adjustment(adjusted)
        elif kind == "transfer":
            account.transfer(what[0])
        else:
            attribution.advance(now)
        assert attribution.assert_identity()
    attribution.advance(now + 100 * S)
    assert attribution.assert_identity()
    assert AccountBook.restored(account.state()).state() == account.state()
    assert isinstance(account.state(), AccountState)


@given(st.lists(st.tuples(st.sampled_from(Side), PX, QTY), max_size=60), PX)
def test_realised_and_unrealised_are_cash_and_value_exactly(
    trades: list[tuple[Side, Decimal, Decimal]], mark: Decimal
) -> None:
    position, lots = RunningPosition(BTC_ID), FifoLots()
    cash = Decimal(0)
    for number, (side, px, qty) in enumerate(trades):
        position.trade(side, px, qty)
        lots.book(side, px, qty, number)
        cash -= side.sign * px * qty
    assert position.realized_pnl + position.unrealized(mark) == cash + position.qty * mark
    assert position.qty == lots.qty
    fifo_unrealized = lots.side.sign * sum(((mark - lot.px) * lot.qty for lot in lots.lots), Decimal(0))
    assert lots.realized_pnl + fifo_unrealized == cash + position.qty * mark
    if position.qty == 0:
        assert position.realized_pnl == lots.realized_pnl == cash


@given(st.lists(st.integers(0, 15), max_size=60))
def test_repeated_fills_in_any_order_are_booked_once(order: list[int]) -> None:
    fills = [fill(1, "0.01", str(60_000 + n), trade=f"t{n}", at=T0 + n, fee="0.1") for n in range(16)]
    account = AccountBook(MAIN)
    account.open(snapshot(balance="1000"))
    for index in order:
        account.on_fill(fills[index])
    distinct = set(order)
    assert account.position_qty(BTC_ID) == Decimal("0.01") * len(distinct)
    assert account.fees == Decimal("0.1") * len(distinct)
    assert account.volume == sum((fills[i].px * fills[i].qty for i in distinct), Decimal(0))

"""The split of the PnL, its identity, and markouts."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.unit.execution.stage import BTC_ID, BUY, MAIN, MS, SELL, T0, S, fill, position_report, snapshot

from perpmaker.errors import InvariantError
from perpmaker.model.events import Fill, FundingPaid, PositionAdjusted
from perpmaker.model.ids import StrategyId
from perpmaker.portfolio.account import AccountBook
from perpmaker.portfolio.attribution import Attribution, Split
from perpmaker.portfolio.mids import MidHistory

D = Decimal
MAKER = StrategyId("maker")


class Desk:
    """An account and its attribution, fed as the engine feeds them."""

    def __init__(self, **figures: object) -> None:
        self.account = AccountBook(MAIN)
        self.account.open(snapshot(balance="1000", **figures))  # type: ignore[arg-type]
        self.attribution = Attribution(self.account)
        assert self.attribution.start()

    def mid(self, px: str, at: int) -> None:
        self.attribution.on_mid(BTC_ID, D(px), at)

    def mark(self, px: str) -> None:
        self.account.on_mark(BTC_ID, D(px))

    def fill(self, event: Fill, layer: int | None = 0) -> None:
        self.account.on_fill(event)
        self.attribution.on_fill(event, MAKER, layer)

    def split(self) -> Split:
        assert self.attribution.assert_identity()
        split = self.attribution.split()
        assert split is not None
        return split


def test_a_fill_is_split_into_spread_adverse_selection_and_inventory() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.mark("60000")
    desk.fill(fill(1, "0.1", "59990", fee="0.3", at=T0 + MS))
    desk.mid("59980", T0 + 5 * S)
    desk.mid("59970", T0 + 20 * S)
    desk.mark("59950")
    assert desk.split() == Split(spread=D(1), adverse=D(-2), inventory=D(-3), fees=D("0.3"), funding=D(0))


def test_adverse_selection_follows_the_mid_while_its_window_is_open() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.mark("60000")
    desk.fill(fill(1, "0.1", "60010", SELL, at=T0 + MS))
    desk.mid("60030", T0 + 3 * S)
    assert desk.split().adverse == D(-3)
    desk.mid("60005", T0 + 6 * S)
    assert desk.split().adverse == D("-0.5")
    desk.attribution.advance(T0 + MS + 10 * S)
    desk.mid("60500", T0 + 11 * S)
    assert desk.split().adverse == D("-0.5")


def test_the_fair_price_is_the_mid_before_the_fill_not_the_one_it_caused() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.mid("59990", T0 + S)  # the trade that filled us took the level at its own time
    desk.mark("60000")
    desk.fill(fill(1, "0.1", "59995", at=T0 + S))
    assert desk.split().spread == D("0.5")


def test_the_ten_second_mid_is_the_last_one_known_then() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.mark("60000")
    desk.fill(fill(1, "1", "60000", at=T0 + S))
    desk.mid("60004", T0 + 10 * S)
    desk.mid("60009", T0 + 11 * S + 1)
    assert desk.split().adverse == D(4)


def test_a_fill_without_a_known_fair_price_is_inventory() -> None:
    desk = Desk()
    desk.mark("60000")
    desk.fill(fill(1, "0.1", "59000"))
    assert desk.split() == Split(D(0), D(0), D(100), D(0), D(0))
    assert not desk.attribution.advance(T0 + 100 * S)


def test_a_position_held_at_the_start_is_inventory_from_its_mark() -> None:
    desk = Desk(positions=(position_report("0.5", entry="50000"),))
    desk.mark("60100")
    assert desk.split() == Split(D(0), D(0), D(50), D(0), D(0))


def test_funding_fees_adjustments_and_transfers_keep_the_identity() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.mark("60000")
    desk.fill(fill(1, "0.003", "59990.1", fee="0.0123", at=T0 + 1))
    paid = FundingPaid(MAIN, BTC_ID, D("-0.77"), "USDT", "f", T0, T0)
    assert desk.account.on_funding(paid)
    desk.attribution.on_funding(paid)
    adjusted = PositionAdjusted(MAIN, BTC_ID, D("0.002"), D("60003.3"), "a", T0)
    assert desk.account.on_adjustment(adjusted)
    desk.attribution.on_adjustment(adjusted)
    desk.account.transfer(D(123))
    desk.mark("60007.7")
    split = desk.split()
    assert (split.fees, split.funding) == (D("0.0123"), D("-0.77"))
    assert split.inventory == (D("60007.7") - D("60003.3")) * D("0.002") + (D("60007.7") - D(60_000)) * D("0.003")


def test_a_fill_that_only_the_account_knows_breaks_the_identity() -> None:
    desk = Desk()
    desk.mark("60000")
    desk.account.on_fill(fill(1, "0.1", "59000"))
    with pytest.raises(InvariantError, match="its parts sum to"):
        desk.attribution.assert_identity()


def test_nothing_is_asserted_while_equity_is_unknown() -> None:
    desk = Desk()
    desk.fill(fill(1, "0.1", "59000"))
    assert desk.attribution.split() is None
    assert not desk.attribution.assert_identity()


def test_the_start_waits_for_a_mark() -> None:
    account = AccountBook(MAIN)
    account.open(snapshot(balance="1000"))
    account.on_fill(fill(1))
    attribution = Attribution(account)
    assert not attribution.start()
    account.on_mark(BTC_ID, D(60_000))
    assert attribution.start()
    assert attribution.assert_identity()


def test_markouts_come_at_one_ten_and_sixty_seconds_by_side_and_layer() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.fill(fill(1, "0.1", "59994", at=T0 + 1), layer=2)
    horizons = []
    for second, px in ((1, "60006"), (10, "59988"), (60, "60600")):
        desk.mid(px, T0 + second * S + 1)
        horizons += [
            (m.horizon_s, m.edge, m.drift) for m in desk.attribution.on_mid(BTC_ID, D(px), T0 + second * S + 2)
        ]
    stats = {key[4]: value for key, value in desk.attribution.markouts.items()}
    assert {key[:4] for key in desk.attribution.markouts} == {(BTC_ID, MAKER, BUY, 2)}
    assert {h: (s.edge, s.drift) for h, s in stats.items()} == {
        1: (D("0.6"), D("0.6")),
        10: (D("0.6"), D("-1.2")),
        60: (D("0.6"), D(60)),
    }
    assert stats[10].markout_bps == pytest.approx(-0.6 / 5999.4 * 1e4)
    assert stats[10].edge_bps == pytest.approx(0.6 / 5999.4 * 1e4)


def test_a_completed_markout_is_returned_once() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.fill(fill(1, "0.1", "59994", at=T0 + 1))
    closed = desk.attribution.advance(T0 + 30 * S)
    assert [(m.horizon_s, m.mid_px, m.layer) for m in closed] == [(1, D(60_000), 0), (10, D(60_000), 0)]
    assert not desk.attribution.advance(T0 + 31 * S)


def test_parts_are_told_per_instrument() -> None:
    desk = Desk()
    desk.mid("60000", T0)
    desk.mark("60000")
    desk.fill(fill(1, "0.1", "59990", at=T0 + 1))
    part = desk.attribution.split_of(BTC_ID)
    assert part == desk.split()
    assert part is not None
    assert part.total == D(1)


@pytest.mark.parametrize("step_ns", [50 * MS, MS])
def test_the_history_of_mids_is_bounded(step_ns: int) -> None:
    history = MidHistory()
    for number in range(30_000):
        history.add(D(number), T0 + number * step_ns)
    assert len(history._times) == len(history._mids) <= 8192
    last = T0 + 29_999 * step_ns
    back = min(100 * S // step_ns, 4_000)
    assert history.at(last - back * step_ns) == D(29_999 - back)
    assert history.before(last) == D(29_998)


def test_a_quiet_market_is_remembered_no_longer_than_twice_the_history() -> None:
    history = MidHistory()
    for second in range(3_600):
        history.add(D(second), T0 + second * S)
        assert len(history._times) <= 242
        assert history.at(T0 + max(second - 120, 0) * S) == D(max(second - 120, 0))


def test_the_mid_from_before_a_long_silence_is_kept() -> None:
    history = MidHistory()
    history.add(D(1), T0)
    history.add(D(2), T0 + 1_000 * S)
    assert (history.at(T0 + 900 * S), history.last) == (D(1), D(2))


def test_mids_of_streams_that_overtake_each_other_stay_in_order() -> None:
    history = MidHistory()
    history.add(D(1), T0)
    history.add(D(2), T0 - 5)
    assert (history.at(T0), history.before(T0), history.last) == (D(2), None, D(2))

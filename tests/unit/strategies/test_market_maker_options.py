"""Every option of the market maker changes what it quotes, and says so."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perpmaker.errors import ConfigError
from perpmaker.model.book import Level
from perpmaker.model.events import Bar, Ticker
from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.order import OrderState, Side
from perpmaker.model.quote import Quote, Sweep
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.quoting.toxicity import ToxicityParams, Vpin
from perpmaker.strategies.registry import parse_params

from .fake_context import FakeBook, FakeContext, book, own_order, perp

BTC = perp()
ETH = perp("ETH_USDT_Perp", tick="0.01", lot="0.01")
ID = BTC.instrument_id
MID_BOOK = book(BTC, "59999.9", "60000.1")
WIDE = {"half_spread_bps": 20}
QUOTING = {"model": "fixed", "half_spread_bps": 2, "layers": 3, "layer_spacing_bps": 2, "order_notional": 300}


class Stage:
    """A maker with these tables, started on a flat book at 60,000."""

    def __init__(self, position: str = "0", *, entry: str = "60000", **tables: dict[str, Any]) -> None:
        self.ctx = FakeContext(BTC, ETH)
        self.ctx.hold(ID, position, entry=entry)
        self.ctx.books[ID] = MID_BOOK
        quoting = {**QUOTING, **tables.pop("quoting", {})}
        params = parse_params("market_maker", {"instrument": ID, "quoting": quoting, **tables})
        assert isinstance(params, MarketMakerParams)
        self.maker = MarketMaker(params)
        self.maker.on_start(self.ctx)

    def show(self, mid: float, *, bids: tuple[Level, ...] | None = None, asks: tuple[Level, ...] | None = None) -> None:
        ticks = round(mid * 10)
        shown = FakeBook(BTC, bids or ((ticks - 1, 100),), asks or ((ticks + 1, 100),))
        shown = msgspec.structs.replace(shown, ts_recv_ns=self.ctx.time_ns)
        self.ctx.books[ID] = shown
        self.maker.on_book(self.ctx, shown)

    def tick(self, *, rate: str | None = None, funding_in_s: float = 0) -> None:
        next_ns = self.ctx.time_ns + round(funding_in_s * NS_PER_S) if funding_in_s else 0
        self.ctx.tickers[ID] = Ticker(ID, None, None, None, Decimal(rate) if rate else None, next_ns, 0, 0)

    def wait(self, seconds: float) -> None:
        self.ctx.wait(self.maker, seconds)

    @property
    def bids(self) -> tuple[Quote, ...]:
        return self.ctx.quotes[ID].bids

    @property
    def asks(self) -> tuple[Quote, ...]:
        return self.ctx.quotes[ID].asks

    @property
    def middle_bps(self) -> float:
        """How far the middle of the innermost quotes is from 60,000."""
        return ((float(self.bids[0].px) + float(self.asks[0].px)) / 2 / 60_000 - 1) * 1e4

    @property
    def told(self) -> Any:
        return self.ctx.explained[ID]

    @property
    def reasons(self) -> list[str]:
        return list(self.told["reasons"])

    def order(self, number: int, side: Side, layer: int, state: OrderState, cum_qty: str = "0") -> None:
        """Tell of an order of the ladder."""
        name = "bid" if side is Side.BUY else "ask"
        view = msgspec.structs.replace(
            own_order(BTC, side, "59988", "0.005", state),
            client_order_id=ClientOrderId(number),
            tag=f"quote {name} {layer}",
            cum_qty=Decimal(cum_qty),
        )
        self.maker.on_order(self.ctx, view)


# --- fair value


def test_imbalance_moves_fair_away_from_the_heavier_side() -> None:
    stage = Stage(alpha={"imbalance_bps": 4})
    stage.show(60_000, bids=((599_999, 300),), asks=((600_001, 100),))
    assert stage.told["imbalance_shift_bps"] == pytest.approx(2)
    plain = Stage()
    plain.show(60_000, bids=((599_999, 300),), asks=((600_001, 100),))
    assert stage.told["fair"] / plain.told["fair"] == pytest.approx(1.0002)


def test_imbalance_weighs_as_many_levels_as_asked() -> None:
    bids, asks = ((599_999, 100), (599_998, 200)), ((600_001, 100), (600_002, 100))
    for levels, share in ((1, 0.0), (2, 0.2)):
        stage = Stage(alpha={"imbalance_bps": 10, "imbalance_levels": levels})
        stage.show(60_000, bids=bids, asks=asks)
        assert stage.told["imbalance_shift_bps"] == pytest.approx(10 * share)


def test_trade_flow_moves_fair_with_it_and_fades() -> None:
    stage = Stage(alpha={"flow_bps": 3}, quoting=WIDE)
    stage.ctx.trade(stage.maker, BTC, "60000.1", Side.BUY, lots=3)
    stage.ctx.trade(stage.maker, BTC, "59999.9", Side.SELL, lots=1)
    stage.show(60_000)
    assert stage.middle_bps == pytest.approx(1.5, abs=0.02)
    stage.wait(10)
    stage.show(60_000)
    assert stage.middle_bps == pytest.approx(0.75, abs=0.02)
    slow = Stage(alpha={"flow_bps": 3, "flow_half_life_s": 100}, quoting=WIDE)
    slow.ctx.trade(slow.maker, BTC, "60000.1", Side.BUY)
    slow.wait(10)
    slow.show(60_000)
    assert slow.middle_bps == pytest.approx(3 * 2**-0.1, abs=0.02)


REFERENCE = {"instrument": ETH.instrument_id, "weight": 0.5}


def _led(moved: float, **keys: Any) -> Stage:
    """The other market stood 50 bps above ours for a minute and has now moved."""
    stage = Stage(reference={**REFERENCE, **keys}, quoting=WIDE)
    for _ in range(60):
        _other(stage, 60_300)
        stage.wait(1.0)
    _other(stage, 60_300 * (1 + moved / 1e4))
    stage.show(60_000)
    return stage


def _other(stage: Stage, mid: float) -> None:
    ticks = round(mid * 100)
    shown = FakeBook(ETH, ((ticks - 1, 100),), ((ticks + 1, 100),), ts_recv_ns=stage.ctx.time_ns)
    stage.ctx.books[ETH.instrument_id] = shown
    stage.maker.on_book(stage.ctx, shown)


def test_a_reference_market_leads_by_its_move_less_the_usual_basis() -> None:
    assert _led(0).middle_bps == pytest.approx(0, abs=0.02)
    assert _led(4).middle_bps == pytest.approx(2, abs=0.05)
    assert _led(4, weight=1).middle_bps == pytest.approx(4, abs=0.05)
    assert _led(400, max_shift_bps=3).middle_bps == pytest.approx(3, abs=0.05)


def test_a_basis_that_lasts_is_no_lead() -> None:
    for half_life_s, left in ((10, 0.25), (1e4, 4)):
        stage = _led(8, basis_half_life_s=half_life_s)
        for _ in range(40):
            _other(stage, 60_300 * 1.0008)
            stage.wait(1.0)
        stage.show(60_000)
        assert stage.middle_bps == pytest.approx(left, abs=0.1)


def test_a_reference_that_is_too_old_moves_nothing() -> None:
    for max_age_s, moved in ((3, 0), (30, 2)):
        stage = _led(4, max_age_s=max_age_s)
        stage.ctx.time_ns += 10 * NS_PER_S
        stage.show(60_000)
        assert stage.middle_bps == pytest.approx(moved, abs=0.1)
    assert stage.told["lead_shift_bps"] != "no fresh reference"
    del stage.ctx.books[ETH.instrument_id]
    stage.show(60_000)
    assert stage.told["lead_shift_bps"] == "no fresh reference"


def test_a_reference_is_listened_to_and_must_be_another_market() -> None:
    stage = Stage(reference=REFERENCE)
    assert [s.instrument for s in stage.maker.subscriptions()] == [ID, ETH.instrument_id]
    with pytest.raises(ConfigError, match="must be another than the one it trades"):
        parse_params("market_maker", {"instrument": ID, "reference": {"instrument": ID}})


def test_trades_and_bars_of_the_reference_are_not_ours() -> None:
    stage = Stage(reference=REFERENCE, alpha={"flow_bps": 3})
    stage.ctx.trade(stage.maker, ETH, "3000", Side.BUY)
    stage.maker.on_bar(stage.ctx, Bar(InstrumentId("ETH_USDT_Perp"), 60, 0, 1, 1, 1, 1, 1, 1, 1))
    stage.show(60_000)
    assert stage.told["flow_shift_bps"] == 0


def test_the_reservation_price_shifts_to_the_receiving_side_as_funding_nears() -> None:
    shifts = []
    for wait_s in (7200, 600, 1):
        stage = Stage(quoting=WIDE)
        stage.tick(rate="0.0008", funding_in_s=wait_s + 1)
        stage.wait(1.0)
        shifts.append(stage.middle_bps)
    assert shifts[2] < shifts[1] < shifts[0] <= 0
    assert shifts[1] == pytest.approx(-4, abs=0.02)
    short = Stage(quoting=WIDE)
    short.tick(rate="-0.0008", funding_in_s=601)
    short.wait(1.0)
    assert short.middle_bps == pytest.approx(4, abs=0.02)


@pytest.mark.parametrize(
    ("funding", "shift"), [({"mult": 0}, 0), ({"mult": 0.5}, -2), ({"inventory_half_life_s": 300}, -2)]
)
def test_how_much_funding_counts_is_a_key(funding: dict[str, Any], shift: float) -> None:
    stage = Stage(funding=funding, quoting=WIDE)
    stage.tick(rate="0.0008", funding_in_s=601)
    stage.wait(1.0)
    assert stage.middle_bps == pytest.approx(shift, abs=0.03)


# --- bounds, sizes, retail


def test_no_bid_stands_above_the_ceiling_and_no_ask_below_the_floor() -> None:
    stage = Stage(quoting={"price_ceiling": 59_985})
    assert [float(quote.px) <= 59_985 for quote in stage.bids] == [True, True]
    assert len(stage.asks) == 3
    assert stage.reasons == ["bids: layer 0 above price_ceiling 59985"]
    stage = Stage(quoting={"price_floor": 60_100})
    assert (stage.asks, len(stage.bids)) == ((), 3)
    assert stage.reasons == ["asks: layers 0, 1, 2 below price_floor 60100"]
    with pytest.raises(ConfigError, match="price_floor = 2: must be less than price_ceiling = 1"):
        Stage(quoting={"price_floor": 2, "price_ceiling": 1})


def test_sizes_are_a_share_of_equity_when_so_asked() -> None:
    stage = Stage(quoting={"order_equity_frac": 0.006})
    assert stage.bids[0].qty == Decimal("0.010")
    stage.ctx.equity_value = Decimal(50_000)
    stage.wait(1.0)
    assert stage.bids[0].qty == Decimal("0.005")


def test_the_position_limit_is_a_share_of_equity_but_never_above_the_risk_limit() -> None:
    stage = Stage(position="0.005", quoting={"max_position_equity_frac": 0.008})
    assert sum(quote.qty for quote in stage.bids) == Decimal("0.008")
    stage = Stage(position="0.08", quoting={"max_position_equity_frac": 5})
    assert sum(quote.qty for quote in stage.bids) < Decimal("0.004")


def test_a_share_of_each_quote_is_for_retail_flow_alone() -> None:
    stage = Stage(quoting={"rpi_share": 0.5, "order_notional": 600})
    shown = [(quote.layer, quote.qty, quote.rpi) for quote in stage.bids]
    assert [(layer, rpi) for layer, _, rpi in shown][:4] == [(0, False), (128, True), (1, False), (129, True)]
    assert {qty for _, qty, _ in shown} == {Decimal("0.005")}
    assert [quote.px for quote in stage.bids[::2]] == [quote.px for quote in stage.bids[1::2]]
    whole = Stage(quoting={"rpi_share": 1})
    assert all(quote.rpi for quote in whole.bids)
    small = Stage(quoting={"rpi_share": 0.1})
    assert not any(quote.rpi for quote in small.bids), "a part below the venue's minimum joins the other"


# --- when to quote


def test_outside_its_hours_it_does_not_quote() -> None:
    # 2027-01-15 08:00 UTC, a Friday
    for hours, quotes in (("fri 07:00-09:00", 3), ("mon-thu 00:00-24:00", 0), ("22:00-08:01", 3), ("08:01-10:00", 0)):
        stage = Stage(schedule={"hours_utc": hours})
        assert len(stage.bids) == quotes, hours
    assert stage.reasons == ["outside hours_utc 08:01-10:00"]
    stage.wait(60)
    assert len(stage.bids) == 3


def test_outside_its_hours_it_only_reduces_when_so_asked() -> None:
    stage = Stage(position="0.004", schedule={"hours_utc": "10:00-11:00", "outside": "reduce"})
    assert stage.bids == ()
    assert sum(quote.qty for quote in stage.asks) == Decimal("0.004")


def test_a_blackout_window_is_kept() -> None:
    stage = Stage(schedule={"blackouts": "2027-01-15T07:59/2027-01-15T08:02"})
    assert (stage.bids, stage.asks) == ((), ())
    assert stage.reasons == ["blackout until 2027-01-15 08:02"]
    stage.wait(120)
    assert len(stage.bids) == 3


@pytest.mark.parametrize(
    "schedule",
    [
        {"hours_utc": "always"},
        {"hours_utc": "mon 25:00-26:00"},
        {"hours_utc": "xyz 10:00-11:00"},
        {"blackouts": "tomorrow"},
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused(schedule: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="must be like"):
        Stage(schedule=schedule)


def test_it_keeps_clear_of_funding_times_when_so_asked() -> None:
    stage = Stage(schedule={"funding_before_s": 30, "funding_after_s": 20})
    stage.tick(funding_in_s=60)
    stage.wait(29)
    assert len(stage.bids) == 3
    stage.wait(2)
    assert stage.bids == ()
    assert stage.reasons[0].startswith("funding in ")
    stage.wait(30)
    stage.tick(funding_in_s=3600)
    stage.wait(10)
    assert stage.reasons[0].endswith("s ago")
    stage.wait(15)
    assert len(stage.bids) == 3


# --- ways out


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("protection", "path", "why"),
    [
        ({"stop_loss_bps": 50}, (-49, -51), "stop loss: -51"),
        ({"take_profit_bps": 50}, (49, 51), "take profit: 51"),
        ({"trailing_stop_bps": 30}, (40, 11, 9), "trailing stop: 9"),
        ({"trailing_stop_bps": 30, "trailing_from_bps": 20}, (-31, 19, -12, 21, -10), "trailing stop: -10"),
    ],
)
def test_a_position_is_closed_by_a_capped_sweep(
    sign: int, protection: dict[str, Any], path: tuple[int, ...], why: str
) -> None:
    stage = Stage(position=f"{sign * 0.01}", protection={**protection, "close_slippage_bps": 15})
    for step in path:
        assert stage.ctx.targets == []
        stage.show(60_000 * (1 + sign * step / 1e4))
        stage.wait(1.0)
    target = stage.ctx.targets[0]
    assert target == (ID, Decimal(0), Sweep(max_slippage_bps=Decimal(15)))
    assert (stage.bids, stage.asks) == ((), ())
    assert stage.reasons[0].startswith(f"closing: {why}")
    assert ("warning", "protection_closes") in [notice[:2] for notice in stage.ctx.notices]


def test_a_position_is_closed_after_its_time() -> None:
    stage = Stage(position="0.01", protection={"time_limit_s": 100})
    stage.wait(99)
    assert stage.ctx.targets == []
    stage.wait(2)
    assert stage.ctx.targets[0][1] == 0


def test_after_a_closing_it_rests() -> None:
    stage = Stage(position="0.01", protection={"stop_loss_bps": 50, "rest_s": 10})
    stage.show(59_600)
    stage.wait(1.0)
    stage.ctx.hold(ID, "0")
    stage.wait(1.0)
    assert stage.reasons == ["rests 10 s after a closing"]
    stage.wait(11)
    assert len(stage.bids) == 3


def test_a_closing_waits_until_no_quote_of_its_own_stands_in_its_way() -> None:
    stage = Stage(position="0.01", protection={"stop_loss_bps": 50})
    quote = msgspec.structs.replace(own_order(BTC, Side.BUY, "59000", "0.005"), tag="quote bid 0")
    stage.ctx.live_orders.append(quote)
    stage.show(59_600)
    stage.wait(2.0)
    assert stage.ctx.targets == []
    stage.ctx.live_orders.clear()
    stage.wait(1.0)
    assert stage.ctx.targets[0][1] == 0


def test_without_protection_a_loss_is_borne() -> None:
    stage = Stage(position="0.01")
    stage.show(50_000)
    stage.wait(1.0)
    assert stage.ctx.targets == []


# --- toxicity, markout, order quality


def _fills(stage: Stage, count: int, moved_bps: float, layer: int = 0) -> None:
    """Buy at 59,988 so often; ten seconds after each the mid is elsewhere."""
    for number in range(count):
        stage.order(100 + number, Side.BUY, layer, OrderState.OPEN)
        stage.ctx.fill(stage.maker, Side.BUY, "0.005", "59988", ID, order=100 + number)
        stage.order(100 + number, Side.BUY, layer, OrderState.FILLED, "0.005")
        stage.ctx.hold(ID, "0")
        stage.wait(5.0)
        stage.show(59_988 * (1 + moved_bps / 1e4))
        stage.wait(6.0)
        stage.show(60_000)
    stage.wait(3.0)


def test_a_trade_of_a_million_buckets_counts_as_one_that_fills_them_all() -> None:
    params = ToxicityParams(pause_above=0.9, bucket_notional=1, buckets=3)
    one_by_one, at_once = Vpin(params), Vpin(params)
    for vpin in (one_by_one, at_once):
        vpin.on_trade(0, 0.5, Side.SELL)
    for _ in range(200):
        one_by_one.on_trade(1, 0.25, Side.BUY)
    at_once.on_trade(1, 1e12 + 50, Side.BUY)
    assert at_once.value == one_by_one.value == 1.0
    for vpin in (one_by_one, at_once):
        vpin.on_trade(2, 0.25, Side.SELL)
        vpin.on_trade(2, 0.25, Side.BUY)
    assert at_once.value == one_by_one.value


def test_a_layer_whose_fills_lose_is_pulled_for_a_while_and_the_others_stay() -> None:
    stage = Stage(markout={"pull_fills": 5, "pull_s": 60})
    _fills(stage, 5, -3.0)
    assert [quote.layer for quote in stage.bids] == [1, 2]
    assert len(stage.asks) == 3
    assert stage.reasons == ["bids: layer 0 pulled, the fills lose"]
    assert ("info", "layer_pulled") in [notice[:2] for notice in stage.ctx.notices]
    stage.wait(60)
    assert [quote.layer for quote in stage.bids] == [0, 1, 2]


@pytest.mark.parametrize(
    ("markout", "moved_bps"),
    [({"pull_fills": 5}, 3.0), ({"pull_fills": 6}, -3.0), ({"pull_fills": 5, "pull": False}, -3.0)],
)
def test_a_layer_that_earns_or_has_too_few_fills_stays(markout: dict[str, Any], moved_bps: float) -> None:
    stage = Stage(markout=markout)
    _fills(stage, 5, moved_bps)
    assert [quote.layer for quote in stage.bids] == [0, 1, 2]
    assert stage.told["markout_10s_bid_bps"] == pytest.approx(moved_bps, abs=0.1)


def test_markouts_are_told_by_layer_with_the_retail_part_apart() -> None:
    stage = Stage()
    _fills(stage, 2, 3.0)
    _fills(stage, 3, -3.0, layer=128)
    assert stage.told["layer_markouts"] == "bid 0 +3.0 (2), bid 0 rpi -3.0 (3)"


def test_the_horizon_that_decides_is_a_key() -> None:
    stage = Stage(markout={"pull_fills": 5, "pull_horizon_s": 1})
    _fills(stage, 5, -3.0)
    assert [quote.layer for quote in stage.bids] == [0, 1, 2], "after one second the mid was still higher"
    with pytest.raises(ConfigError, match="pull_horizon_s = 5: must be 1, 10 or 60"):
        Stage(markout={"pull_horizon_s": 5})


def test_fees_count_in_the_markout() -> None:
    stage = Stage(markout={"pull_fills": 5})
    stage.ctx.fill_fee = Decimal("0.2")
    _fills(stage, 5, 3.0)
    assert stage.reasons == ["bids: layer 0 pulled, the fills lose"]


def _one_sided(stage: Stage, count: int = 12) -> None:
    for _ in range(count):
        stage.ctx.trade(stage.maker, BTC, "60000", Side.BUY, lots=10)
    stage.wait(1.0)


def test_toxic_flow_pauses_quoting_for_a_while() -> None:
    toxicity = {"pause_above": 0.5, "bucket_notional": 600, "buckets": 5, "pause_s": 20}
    stage = Stage(toxicity=toxicity)
    _one_sided(stage)
    assert (stage.bids, stage.asks) == ((), ())
    assert stage.reasons == ["toxic flow: VPIN was above 0.5"]
    stage.wait(20)
    assert len(stage.bids) == 3


@pytest.mark.parametrize(
    "toxicity",
    [{}, {"pause_above": 1}, {"pause_above": 0.5, "bucket_notional": 6000}, {"pause_above": 0.5, "buckets": 13}],
)
def test_flow_that_is_not_toxic_by_the_keys_pauses_nothing(toxicity: dict[str, Any]) -> None:
    stage = Stage(toxicity={"bucket_notional": 600, "buckets": 5, **toxicity})
    _one_sided(stage)
    assert len(stage.bids) == 3


GOVERNOR = {"unfilled_orders": 100, "cancelled_orders": 1000, "expired_orders": 1000}


def _ended(stage: Stage, count: int, state: OrderState = OrderState.CANCELED, cum_qty: str = "0") -> None:
    for number in range(1000, 1000 + count):
        stage.order(number, Side.BUY, 0, OrderState.OPEN)
        stage.order(number, Side.BUY, 0, state, cum_qty)
    stage.wait(1.0)


def test_poor_order_quality_first_widens_the_tolerance_then_stops_quoting() -> None:
    stage = Stage(governor=GOVERNOR)
    tolerance = stage.bids[0].tolerance_bps
    _ended(stage, 50)
    assert stage.bids[0].tolerance_bps == tolerance
    _ended(stage, 20)
    assert tolerance < stage.bids[0].tolerance_bps <= 1.0
    assert "70 ended: 100% unfilled" in stage.told["order_quality"]
    _ended(stage, 20)
    assert stage.bids == ()
    assert stage.reasons == ["order quality: 90% of what makes the venue block the symbol"]
    stage.wait(620)
    assert len(stage.bids) == 3


@pytest.mark.parametrize(
    ("governor", "state", "cum_qty"),
    [
        ({**GOVERNOR, "unfilled_orders": 1000, "cancelled_orders": 100}, OrderState.CANCELED, "0"),
        ({**GOVERNOR, "unfilled_orders": 1000, "expired_orders": 100}, OrderState.EXPIRED, "0"),
        ({**GOVERNOR, "stop_from": 0.6}, OrderState.CANCELED, "0"),
    ],
)
def test_each_rule_of_the_venue_counts(governor: dict[str, Any], state: OrderState, cum_qty: str) -> None:
    stage = Stage(governor=governor)
    _ended(stage, 95, state, cum_qty)
    assert stage.bids == ()


@pytest.mark.parametrize(
    "governor", [{**GOVERNOR, "unfilled_orders": 1000}, {**GOVERNOR, "window_s": 10}, {**GOVERNOR, "max_ratio": 1.0}]
)
def test_orders_that_are_few_old_or_filled_are_no_trouble(governor: dict[str, Any]) -> None:
    stage = Stage(governor=governor)
    if "window_s" in governor:
        _ended(stage, 95)
        stage.wait(30)
    elif governor.get("max_ratio") == 1.0:
        _ended(stage, 50)
        _ended(stage, 45, OrderState.FILLED, "0.005")
    else:
        _ended(stage, 95)
    assert len(stage.bids) == 3


def test_dust_counts_against_its_own_rule_filled_or_not() -> None:
    keys = {"unfilled_orders": 1000, "dust_orders": 100}
    large, small = Stage(governor=keys), Stage(governor={**keys, "dust_mult": 4})
    for stage in (large, small):  # of 300 each, where the venue takes 100 and more
        _ended(stage, 95, OrderState.FILLED, "0.005")
    assert len(large.bids) == 3
    assert "0% dust" in large.told["order_quality"]
    assert small.bids == ()
    assert "100% dust" in small.told["order_quality"]
    assert small.reasons == ["order quality: 95% of what makes the venue block the symbol"]


def test_when_slowing_begins_and_how_far_it_goes_are_keys() -> None:
    slow = Stage(governor={**GOVERNOR, "slow_from": 0.1, "slow_mult": 2, "stop_from": 0.8})
    before = slow.bids[0].tolerance_bps
    _ended(slow, 45)
    assert slow.bids[0].tolerance_bps == pytest.approx(before * 1.5)


# --- what is told


def test_the_quotes_stand_beside_their_inputs() -> None:
    stage = Stage()
    assert tuple(stage.told["bids"]) == ("59988 x 0.005", "59976 x 0.005", "59964 x 0.005")
    assert len(stage.told["asks"]) == 3
    assert list(stage.told["bids"][1:]) == ["59976 x 0.005", "59964 x 0.005"]

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from perpmaker.execution.working import quote_tag
from perpmaker.model.events import Bar, BookStale, StaleReason, Ticker
from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.market_maker import MarketMaker, MarketMakerParams
from perpmaker.strategies.registry import parse_params

from .fake_context import START_NS, FakeBook, FakeContext, Ladder, book, own_order, perp

BTC = perp()
ID = BTC.instrument_id
MID_BOOK = book(BTC, "59999.9", "60000.1")


def _maker(ctx: FakeContext, *, regime: dict[str, Any] | None = None, **quoting: Any) -> MarketMaker:
    defaults = {"model": "fixed", "half_spread_bps": 2, "layers": 3, "layer_spacing_bps": 2, "order_notional": 300}
    defaults["skew_bps_at_max_position"] = 5
    tables = {"instrument": ID, "quoting": {**defaults, **quoting}, "regime": regime or {}}
    params = parse_params("market_maker", tables)
    assert isinstance(params, MarketMakerParams)
    return MarketMaker(params)


def _started(position: str = "0", **quoting: Any) -> tuple[FakeContext, MarketMaker]:
    ctx = FakeContext(BTC)
    ctx.hold(ID, position)
    ctx.books[ID] = MID_BOOK
    maker = _maker(ctx, **quoting)
    maker.on_start(ctx)
    return ctx, maker


def _show(ctx: FakeContext, maker: MarketMaker, shown: FakeBook) -> None:
    ctx.books[ID] = shown
    maker.on_book(ctx, shown)


def _ladder(ctx: FakeContext) -> Ladder:
    return ctx.quotes[ID]


def _distances(ctx: FakeContext) -> tuple[list[float], list[float]]:
    """Distances of bids and asks from 60,000 in bps, positive outwards."""
    ladder = _ladder(ctx)
    bids = [(60_000 - float(quote.px)) / 6 for quote in ladder.bids]
    asks = [(float(quote.px) - 60_000) / 6 for quote in ladder.asks]
    return bids, asks


def _reasons(ctx: FakeContext) -> list[str]:
    reasons = ctx.explained[ID]["reasons"]
    assert isinstance(reasons, tuple)
    return list(reasons)


def test_flat_it_quotes_both_sides_in_layers() -> None:
    ctx, _ = _started()
    bids, asks = _distances(ctx)
    assert bids == pytest.approx([2, 4, 6])
    assert asks == pytest.approx([2, 4, 6])
    assert {quote.qty for quote in _ladder(ctx).bids + _ladder(ctx).asks} == {Decimal("0.005")}
    assert _reasons(ctx) == []


def test_a_long_position_lowers_both_sides_and_a_short_one_raises_them() -> None:
    quarter_full = 5_000 / 60_000 / 4
    for sign in (1, -1):
        ctx, _ = _started(position=f"{sign * quarter_full:.6f}")
        bids, asks = _distances(ctx)
        assert bids[0] == pytest.approx(2 + sign * 1.25, abs=1e-3)
        assert asks[0] == pytest.approx(2 - sign * 1.25, abs=1e-3)
        assert ctx.explained[ID]["skew_bps"] == pytest.approx(-sign * 1.25, abs=1e-3)


def test_a_reducing_quote_never_crosses_the_touch() -> None:
    ctx, _ = _started(position="0.083")
    ladder = _ladder(ctx)
    assert float(ladder.asks[0].px) == 60_000.0
    assert float(ladder.asks[0].px) > MID_BOOK.bid_px


@pytest.mark.parametrize(("position", "quoting", "silent"), [("0.0833", "asks", "bids"), ("-0.0833", "bids", "asks")])
def test_at_the_cap_only_the_reducing_side_quotes(position: str, quoting: str, silent: str) -> None:
    ctx, _ = _started(position=position)
    ladder = _ladder(ctx)
    assert len(getattr(ladder, quoting)) == 3
    assert getattr(ladder, silent) == ()
    assert _reasons(ctx) == [f"{silent}: position limit"]


def test_the_cap_is_filled_with_what_fits_and_no_more() -> None:
    ctx, _ = _started(position="0.07")
    bids = _ladder(ctx).bids
    assert [quote.qty for quote in bids] == [Decimal("0.005"), Decimal("0.005"), Decimal("0.003")]


def test_an_order_being_cancelled_counts_against_the_cap() -> None:
    ctx, maker = _started(position="0.07")
    ctx.live_orders.append(own_order(BTC, Side.BUY, "59000", "0.005", OrderState.CANCEL_SENT))
    _show(ctx, maker, MID_BOOK)
    assert sum(quote.qty for quote in _ladder(ctx).bids) == Decimal("0.008")


def test_the_cap_is_valued_at_the_mark_when_that_is_higher() -> None:
    ctx, maker = _started(position="0.07")
    ctx.tickers[ID] = Ticker(ID, Decimal(66_000), None, None, None, 0, START_NS, START_NS)
    _show(ctx, maker, MID_BOOK)
    assert sum(quote.qty for quote in _ladder(ctx).bids) == Decimal("0.005")


def test_no_limit_is_no_quotes() -> None:
    ctx = FakeContext(BTC)
    ctx.position_limit = Decimal(0)
    ctx.books[ID] = MID_BOOK
    _maker(ctx).on_start(ctx)
    assert _ladder(ctx) == Ladder((), ())


def test_an_order_notional_under_the_venues_minimum_is_explained() -> None:
    ctx, _ = _started(order_notional=50)
    assert _ladder(ctx) == Ladder((), ())
    assert _reasons(ctx) == [
        "bids: layer 0 of 49.99 is below the venue's minimum",
        "asks: layer 0 of 50.01 is below the venue's minimum",
    ]


def test_after_a_fill_its_side_rests_and_the_other_goes_on() -> None:
    ctx, maker = _started()
    ctx.fill(maker, Side.BUY, "0.005", "59988", ID)
    assert _ladder(ctx).bids == ()
    assert len(_ladder(ctx).asks) == 3
    assert _reasons(ctx) == ["bids: cooling down after a fill"]
    ctx.wait(maker, 1.999)
    assert _ladder(ctx).bids == ()
    ctx.wait(maker, 0.001)
    assert len(_ladder(ctx).bids) == 3


def _resting(layer: int, px: str, cum_qty: str = "0", state: OrderState = OrderState.OPEN) -> OrderView:
    order = own_order(BTC, Side.BUY, px, "0.005", state)
    return msgspec.structs.replace(order, tag=quote_tag(Side.BUY, layer), cum_qty=Decimal(cum_qty))


def _after_a_fill_with(*orders: OrderView) -> list[tuple[int, float]]:
    """Return layer and price of each bid wanted while the bids cool down with these orders resting."""
    ctx, maker = _started()
    ctx.live_orders.extend(orders)
    ctx.fill(maker, Side.BUY, "0.005", "59988", ID)
    return [(quote.layer, float(quote.px)) for quote in _ladder(ctx).bids]


def test_layers_that_rest_keep_their_place_while_their_side_cools_down() -> None:
    ctx, _ = _started()
    wanted = [float(quote.px) for quote in _ladder(ctx).bids]
    below = [str(BTC.round_px(px - 20, Side.BUY)) for px in wanted]
    kept = _after_a_fill_with(_resting(1, below[1]), _resting(2, below[2]))
    assert kept == [(1, float(below[1])), (2, float(below[2]))]


def test_a_layer_that_rests_too_near_moves_outwards_while_its_side_cools_down() -> None:
    ctx, _ = _started()
    wanted = [float(quote.px) for quote in _ladder(ctx).bids]
    assert _after_a_fill_with(_resting(1, "59999.0")) == [(1, pytest.approx(wanted[1], rel=1e-4))]


@pytest.mark.parametrize(
    "order",
    [
        _resting(1, "59900", cum_qty="0.001"),
        _resting(1, "59900", state=OrderState.CANCEL_SENT),
        _resting(1, "59900", state=OrderState.UNKNOWN),
    ],
)
def test_what_was_partly_filled_or_is_going_is_not_kept(order: OrderView) -> None:
    assert _after_a_fill_with(order) == []


def test_a_second_fill_prolongs_the_rest() -> None:
    ctx, maker = _started()
    ctx.fill(maker, Side.SELL, "0.005", "60012", ID)
    ctx.wait(maker, 1.5)
    ctx.fill(maker, Side.SELL, "0.005", "60012", ID)
    ctx.wait(maker, 1.9)
    assert _ladder(ctx).asks == ()
    ctx.wait(maker, 0.1)
    assert len(_ladder(ctx).asks) == 3


def test_quotes_are_stated_anew_every_refresh_interval_without_any_event() -> None:
    ctx, maker = _started()
    before = ctx.quote_calls
    ctx.wait(maker, 5.0)
    assert ctx.quote_calls == before + 5


def test_a_stale_book_withdraws_the_ladder_at_once() -> None:
    ctx, maker = _started()
    del ctx.books[ID]
    maker.on_connectivity(ctx, BookStale(ID, StaleReason.GAP, ctx.time_ns))
    assert _ladder(ctx) == Ladder((), ())
    assert _reasons(ctx) == ["no fresh book"]


def test_a_book_that_vanished_unannounced_is_noticed_at_the_next_refresh() -> None:
    ctx, maker = _started()
    del ctx.books[ID]
    ctx.wait(maker, 1.0)
    assert _ladder(ctx) == Ladder((), ())


def test_quotes_return_with_the_book() -> None:
    ctx, maker = _started()
    del ctx.books[ID]
    ctx.wait(maker, 3.0)
    _show(ctx, maker, MID_BOOK)
    assert len(_ladder(ctx).bids) == len(_ladder(ctx).asks) == 3


def test_it_starts_without_a_book() -> None:
    ctx = FakeContext(BTC)
    maker = _maker(ctx)
    maker.on_start(ctx)
    assert _ladder(ctx) == Ladder((), ())
    assert "refresh" in ctx.timers


def test_microprice_leans_towards_the_thinner_side_and_mid_does_not() -> None:
    heavy_bid = book(BTC, "59990", "60010", bid_lots=300, ask_lots=100)
    fair = {}
    for name in ("microprice", "mid"):
        ctx, maker = _started(fair=name)
        _show(ctx, maker, heavy_bid)
        fair[name] = ctx.explained[ID]["fair"]
    assert fair == {"microprice": pytest.approx(60_005.0), "mid": pytest.approx(60_000.0)}


def test_a_target_position_is_where_it_does_not_lean() -> None:
    ctx, _ = _started(position="0.02", target_position="0.02")
    bids, asks = _distances(ctx)
    assert (bids[0], asks[0]) == pytest.approx((2.0, 2.0))


def test_quotes_are_never_nearer_than_the_costs() -> None:
    ctx = FakeContext(BTC)
    ctx.fees = (Decimal("0.0002"), Decimal("0.0005"))
    ctx.books[ID] = MID_BOOK
    _maker(ctx, half_spread_bps=1).on_start(ctx)
    bids, asks = _distances(ctx)
    assert (bids[0], asks[0]) == pytest.approx((2.5, 2.5))
    assert ctx.explained[ID]["floor"] == "maker fee 2 bps + min_edge_bps 0.5"


@pytest.mark.parametrize(("assumed", "floor_bps"), [({}, 2.5), ({"assumed_maker_fee_bps": 0.3}, 0.8)])
def test_an_unknown_maker_fee_counts_as_the_assumed_one(assumed: dict[str, float], floor_bps: float) -> None:
    ctx = FakeContext(BTC)
    ctx.fees = (None, None)
    ctx.books[ID] = MID_BOOK
    _maker(ctx, half_spread_bps=0.1, **assumed).on_start(ctx)
    assert _distances(ctx)[0][0] == pytest.approx(floor_bps)


def test_stopping_cancels_everything() -> None:
    ctx, maker = _started()
    maker.on_stop(ctx)
    assert ctx.cancelled_all == [ID]


def test_replayed_trades_are_not_evidence() -> None:
    ctx, maker = _started(model="glft")
    _watch(ctx, maker, 20, replayed=True)
    doubts = ctx.explained[ID]["doubts"]
    assert isinstance(doubts, tuple)
    assert "0 of 50 trades reached for bids" in doubts


def _watch(ctx: FakeContext, maker: MarketMaker, seconds: int, *, replayed: bool = False) -> None:
    """Live through a market whose mid swings by 2 bps and whose trades reach 0.3 to 3 bps on both sides."""
    for second in range(seconds):
        swing = (0, 60, 120, 60)[second % 4]
        shown = FakeBook(BTC, ((599_999 + swing, 100),), ((600_001 + swing, 100),))
        _show(ctx, maker, shown)
        depth = Decimal(second % 10 * 2 + 2)
        mid = Decimal(60_000) + Decimal(swing) / 10
        for side in Side:
            ctx.trade(maker, BTC, str(mid + side.sign * depth), side, replayed=replayed)
        ctx.wait(maker, 1.0)


def test_the_default_model_warms_up_and_then_quotes_its_estimates() -> None:
    ctx, maker = _started(model="glft")
    _watch(ctx, maker, 58)
    assert ctx.explained[ID]["warming_up"] is True
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(3.0)
    _watch(ctx, maker, 4)
    inputs = ctx.explained[ID]
    assert inputs["warming_up"] is False
    for name in ("sigma", "A_bid", "A_ask", "kappa_bid", "kappa_ask", "gamma"):
        value = inputs[name]
        assert isinstance(value, float)
        assert value > 0
    assert inputs["half_spread_bps"] != pytest.approx(3.0)
    assert len(_ladder(ctx).bids) == len(_ladder(ctx).asks) == 3


def test_estimates_that_grew_stale_fall_back_to_the_warm_up_spread() -> None:
    ctx, maker = _started(model="glft")
    _watch(ctx, maker, 62)
    ctx.wait(maker, 125.0)
    assert ctx.explained[ID]["warming_up"] is True
    assert ctx.explained[ID]["half_spread_bps"] == pytest.approx(3.0)


def test_inert_parameters_are_told_once_and_shown_always() -> None:
    ctx, maker = _started(model="avellaneda_stoikov", gamma=1e-6, kappa=1000)
    _watch(ctx, maker, 130)
    (notice,) = ctx.notices
    level, name, fields = notice
    assert (level, name) == ("warning", "parameters_inert")
    assert fields["kappa"] == "kappa = 1000 per USDT does not matter now: halved or doubled, no quote moves"
    inert = ctx.explained[ID]["inert"]
    assert isinstance(inert, tuple)
    assert fields["kappa"] in inert


def test_the_same_events_give_the_same_quotes() -> None:
    def session() -> list[Any]:
        ctx, maker = _started(model="glft")
        said = []
        for _ in range(20):
            _watch(ctx, maker, 5)
            said.append((_ladder(ctx), dict(ctx.explained[ID])))
        return said

    assert session() == session()


def test_it_hears_about_books_trades_and_fills_of_its_instrument() -> None:
    ctx = FakeContext(BTC)
    maker = _maker(ctx)
    assert {"on_book", "on_trade", "on_fill", "on_timer", "on_connectivity", "on_stop"} <= MarketMaker.hooks
    (subscription,) = maker.subscriptions()
    assert (subscription.instrument, subscription.book_interval_ms) == (ID, 50)


def _bars(*closes: float) -> list[Bar]:
    """Bars of a minute up to now."""
    first_ns = START_NS - len(closes) * 60 * NS_PER_S
    return [
        Bar(ID, 60, first_ns + n * 60 * NS_PER_S, px, px + 1, px - 1, px, 1.0, 1, START_NS)
        for n, px in enumerate(closes)
    ]


CALM_BARS = _bars(*(60_000.0 + 10 * (-1) ** n for n in range(40)))
FALL_BARS = _bars(*(60_000.0 + 10 * (-1) ** n for n in range(39)), 59_900.0)
MARCH_BARS = _bars(*(60_000.0 + 10 * n for n in range(60)))


def _in_regime(
    bars: list[Bar], position: str = "0", *, entry: str = "0", regime: dict[str, Any] | None = None, **quoting: Any
) -> tuple[FakeContext, MarketMaker]:
    """A maker that starts after these bars."""
    ctx = FakeContext(BTC)
    ctx.past_bars = bars
    ctx.hold(ID, position, entry=entry)
    ctx.books[ID] = MID_BOOK
    maker = _maker(ctx, regime=regime or {}, **quoting)
    maker.on_start(ctx)
    return ctx, maker


def test_the_bars_of_before_the_start_make_the_filter_warm() -> None:
    ctx, _ = _in_regime(FALL_BARS)
    assert ctx.explained[ID]["signal"] == "buy"
    ctx, _ = _in_regime([])
    assert ctx.explained[ID]["regime"] == "warming up, 0 bars"


def test_it_hears_of_bars_of_the_length_its_filter_reads() -> None:
    ctx = FakeContext(BTC)
    assert _maker(ctx, regime={"bar_s": 300}).subscriptions()[0].bars_s == (300,)
    assert _maker(ctx, regime={"filter": "none"}).subscriptions()[0].bars_s == ()


def test_a_signal_adds_two_orders_on_its_side() -> None:
    ctx, _ = _in_regime(FALL_BARS)
    bids, asks = _distances(ctx)
    assert bids == pytest.approx([2, 4, 6, 5, 10])
    assert asks == pytest.approx([2, 4, 6])
    assert [quote.layer for quote in _ladder(ctx).bids] == [0, 1, 2, 3, 4]
    ctx, _ = _in_regime(FALL_BARS, regime={"boost_near_bps": 3, "boost_far_bps": 7})
    assert _distances(ctx)[0] == pytest.approx([2, 4, 6, 3, 7])


@pytest.mark.parametrize(("bars", "regime"), [(CALM_BARS, {}), (FALL_BARS, {"boost": False})])
def test_without_a_signal_or_switched_off_there_is_no_boost(bars: list[Bar], regime: dict[str, Any]) -> None:
    ctx, _ = _in_regime(bars, regime=regime)
    assert len(_ladder(ctx).bids) == 3


def test_the_boost_stays_inside_the_position_limit() -> None:
    ctx, _ = _in_regime(FALL_BARS, position="0.065")
    assert sum(quote.qty for quote in _ladder(ctx).bids) == Decimal("0.018")


def test_a_new_bar_takes_the_signal_away() -> None:
    ctx, maker = _in_regime(FALL_BARS)
    (after,) = _bars(60_000.0)
    maker.on_bar(ctx, msgspec.structs.replace(after, open_ns=START_NS))
    ctx.wait(maker, 1.0)
    assert len(_ladder(ctx).bids) == 3
    assert str(ctx.explained[ID]["latch"]).startswith("released 0 s ago: ")


def test_a_latched_signal_boosts_until_its_time_is_over() -> None:
    ctx, maker = _in_regime(FALL_BARS, position="0.01", regime={"latch_max_s": 100, "latch_release_buy_rsi": 99})
    (after,) = _bars(59_950.0)
    maker.on_bar(ctx, msgspec.structs.replace(after, open_ns=START_NS))
    ctx.wait(maker, 98.0)
    assert len(_ladder(ctx).bids) == 5
    assert str(ctx.explained[ID]["latch"]).startswith("buy, ")
    ctx.wait(maker, 3.0)
    assert len(_ladder(ctx).bids) == 3


def _next_life(memo: str, position: str = "0.01", seconds: float = 60) -> FakeContext:
    """What a maker says that starts with this memo, the fall behind it and its filter neutral."""
    ctx = FakeContext(BTC)
    (after,) = _bars(59_950.0)
    ctx.past_bars = [*FALL_BARS, msgspec.structs.replace(after, open_ns=START_NS)]
    ctx.time_ns += round(seconds * NS_PER_S)
    ctx.hold(ID, position)
    ctx.books[ID], ctx.memo = MID_BOOK, memo
    _maker(ctx, regime={"latch_release_buy_rsi": 99, "latch_max_s": 100}).on_start(ctx)
    return ctx


def test_a_latched_signal_outlives_a_restart() -> None:
    before, _ = _in_regime(FALL_BARS, position="0.01", regime={"latch_release_buy_rsi": 99, "latch_max_s": 100})
    after = _next_life(before.memo)
    assert len(_ladder(after).bids) == 5
    assert str(after.explained[ID]["latch"]).startswith("buy, remembered for 60 s, until RSI ")
    assert [(name, fields["side"], fields["held_s"]) for _, name, fields in after.notices] == [
        ("latch_restored", "buy", "60")
    ]
    assert len(_ladder(_next_life("")).bids) == 3


@pytest.mark.parametrize(
    ("position", "seconds", "why"), [("0", 60, "the position is flat"), ("0.01", 101, "latch_max_s = 100 passed")]
)
def test_what_ends_a_latch_ends_one_of_an_earlier_life_too(position: str, seconds: float, why: str) -> None:
    before, _ = _in_regime(FALL_BARS, position="0.01")
    after = _next_life(before.memo, position, seconds)
    assert len(_ladder(after).bids) == 3
    assert after.explained[ID]["latch"] == f"released 0 s ago: {why}"
    assert '"latch":null' in after.memo


def test_what_the_tuner_kept_outlives_a_life_without_a_tuner_in_which_a_signal_came() -> None:
    tuners = '{"keys":"of then","gamma":1.25,"kappa":1.0,"turn":0,"last":""}'
    ctx = FakeContext(BTC)
    ctx.past_bars, ctx.books[ID], ctx.memo = FALL_BARS, MID_BOOK, f'{{"adapt":{tuners},"latch":null}}'
    ctx.hold(ID, "0.01")
    _maker(ctx).on_start(ctx)
    assert '"latch":{"side":"buy"' in ctx.memo
    assert f'"adapt":{tuners}' in ctx.memo


@pytest.mark.parametrize("memo", ["nonsense", "[]", '{"latch":{"side":"up","since_ns":1}}'])
def test_a_memo_that_cannot_be_read_is_none(memo: str) -> None:
    assert len(_ladder(_next_life(memo)).bids) == 3


def test_a_signal_of_the_future_is_not_believed() -> None:
    memo = f'{{"latch":{{"side":"buy","since_ns":{START_NS + 10**15}}}}}'
    assert len(_ladder(_next_life(memo)).bids) == 3


def test_a_trend_makes_half_spread_and_spacing_wider() -> None:
    ctx, _ = _in_regime(MARCH_BARS, regime={"filter": "adx"})
    assert _distances(ctx)[0] == pytest.approx([3, 6, 9])
    ctx, _ = _in_regime(MARCH_BARS, regime={"filter": "adx", "trending_width_mult": 2})
    assert _distances(ctx)[0] == pytest.approx([4, 8, 12])


def test_in_a_trend_only_what_reduces_is_quoted_when_so_asked() -> None:
    ctx, _ = _in_regime(MARCH_BARS, position="0.008", regime={"filter": "adx", "when_trending": "reduce"})
    assert _ladder(ctx).bids == ()
    assert sum(quote.qty for quote in _ladder(ctx).asks) == Decimal("0.008")
    assert _reasons(ctx) == ["only what reduces the position is quoted: the market trends"]


def test_in_a_trend_nothing_is_quoted_when_so_asked() -> None:
    ctx, _ = _in_regime(MARCH_BARS, regime={"filter": "adx", "when_trending": "pause"})
    assert _ladder(ctx) == Ladder((), ())
    assert _reasons(ctx) == ["nothing is quoted: the market trends"]


def test_the_anchor_holds_exits_at_entry_without_a_signal() -> None:
    ctx, _ = _in_regime(CALM_BARS, position="0.01", entry="60030", regime={"anchor": True})
    assert float(_ladder(ctx).asks[0].px) == pytest.approx(60_030)
    assert "asks: held at the entry price by the anchor" in _reasons(ctx)
    ctx, _ = _in_regime(CALM_BARS, position="0.01", entry="60030")
    assert float(_ladder(ctx).asks[0].px) < 60_020


def test_the_anchor_lets_a_loss_through_on_a_signal() -> None:
    ctx, _ = _in_regime(FALL_BARS, position="0.01", entry="60300", regime={"anchor": True})
    assert float(_ladder(ctx).asks[0].px) < 60_020
    ctx, _ = _in_regime(FALL_BARS, position="0.01", entry="60500", regime={"anchor": True})
    assert float(_ladder(ctx).asks[0].px) == pytest.approx(60_500 * 0.995)
    keys = {"anchor": True, "anchor_signal_loss_bps": 20}
    ctx, _ = _in_regime(FALL_BARS, position="0.01", entry="60500", regime=keys)
    assert float(_ladder(ctx).asks[0].px) == pytest.approx(60_500 * 0.998)


def test_the_anchor_does_not_hold_back_a_position_over_its_limit() -> None:
    ctx, _ = _in_regime(CALM_BARS, position="0.1", entry="60300", regime={"anchor": True})
    assert float(_ladder(ctx).asks[0].px) < 60_020

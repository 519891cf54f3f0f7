"""What people are shown: figures that are the core's, and a state that says why."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

import msgspec
import pytest
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, MAIN, Rig, instrument

from perpmaker.clock import ManualClock
from perpmaker.control.messages import Status
from perpmaker.engine.records import FillBooked
from perpmaker.engine.telemetry import Telemetry
from perpmaker.engine.view import About, View
from perpmaker.logs import RecentLines
from perpmaker.model.book import Book
from perpmaker.model.events import Bar, BookStale, Channel, StaleReason, Trade
from perpmaker.model.ids import TradeId
from perpmaker.model.order import Side
from perpmaker.strategies.api import Context, Explained, StrategyParams, Subscription
from perpmaker.strategies.registry import make_strategy


class Shown:
    """A rig and the view of it."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.clock = ManualClock(rig.now_ns)
        about = About("test", 1, "grvt", "local", "live", 1, lambda: "/journal", {MAIN: "ccxt:grvt"})
        self.view = View(rig.engine, about, Telemetry(), RecentLines(), self.clock, warnings=lambda: ["from outside"])


@pytest.fixture
def shown() -> Shown:
    return Shown(Rig(made(Maker)).start())


def now(shown: Shown) -> Status:
    shown.clock.advance(max(shown.rig.now_ns - shown.clock.now_ns(), 0))
    shown.view.renew()
    return shown.view.status()


def test_a_trading_engine_is_running_and_shows_its_quotes(shown: Shown) -> None:
    status = now(shown)
    assert (status.state, status.reason, status.equity) == ("running", "", "100000")
    assert {(row.side, row.px, row.state, row.tag) for row in status.open_orders} == {
        ("buy", "59940.0", "open", "quote bid 0"),
        ("sell", "60060.0", "open", "quote ask 0"),
    }
    assert status.books[BTC].bid == "59999.5"
    assert status.strategies[0].state == "quoting"
    assert status.strategies[0].inputs["fair"] == 60000.0
    assert status.warnings == ["from outside"]


def test_a_status_tells_each_accounts_way_limits_and_halt(shown: Shown) -> None:
    (row,) = now(shown).accounts
    assert (row.account, row.venue, row.exchange, row.currency, row.halted) == ("main", "ccxt:grvt", "grvt", "USDT", "")
    assert (row.max_order_notional, row.max_position_notional, row.price_collar_bps) == ("1000", "5000", "100")
    shown.rig.operate("halt", reason="a drill")
    assert now(shown).accounts[0].halted == "a drill"


def test_a_status_of_an_older_engine_without_accounts_is_still_read(shown: Shown) -> None:
    older = msgspec.json.decode(msgspec.json.encode(now(shown)))
    del older["accounts"]
    assert msgspec.convert(older, Status).accounts == []


def test_every_part_of_a_status_can_be_written_as_json(shown: Shown) -> None:
    text = msgspec.json.encode(now(shown))
    assert msgspec.json.decode(text, type=Status) == now(shown)


def test_a_fill_moves_position_equity_and_parts(shown: Shown) -> None:
    shown.rig.fill(shown.rig.quotes(side=Side.BUY)[0])
    status = now(shown)
    (row,) = status.positions
    assert (row.qty, row.avg_entry_px, row.unrealized_pnl) == ("0.010", "59940", "0.6")
    assert row.fees == "0.05994"
    assert status.fills_total == 1
    assert status.volume == "599.4"
    parts = [Decimal(getattr(status.pnl, name)) for name in ("spread", "adverse", "inventory", "fees", "funding")]
    assert sum(parts) == Decimal(str(status.equity)) - 100_000
    assert parts[3] == Decimal("-0.05994")


@pytest.mark.parametrize(
    ("kind", "state", "strategy"),
    [
        ("pause", "paused", "paused"),
        ("kill", "killed", "waiting"),
        ("stop", "stopping", "stopped"),
        ("halt", "halted", "waiting"),
    ],
)
def test_the_state_says_what_people_did(shown: Shown, kind: str, state: str, strategy: str) -> None:
    shown.rig.operate(kind, reason="because")
    status = now(shown)
    assert (status.state, status.strategies[0].state) == (state, strategy)


def test_an_engine_that_is_not_ready_says_what_it_waits_for() -> None:
    shown = Shown(Rig(made(Maker)).start(ready=False))
    shown.rig.link(MAIN, Channel.PRIVATE, up=False)
    assert now(shown).state == "starting"
    assert "BTC_USDT_Perp" in now(shown).reason


def test_a_stale_book_shows_no_prices_but_its_reason(shown: Shown) -> None:
    shown.rig.feed(BookStale(BTC, StaleReason.GAP, shown.rig.now_ns))
    status = now(shown)
    assert (status.books[BTC].bid, status.books[BTC].stale) == (None, "gap")
    assert status.strategies[0].reason == "book is stale: gap"
    assert shown.view.books()[BTC].bids == []


def test_the_ladder_shows_our_own_quantity_at_its_price(shown: Shown) -> None:
    shown.rig.mid[BTC] = Decimal(60_000)
    shown.rig.book(half_ticks=598)  # so that our quotes are inside the levels shown
    rows = shown.view.books()[BTC]
    assert len(rows.bids) == 15
    assert {own for px, _, own in rows.bids if px == "59940.0"} == {"0.010"}
    assert {own for px, _, own in rows.bids if px != "59940.0"} == {"0.000"}


def test_the_status_is_assembled_at_most_ten_times_a_second(shown: Shown) -> None:
    first = shown.view.status()
    assert shown.view.status() is first
    shown.clock.advance(99_000_000)
    assert shown.view.status() is first
    shown.clock.advance(1_000_000)
    assert shown.view.status() is not first


def test_fills_are_numbered_and_found_by_number(shown: Shown) -> None:
    for _ in range(3):
        shown.rig.fill(shown.rig.live()[0], Decimal("0.002"))
    for record in shown.rig.records:
        if isinstance(record, FillBooked):
            shown.view.on_fill(record)
            shown.view.on_fill(record)  # a repetition
    assert [row.number for row in shown.view.last_fills(2)] == [3, 2]
    assert [row.number for row in shown.view.fills_after(1)] == [2, 3]
    assert shown.view.fills_after(3) == []


def test_equity_points_are_counted_over_all_that_was_ever_noted(shown: Shown) -> None:
    for _ in range(5):
        shown.view.sample_equity()
    points, number = shown.view.equity_after(0)
    assert (len(points), number) == (5, 5)
    assert shown.view.equity_after(3)[0] == points[3:]
    assert shown.view.equity_after(5) == ([], 5)


def test_candles_come_from_trades_and_give_way_to_the_venues_own(shown: Shown) -> None:
    begin_ns = shown.rig.now_ns // (60 * 10**9) * 60 * 10**9

    def trade(ticks: int, at_s: int) -> Trade:
        at_ns = begin_ns + at_s * 10**9
        return Trade(BTC, ticks, 10, Side.BUY, TradeId(str(at_s)), at_ns, at_ns)

    for ticks, at_s in ((600_000, 1), (600_100, 2), (599_900, 3), (600_000, 61)):
        shown.view.charts.on_event(trade(ticks, at_s), instrument())
    first, forming = shown.view.charts.since({})[BTC]
    assert (first.open, first.high, first.low, first.close) == (60000.0, 60010.0, 59990.0, 59990.0)
    assert first.volume == pytest.approx(0.03)
    assert forming.open_s == first.open_s + 60
    bar = Bar(BTC, 60, begin_ns, 1.0, 2.0, 0.5, 1.5, 9.0, 3, begin_ns)
    shown.view.charts.on_event(bar, instrument())
    assert shown.view.charts.since({})[BTC][0].close == 1.5
    earlier = Bar(BTC, 60, begin_ns - 60 * 10**9, 1.0, 2.0, 0.5, 1.0, 9.0, 3, begin_ns)
    shown.view.charts.on_event(earlier, instrument())
    assert [row.open_s for row in shown.view.charts.since({})[BTC]] == [
        first.open_s - 60,
        first.open_s,
        first.open_s + 60,
    ]
    assert shown.view.charts.since({BTC: forming.open_s})[BTC] == [forming]


def test_strategies_that_may_keep_more_orders_than_the_limit_are_warned_of_until_it_is_wider() -> None:
    params = {"instrument": BTC, "quoting": {"layers": 4}, "regime": {"filter": "none"}}
    shown = Shown(Rig(made(lambda _: make_strategy("market_maker", params))).start())
    limits = shown.rig.engine.world.limits
    limits[MAIN] = msgspec.structs.replace(limits[MAIN], max_open_orders=7)
    (_, told) = now(shown).warnings
    assert told.startswith("account main: max_open_orders = 7 leaves no room for the 8 orders")
    limits[MAIN] = msgspec.structs.replace(limits[MAIN], max_open_orders=8)
    assert now(shown).warnings == ["from outside"]


class Explainer(Maker):
    """Explains what it is told to."""

    inputs: ClassVar[dict[str, Explained]] = {}

    def on_book(self, ctx: Context, book: Book) -> None:
        ctx.explain(self.params.instrument, self.inputs)


TRENDS = ("nothing is quoted: the market trends",)
SAID: list[tuple[str, dict[str, Explained], tuple[str, str]]] = [
    ("market_maker", {"bids": ("59988 x 0.005",), "asks": (), "reasons": ("asks: no room",)}, ("quoting", "")),
    ("market_maker", {"bids": (), "asks": (), "reasons": TRENDS}, ("no quotes", TRENDS[0])),
    ("market_maker", {"bids": (), "asks": (), "warming_up": True, "reasons": TRENDS}, ("warming up", "")),
    ("my.py:Own", {"fair": 60_000.0}, ("quoting", "")),
    ("pair", {"phase": "hold"}, ("quoting", "")),
    ("grid", {"phase": "working"}, ("quoting", "")),
    ("grid", {"phase": "waiting", "reasons": ("begins at 70000 or above",)}, ("waiting", "begins at 70000 or above")),
    ("grid", {"phase": "stopped"}, ("stopped", "")),
]


@pytest.mark.parametrize(("kind", "inputs", "told"), SAID)
def test_only_what_states_quotes_is_said_to_be_quoting(
    kind: str, inputs: dict[str, Explained], told: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Explainer, "inputs", inputs)
    spec = msgspec.structs.replace(made(Explainer), kind=kind)
    (row,) = now(Shown(Rig(spec).start())).strategies
    assert (row.word, row.why) == told


def test_what_hinders_a_strategy_is_its_word_and_reason(shown: Shown) -> None:
    shown.rig.operate("pause")
    (row,) = now(shown).strategies
    assert (row.state, row.word, row.why) == ("paused", "paused", row.reason)


class Bare(Maker):
    """Somebody's own that does not keep its parameters."""

    def __init__(self, params: StrategyParams) -> None:
        self.instrument = params.instrument

    def subscriptions(self) -> Sequence[Subscription]:
        return (Subscription(self.instrument),)

    def on_start(self, ctx: Context) -> None: ...

    def on_book(self, ctx: Context, book: Book) -> None: ...


def test_a_strategy_that_keeps_no_parameters_is_shown_too() -> None:
    status = now(Shown(Rig(made(Bare)).start()))
    assert (status.strategies[0].word, status.warnings) == ("quoting", ["from outside"])

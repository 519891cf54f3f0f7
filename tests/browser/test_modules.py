"""The pure modules of the front end, run in the browser that will run them."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from tests.browser.stacks import FakeStack
from tests.unit.strategies.latched import latched_life

pytestmark = [pytest.mark.mostly_waits, pytest.mark.timeout(240)]


@pytest.fixture
def page(browser: Browser, pair_stack: FakeStack) -> Any:
    """A page of the dashboard, which serves the same modules whatever engine is behind it."""
    opened = browser.new_page()
    opened.goto(pair_stack.url)
    yield opened
    opened.close()


def call(page: Page, module: str, function: str, *arguments: Any) -> Any:
    script = "async ([module, name, args]) => (await import(`/static/js/${module}.js`))[name](...args)"
    return page.evaluate(script, [module, function, list(arguments)])


FORMATS = [
    ("decimal", ["1234567.8900"], "1,234,567.8900"),
    ("decimal", ["-1234.5"], "−1,234.5"),
    ("decimal", ["999"], "999"),
    ("decimal", ["12345678901234567890.123"], "12,345,678,901,234,567,890.123"),
    ("decimal", [None], "–"),
    ("decimal", ["NaN"], "NaN"),
    ("padded", ["1250.1", 3], "1,250.100"),
    ("padded", ["7", 2], "7.00"),
    ("padded", ["0.12345", 2], "0.12345"),
    ("padded", [None, 2], "–"),
    ("rounded", ["99999.995", 2], "99,999.99"),
    ("rounded", ["-0.001", 2], "0.00"),
    ("rounded", [None, 2], "–"),
    ("rounded", ["Infinity", 2], "–"),
    ("signed", ["1.5", 2], "+1.50"),
    ("signed", ["-1.5", 2], "−1.50"),
    ("signed", ["0.0001", 2], "0.00"),
    ("significant", [0.000123456, 3], "0.000123"),
    ("significant", [123456.7, 4], "123,457"),
    ("percent", [0.0123, 2], "1.23 %"),
    ("age", [340], "0.3 s"),
    ("age", [61_000], "61 s"),
    ("age", [600_000], "10 min"),
    ("age", [None], "–"),
    ("micros", [4.21], "4.2 µs"),
    ("micros", [26_400], "26.4 ms"),
    ("middle", ["60000.1", "60000.2"], "60000.15"),
    ("middle", ["60000.1", "60000.3"], "60000.2"),
    ("middle", [None, "1"], None),
    ("clean", ["a\u202eb\u0007c", 40], "a�b�c"),
    ("clean", ["x" * 50, 10], "x" * 10 + "…"),
    ("base", ["BTC_USDT_Perp"], "BTC"),
]


def test_numbers_and_text_are_written_as_people_read_them(page: Page) -> None:
    wrong = [
        (name, arguments, got, expected)
        for name, arguments, expected in FORMATS
        if (got := call(page, "format", name, *arguments)) != expected
    ]
    assert wrong == []


SEEN = {"openedAt": 0, "frameAt": 1000, "ageAtFrame": 50, "lagMs": 10, "connected": True, "gap": False}


@pytest.mark.parametrize(
    ("change", "now", "state"),
    [
        ({}, 1100, "live"),
        ({}, 2939, "live"),
        ({}, 2940, "stale"),
        ({}, 3339, "stale"),
        ({}, 3340, "gone"),
        ({"connected": False}, 1100, "stale"),
        ({"gap": True}, 1100, "stale"),
        ({"ageAtFrame": 5000}, 1001, "gone"),
        ({"lagMs": 19_000}, 1001, "gone"),
        ({"frameAt": None}, 1000, "connecting"),
        ({"frameAt": None}, 2700, "gone"),
        ({"ageAtFrame": None}, 2700, "gone"),
    ],
)
def test_old_numbers_are_called_old(page: Page, change: dict[str, Any], now: int, state: str) -> None:
    assert call(page, "freshness", "judge", {**SEEN, **change}, now)["state"] == state


def test_a_full_frame_replaces_everything_and_others_add(page: Page) -> None:
    got = page.evaluate(
        """async () => {
          const { apply, empty, fits } = await import('/static/js/picture.js');
          const nothing = { books: {}, candles: {}, fills: [], equity: [], logs: [], status: {} };
          const head = { ts_ns: '1', lag_ms: 0, link: {}, version: '', page: '' };
          const frame = (number, full, parts) => ({ ...head, ...nothing, number, full, ...parts });
          const candle = (open_s, close) => ({ open_s, open: 1, high: 2, low: 0, close, volume: 1 });
          const first = apply(empty(), frame(1, true, {
            status: { a: 1, b: 1 },
            fills: [{ number: 1 }],
            books: JSON.parse('{"__proto__": {"x": 1, "bids": [["1.25"]], "asks": []}}'),
            candles: { X: [candle(0, 1), candle(60, 1)] },
          }));
          const second = apply(first, frame(2, false, {
            status: { b: 2 },
            fills: [{ number: 2 }],
            candles: { X: [candle(60, 5), candle(120, 6)] },
          }));
          const late = apply(second, frame(3, false, { candles: { X: [candle(90, 9)] } }));
          const full = apply(second, frame(9, true, { status: { c: 3 } }));
          return {
            status: second.status,
            fills: second.fills.length,
            closes: second.candles.get('X').map((bar) => bar.close),
            late: late.candles.get('X').map((bar) => bar.open_s),
            untouched: first.fills.length,
            polluted: ({}).x ?? null,
            hasProto: second.books.has('__proto__'),
            places: second.places.get('__proto__'),
            full: [full.status, full.fills, full.candles.size],
            fits: [
              fits(second, frame(3, false)),
              fits(second, frame(4, false)),
              fits(second, frame(4, true)),
              fits(empty(), frame(1, false)),
            ],
          };
        }"""
    )
    assert got == {
        "status": {"a": 1, "b": 2},
        "fills": 2,
        "closes": [1, 5, 6],
        "late": [0, 60, 90, 120],
        "untouched": 1,
        "polluted": None,
        "hasProto": True,
        "places": 2,
        "full": [{"c": 3}, [], 0],
        "fits": [True, False, True, False],
    }


def a_fill(second: int, side: str, qty: str = "1", instrument: str = "X") -> dict[str, str]:
    return {"instrument": instrument, "ts_event_ns": f"{second}000000000", "side": side, "qty": qty, "px": "10"}


def test_there_is_one_marker_for_each_bar_and_side(page: Page) -> None:
    bars = [{"open_s": 1_700_000_040 + 60 * i} for i in range(3)]
    start = 1_700_000_040
    fills = [a_fill(start - 1, "buy"), a_fill(start, "buy"), a_fill(start + 59, "buy", "2"), a_fill(start + 59, "sell")]
    fills += [a_fill(start + 60, "buy"), a_fill(start, "buy", instrument="Y")]
    markers = call(page, "series", "fillMarkers", fills, "X", bars, 60)
    assert [(one["time"] - start, one["side"], one["fills"], one["qty"]) for one in markers] == [
        (0, "buy", 2, 3),
        (0, "sell", 1, 1),
        (60, "buy", 1, 1),
    ]


def test_candles_join_into_longer_ones(page: Page) -> None:
    candles = [
        {"open_s": 300 + 60 * i, "open": i, "high": i + 2, "low": i - 1, "close": i + 1, "volume": 1} for i in range(7)
    ]
    bars = call(page, "series", "joined", candles, 60, 5)
    assert bars == [
        {"open_s": 300, "open": 0, "high": 6, "low": -1, "close": 5, "volume": 5},
        {"open_s": 600, "open": 5, "high": 8, "low": 4, "close": 7, "volume": 2},
    ]


def test_the_lines_of_a_grid_are_its_cells_edges_and_tell_which_closes_what_is_held(page: Page) -> None:
    levels = "100.0 101.0 long 0.5 0 0 0; 101.0 102.0 long 0 1.5 0.1 2; 102.0 103.0 short -0.2 0 0 0"
    rows = [{"instrument": "BTC", "inputs": {"grid_levels": levels}}, {"instrument": "ETH", "inputs": {}}]
    assert call(page, "series", "gridLines", rows, "BTC") == [
        {"px": 100, "held": ""},
        {"px": 101, "held": "long"},
        {"px": 102, "held": "short"},
        {"px": 103, "held": ""},
    ]
    assert call(page, "series", "gridLines", rows, "ETH") == []


def test_the_drawdown_is_the_fall_from_the_highest_point_so_far(page: Page) -> None:
    points = [{"ts_s": second, "equity": equity} for second, equity in ((1.2, 100), (1.9, 110), (2.5, 99), (3.5, 120))]
    rows = call(page, "series", "drawdown", points)
    assert [(row["time"], row["equity"], round(row["drawdown"], 6)) for row in rows] == [
        (1, 110, 0),
        (2, 99, -0.1),
        (3, 120, 0),
    ]


def test_what_takes_on_risk_needs_live_numbers_and_what_makes_safer_does_not(page: Page) -> None:
    status = {"kill_latched": False, "state": "running", "strategies": [{"state": "quoting"}, {"state": "paused"}]}
    for kind in ("resume", "close"):
        assert call(page, "commands", "unavailable", kind, status, "live") == ""
        assert "old" in call(page, "commands", "unavailable", kind, status, "stale")
    for kind in ("pause", "kill"):
        assert call(page, "commands", "unavailable", kind, status, "gone") == ""
    killed = {**status, "kill_latched": True}
    for kind in ("pause", "resume", "close"):
        assert "kill --clear" in call(page, "commands", "unavailable", kind, killed, "live")


RENDER_QUOTING = """async (row) => {
  const [{ QuotingPanel }, { html, render }] = await Promise.all([
    import('/static/js/panels/quoting.js'), import('/static/js/view.js'),
  ]);
  const box = document.body.appendChild(document.createElement('div'));
  render(html`<${QuotingPanel} instrument="BTC_USDT_Perp" strategies=${[row]} ageMs=${0} />`, box);
  const text = (id) => box.querySelector(`[data-testid=${id}]`)?.textContent ?? null;
  return {
    reasons: text('quoting-reasons'), regime: text('input-regime'), signal: text('input-signal'),
    latch: text('input-latch'), rsi: box.textContent.includes('RSI'), profit: text('input-grid_profit'),
    posterior: text('input-posterior'), makes: text('input-regime_makes'), tuner: text('input-adapt_makes'),
    lower: text('input-grid_lower'), grid: text('quoting-grid'), whole: box.textContent,
    state: text('strategy-state'), good: box.querySelector('.pill.good') !== null,
  };
}"""


def _quoting_panel(page: Page, **inputs: Any) -> dict[str, Any]:
    return _panel_of(page, "market_maker", inputs)


def _panel_of(page: Page, kind: str, inputs: dict[str, Any], **said: str) -> dict[str, Any]:
    row = {"name": "btc", "kind": kind, "account": "main", "instrument": "BTC_USDT_Perp", "state": "quoting"}
    found: dict[str, Any] = page.evaluate(RENDER_QUOTING, {**row, "reason": "", "inputs": inputs, **said})
    return found


def test_regime_signal_and_latch_are_shown_with_why_there_is_no_quote(page: Page) -> None:
    shown = _quoting_panel(
        page,
        regime="trending",
        signal="buy",
        latch="buy, remembered for 120 s",
        rsi=31.4,
        reasons="nothing is quoted: the market trends",
        bids="59988 x 0.005",
    )
    assert (shown["regime"], shown["signal"], shown["latch"]) == ("trending", "buy", "buy, remembered for 120 s")
    assert shown["reasons"] == "Why no quote: nothing is quoted: the market trends"
    assert shown["rsi"]
    assert shown["grid"] is None
    assert "59988 x" not in shown["whole"], "orders stand in their own table"


SAID: list[tuple[dict[str, str], str]] = [
    ({"word": "quoting"}, "quoting"),
    ({"word": "no quotes", "why": "nothing is quoted: the market trends"}, "no quotes"),
    ({"word": "waiting", "why": "begins at 70000 or above"}, "waiting"),
    ({}, "quoting"),  # of an older engine
]


def test_the_page_says_of_a_strategy_what_the_engine_says(page: Page) -> None:
    for said, word in SAID:
        shown = _panel_of(page, "market_maker", {"bids": "", "asks": ""}, **said)
        assert (shown["state"], shown["good"]) == (word, word == "quoting"), said


def test_a_grids_own_account_is_quoting_panel(page: Page) -> None:
    shown = _quoting_panel(
        page, model="grid neutral", phase="working", grid_lower="59000.0", grid_profit=12.5, grid_levels="1 2"
    )
    assert (shown["profit"], shown["lower"]) == ("12.50", "59,000.0")
    assert shown["regime"] is None
    assert "1 2" not in shown["whole"]


def test_a_signal_that_the_journal_remembers_is_shown_with_since_when_and_until_what(page: Page) -> None:
    """Fed by what a maker says that has started anew, with the memo of the life before and its filter neutral."""
    explained = latched_life()
    shown = _quoting_panel(page, **{key: explained[key] for key in ("regime", "signal", "latch", "rsi")})
    assert (shown["regime"], shown["signal"]) == ("neutral", "buy")
    rsi = f"{float(str(explained['rsi'])):.1f}"
    until = f"until RSI {rsi} is above 99, the position is flat, or 480 s have passed"
    assert shown["latch"] == f"buy, remembered for 120 s, {until}"


def test_the_regime_models_shares_and_factors_stand_beside_it_and_the_tuners_beside_it(page: Page) -> None:
    inputs = {
        "regime_model": "ranging 41%", "p_trending": 0.304, "p_ranging": 0.411, "p_volatile": 0.286,
        "regime_gamma_mult": 1.392, "regime_kappa_mult": 0.73, "regime_spacing_mult": 1.4,
        "adapt": "measuring as it is", "adapt_gamma_mult": 1.15, "adapt_kappa_mult": 1.0,
    }  # fmt: skip
    shown = _quoting_panel(page, **inputs)
    assert shown["posterior"] == "trending 30 %, ranging 41 %, volatile 29 %"
    assert shown["makes"] == "γ × 1.39, κ × 0.73, spacing × 1.40"
    assert shown["tuner"] == "γ × 1.15, κ × 1.00"
    assert "p trending" not in shown["whole"]


RENDER_LEVELS = """async ([strategies, orders]) => {
  const [{ LevelsPanel }, { html, render }] = await Promise.all([
    import('/static/js/panels/levels.js'), import('/static/js/view.js'),
  ]);
  const box = document.body.appendChild(document.createElement('div'));
  const given = { instrument: 'BTC_USDT_Perp', strategies, orders, places: 1, ageMs: 0 };
  render(html`<${LevelsPanel} ...${given} />`, box);
  return [...box.querySelectorAll('tbody tr')].map((row) => [...row.cells].map((cell) => cell.textContent));
}"""


def _levels(page: Page, inputs: dict[str, Any], orders: list[dict[str, Any]]) -> list[list[str]]:
    row = {"name": "btc", "kind": "any", "account": "main", "instrument": "BTC_USDT_Perp", "state": "quoting"}
    found: list[list[str]] = page.evaluate(RENDER_LEVELS, [[{**row, "reason": "", "inputs": inputs}], orders])
    return found


def _order(tag: str, px: str, **changed: str) -> dict[str, Any]:
    order = {"strategy": "btc", "instrument": "BTC_USDT_Perp", "tag": tag, "px": px, "qty": "0.004"}
    return {**order, **changed}


def test_layers_are_shown_with_what_rests_and_what_their_fills_had_earned(page: Page) -> None:
    orders = [
        _order("quote bid 0", "59990"), _order("quote ask 1", "60012.5"), _order("quote bid 1", "1", strategy="other"),
        _order("close", "60001"),
    ]  # fmt: skip
    inputs = {"half_spread_bps": 2, "layer_markouts": "bid 0 +3.0 (20), bid 0 rpi -1.5 (3), ask 1 -2.0 (7)"}
    nothing = ["–"] * 3
    assert _levels(page, inputs, orders) == [
        ["0", "59,990.0", "0.004", "+3.0 (20)", *nothing],
        ["1", *nothing, "60,012.5", "0.004", "−2.0 (7)"],
        ["0 RPI", "–", "–", "−1.5 (3)", *nothing],
    ]


def test_grid_levels_are_shown_from_above_with_what_each_has_earned_net_of_fees(page: Page) -> None:
    text = "59000.0 59200.0 long 0.003 0 0.01 0; 59200.0 59400.0 short 0 1.2 -0.05 2"
    assert _levels(page, {"grid_levels": text}, []) == [
        ["short", "59,200.0", "59,400.0", "–", "+1.25", "1.20", "−0.05", "2"],
        ["long", "59,000.0", "59,200.0", "0.003", "−0.01", "0.00", "0.01", "0"],
    ]
    assert _levels(page, {"phase": "waiting"}, []) == []


LABELS = [
    ({"net": 1.254, "cycles": 2, "held": "0"}, "+1.25 in 2 cycles"),
    ({"net": -0.3, "cycles": 1, "held": "-2.0"}, "−0.30 in 1 cycle, holds −2.0"),
    ({"net": -0.01, "cycles": 0, "held": "2.0"}, "holds 2.0"),
    ({"net": 0, "cycles": 0, "held": "0"}, ""),
]


@pytest.mark.parametrize(("cell", "label"), LABELS)
def test_a_cell_of_the_grid_is_labelled_in_the_chart_by_what_it_earned(
    page: Page, cell: dict[str, Any], label: str
) -> None:
    assert call(page, "gridlabels", "labelOf", cell) == label


ORDER = {"instrument": "BTC", "side": "sell", "px": "60010.0", "qty": "0.01", "cum_qty": "0", "trigger": ""}
STOP = {**ORDER, "px": "58900.0", "trigger": "stop_loss", "trigger_px": "59000.0"}


def test_what_waits_at_the_venue_stands_in_no_ladder_and_no_chart(page: Page) -> None:
    assert call(page, "series", "ownOrders", [ORDER, STOP], "BTC") == {"buy": [], "sell": [ORDER]}


RENDER_ORDERS = """async (orders) => {
  const [{ OrdersPanel }, { html, render }] = await Promise.all([
    import('/static/js/panels/tables.js'), import('/static/js/view.js'),
  ]);
  const box = document.body.appendChild(document.createElement('div'));
  const given = { orders, instrument: 'BTC_USDT_Perp', places: new Map([['BTC_USDT_Perp', 1]]), ageMs: 0 };
  render(html`<${OrdersPanel} ...${given} />`, box);
  const cells = (row) => [...row.cells].map((cell) =>
    [...cell.childNodes].map((part) => part.textContent.trim()).filter(Boolean).join(' / '));
  return [...box.querySelectorAll('tbody tr')].map((row) => [cells(row)[2], cells(row)[5], { ...row.dataset }]);
}"""


def test_what_waits_at_the_venue_says_its_trigger_and_its_worst_price_without_being_pointed_at(page: Page) -> None:
    plain = {**ORDER, "instrument": "BTC_USDT_Perp", "strategy": "btc", "tag": "", "state": "open", "age_ms": 1}
    stop = {**plain, "px": "58900", "trigger": "stop_loss", "trigger_px": "59000"}
    orders = [
        {**plain, "client_order_id": "1"},
        {**stop, "client_order_id": "2"},
        {**stop, "client_order_id": "3", "trigger": "take_profit", "side": "buy", "state": "canceling"},
        {**stop, "client_order_id": "4", "px": None},
    ]
    shown = {
        row["clientOrderId"]: (px, state, row.get("triggerPx"))
        for px, state, row in page.evaluate(RENDER_ORDERS, orders)
    }
    assert shown == {
        "1": ("60,010.0", "open", None),
        "2": ("59,000.0 / of the mark", "stop loss / at least 58,900.0", "59000"),
        "3": ("59,000.0 / of the mark", "take profit / at most 58,900.0 / canceling", "59000"),
        "4": ("59,000.0 / of the mark", "stop loss / at any price", "59000"),
    }


def test_a_pause_says_that_what_waits_at_the_venue_stays(page: Page) -> None:
    status = {"open_orders": [ORDER, STOP], "positions": []}
    cancelled, stays, _ = call(page, "commands", "consequences", "pause", status, "")
    assert cancelled.startswith("1 open order on all markets")
    assert stays.endswith("1 at the venue that would close one stays there.")
    plain = call(page, "commands", "consequences", "pause", {**status, "open_orders": [ORDER]}, "")
    assert "stays there" not in plain[1]

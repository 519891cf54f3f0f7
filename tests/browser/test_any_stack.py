"""What the page must do over any engine, fake or real, on a desk and on a phone."""

from __future__ import annotations

import http.client
import time
from math import inf
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page
from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.browser.stacks import Stack, until
from tests.browser.tries import NOTE_BANNERS, noted_s, now_ms, quickest

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]
SIZES = [pytest.param(DESK, id="desk"), pytest.param(PHONE, id="phone")]
STOP_WITHIN_S = 2.0
RED_WITHIN_S = 3.0
PATIENCE_S = 60.0
"""How long is waited for what has no bound of its own."""

READ_OWN = """() => {
  const rows = [...document.querySelectorAll('[data-testid=open-orders] tr[data-client-order-id]')];
  const levels = [...document.querySelectorAll('[data-testid=own-level]')];
  const { instrument } = window.__perpmaker.read();
  const here = rows.filter((row) => row.dataset.instrument === instrument && row.dataset.px);
  const id = (row) => row.dataset.clientOrderId;
  return {
    ladder: levels.flatMap((level) => level.dataset.clientOrderIds.split(' ')).sort(),
    orders: here.map(id).sort(),
    all: rows.map(id).sort(),
  };
}"""
READ_SPLIT = """() => ['spread', 'adverse', 'inventory', 'fees', 'funding', 'sum']
  .map((part) => document.querySelector(`[data-testid=pnl-${part}]`).textContent)"""
READ_AGES = """(heads) => heads.map((head) => head.querySelector('[data-age-ms]')?.dataset.ageMs)"""
READ_OVERFLOW = """() => {
  scrollTo(500, 0);
  const scrolled = scrollX;
  scrollTo(0, 0);
  const own = '.scroll, .tabs, .chart-box, .ladder, .sr, .skip, .log';
  const wide = (el) => el.closest(own) === null && el.getBoundingClientRect().right > innerWidth + 1;
  const out = [...document.querySelectorAll('body *')].filter(wide).map((el) => el.outerHTML.slice(0, 120));
  return { scrolled, content: document.documentElement.scrollWidth, out };
}"""
SCROLLED_UP = """async () => {
    const filter = document.querySelector('[data-testid=log-filter]');
    filter.value = '';
    filter.dispatchEvent(new Event('input', {bubbles: true}));
    await new Promise((resolve) => setTimeout(resolve));  // drawn, and put to its end, of which the page has not heard
    document.querySelector('[data-testid=logs]').scrollTop = 0;
}"""
AT_END = """() => {
  const box = document.querySelector('[data-testid=logs]');
  return box.scrollHeight - box.scrollTop - box.clientHeight < 30;
}"""
ALL_HAVE = (
    """(word) => [...document.querySelectorAll('[data-log-number]')].every((line) => line.textContent.includes(word))"""
)


def command(page: Page, kind: str, instrument: str = "") -> str:
    """Press a button, confirm, and return the state of the final answer."""
    page.click(f"[data-testid=control-{kind}]:not([aria-disabled=true])")
    if instrument:
        page.click(f"[data-testid=confirm] input[value='{instrument}']")
    page.click("[data-testid=confirm-yes]")
    final = f"[data-testid=command-answer][data-kind={kind}]:is([data-state=done], [data-state=refused])"
    answer = page.wait_for_selector(f"{final} >> nth=-1", timeout=60_000)
    state = answer.get_attribute("data-state")
    page.locator("[data-testid=command-answer] .dismiss").last.click()
    return state or ""


@pytest.mark.parametrize("size", SIZES)
def test_the_price_changes_at_least_five_times_in_ten_seconds(
    stack: Stack, open_page: OpenPage, size: dict[str, int]
) -> None:
    page = open_page(stack, size)

    def five_changes_s() -> float:
        began, seen = time.monotonic(), [page.inner_text("[data-testid=mid-price]")]
        while len(seen) < 6 and time.monotonic() - began < PATIENCE_S:
            now = page.inner_text("[data-testid=mid-price]")
            if now != seen[-1]:
                seen.append(now)
            page.wait_for_timeout(50)
        return time.monotonic() - began

    assert quickest(five_changes_s, 10.0) <= 10.0


@pytest.mark.parametrize("size", SIZES)
def test_the_ladder_shows_exactly_the_open_orders(stack: Stack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(stack, size)
    for instrument in stack.engine.status().books:
        page.click(f"[data-testid=instrument][data-instrument='{instrument}']")
        page.wait_for_selector(f"[data-testid=ladder][data-instrument='{instrument}']")
        until(lambda: shows_own_orders(page), PATIENCE_S)  # a maker may be moving all it has at one moment


def shows_own_orders(page: Page) -> bool:
    """Whether there are any; those in the ladder are those in the table at every moment."""
    own = page.evaluate(READ_OWN)
    assert own["ladder"] == own["orders"]
    return own["orders"] != []


@pytest.mark.parametrize("size", SIZES)
def test_the_page_shows_the_orders_that_the_engine_has(stack: Stack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(stack, size)

    def equal() -> bool:
        there = sorted(order.client_order_id for order in stack.engine.status().open_orders)
        return page.evaluate(READ_OWN)["all"] == there != []

    until(equal, PATIENCE_S)  # both move: at some moment they are the same


@pytest.mark.parametrize("size", SIZES)
def test_the_markers_are_the_fills(stack: Stack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(stack, size)

    def equal() -> bool:
        read = page.evaluate("() => window.__perpmaker.read()")
        first_s = read["candles"][0]["open_s"] if read["candles"] else float("inf")
        fills = [fill for fill in stack.engine.trades(100_000) if fill.instrument == read["instrument"]]
        expected = sum(int(fill.ts_event_ns) // 1_000_000_000 >= first_s for fill in fills)
        per_bar = [(marker["time"], marker["side"]) for marker in read["markers"]]
        assert len(per_bar) == len(set(per_bar))
        return expected > 0 and sum(marker["fills"] for marker in read["markers"]) == expected

    until(equal, PATIENCE_S)


def test_the_chart_has_a_line_for_the_nearest_orders_of_each_side(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(stack, DESK)
    page.wait_for_selector("[data-testid=own-level]")

    def fits() -> bool:
        read = page.evaluate("() => window.__perpmaker.read()")
        sides = [order["side"] for order in read["status"]["open_orders"] if order["instrument"] == read["instrument"]]
        return bool(read["priceLines"] == min(5, sides.count("buy")) + min(5, sides.count("sell")) > 0)

    until(fits, PATIENCE_S)


@pytest.mark.parametrize("size", SIZES)
def test_the_header_tells_state_environment_venue_and_money(
    stack: Stack, open_page: OpenPage, size: dict[str, int]
) -> None:
    page = open_page(stack, size)
    status = stack.engine.status()
    page.wait_for_selector(f"[data-testid=engine-state][data-state={status.state}]")
    assert page.inner_text("[data-testid=env-badge]").lower() == f"{status.env} · {status.mode}"
    assert page.inner_text("[data-testid=venue-badge]").lower() == status.venue
    shown = float(page.inner_text("[data-testid=equity]").split()[0].replace(",", ""))
    assert shown == pytest.approx(float(status.equity or 0), rel=0.01)
    split = page.evaluate(READ_SPLIT)  # in one go: the next picture has other numbers
    *parts, total = [float(text.replace("−", "-").replace(",", "").replace("+", "")) for text in split]
    assert sum(parts) == pytest.approx(total, abs=0.031)


@pytest.mark.parametrize("size", SIZES)
def test_every_panel_carries_the_age_of_its_numbers(stack: Stack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(stack, size)
    for name in ("market", "markets", "engine", "logs"):
        page.click(f"[data-testid=page-{name}]")
        page.wait_for_selector(".panel")
        until(lambda: all_are_young(page), PATIENCE_S)


def all_are_young(page: Page) -> bool:
    """Whether every panel says an age, and none is old; a machine that stands still makes them old for a moment."""
    ages = page.eval_on_selector_all(".panel > .panel-head", READ_AGES)
    assert ages
    assert all(age not in (None, "") for age in ages), ages
    return all(float(age) < 2000 for age in ages)


@pytest.mark.parametrize("size", SIZES)
def test_no_page_scrolls_sideways(stack: Stack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(stack, size)
    for name in ("market", "markets", "engine", "logs"):
        page.click(f"[data-testid=page-{name}]")
        page.wait_for_selector(".panel")
        assert_fits(page)
        until(lambda: "Loading" not in page.inner_text("body"), PATIENCE_S)
    page.click("[data-testid=page-market]")
    page.click("[data-testid=control-kill]")
    page.wait_for_selector("[data-testid=confirm]")
    assert_fits(page)
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-testid=confirm]", state="detached")


def assert_fits(page: Page) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    wide = page.evaluate(READ_OVERFLOW)
    assert wide == {"scrolled": 0, "content": width, "out": []}


def test_on_a_phone_the_controls_stay_in_reach_at_the_bottom(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(stack, PHONE)
    for position in (0, 900, 100_000):
        page.evaluate("(y) => scrollTo(0, y)", position)
        for kind in ("pause", "resume", "close", "kill"):
            box = page.locator(f"[data-testid=control-{kind}]").bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= PHONE["width"]
            assert PHONE["height"] - 80 < box["y"] < box["y"] + box["height"] <= PHONE["height"]
            assert box["height"] >= 44


@pytest.mark.parametrize("size", SIZES)
def test_pause_empties_the_orders_within_two_seconds_and_resume_quotes_again(
    stack: Stack, open_page: OpenPage, size: dict[str, int]
) -> None:
    page = open_page(stack, size)

    def paused_s() -> float:
        page.wait_for_selector("[data-testid=open-orders] tr[data-client-order-id]")
        page.click("[data-testid=control-pause]")
        page.click("[data-testid=confirm-yes]")
        pressed = time.monotonic()
        until(lambda: stack.engine.status().open_orders == [], PATIENCE_S)
        until(lambda: page.inner_text("[data-testid=open-orders-count]") == "0", PATIENCE_S)
        took_s = time.monotonic() - pressed
        page.wait_for_selector("[data-testid=command-answer][data-kind=pause][data-state=done]")
        page.wait_for_selector("[data-testid=engine-state][data-state=paused]")
        assert command(page, "resume") == "done"
        page.wait_for_selector("[data-testid=engine-state][data-state=running]")
        page.wait_for_selector("[data-testid=open-orders] tr[data-client-order-id]", timeout=60_000)
        return took_s

    assert quickest(paused_s, STOP_WITHIN_S) <= STOP_WITHIN_S


def test_each_confirmation_spells_out_scope_and_consequences(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(stack, DESK)
    expected = {
        "pause": ("cancelled", "Positions stay open"),
        "close": ("reduce-only", "taker fees"),
        "kill": ("every account", "survives a restart", "perpmaker kill --clear", "not closed"),
    }
    before = stack.engine.status()
    for kind, words in expected.items():
        page.click(f"[data-testid=control-{kind}]")
        text = page.inner_text("[data-testid=consequences]")
        for word in words:
            assert word in text
        page.click("[data-testid=confirm-no]")
        page.wait_for_selector("[data-testid=confirm]", state="detached")
    after = stack.engine.status()
    assert (after.state, after.kill_latched) == (before.state, before.kill_latched)
    assert page.locator("[data-testid=command-answer]").count() == 0


@pytest.mark.parametrize("size", SIZES)
def test_a_stopped_engine_turns_the_page_red_within_three_seconds(
    stack: Stack, open_page: OpenPage, size: dict[str, int]
) -> None:
    page = open_page(stack, size)
    page.evaluate(NOTE_BANNERS)

    def red_s() -> float:
        with stack.frozen("engine"):
            stopped_ms = now_ms()
            page.wait_for_selector("body[data-freshness=gone] [data-testid=banner-gone]")
            assert_red(page)
        page.wait_for_selector("body[data-freshness=live]")
        assert page.locator("[data-testid=banner-gone]").count() == 0
        stale_s, gone_s = noted_s(page, "stale", stopped_ms), noted_s(page, "gone", stopped_ms)
        return gone_s if stale_s < gone_s else inf

    assert quickest(red_s, RED_WITHIN_S) <= RED_WITHIN_S


def assert_red(page: Page) -> None:
    red, green, blue = colour(page, "[data-testid=banner-gone]")
    assert red > 150 > 80 > max(green, blue)
    red, green, blue = colour(page, "body")
    assert red > 2 * max(green, blue)
    assert page.evaluate("getComputedStyle(document.querySelector('.page')).filter") == "grayscale(1)"
    assert "ENGINE GONE" in page.inner_text("[data-testid=banner-gone]")
    assert "GONE" in page.title()
    assert page.get_attribute("[data-testid=control-resume]", "aria-disabled") == "true"
    assert page.get_attribute("[data-testid=control-kill]", "aria-disabled") == "false"


def colour(page: Page, selector: str) -> tuple[int, int, int]:
    text = page.evaluate("(css) => getComputedStyle(document.querySelector(css)).backgroundColor", selector)
    red, green, blue = (int(part) for part in text.removeprefix("rgb(").removesuffix(")").split(","))
    return red, green, blue


def test_the_log_filters_and_follows(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(stack, DESK)
    page.click("[data-testid=page-logs]")
    page.wait_for_selector("[data-log-number]")
    page.wait_for_function(AT_END)
    word = page.locator("[data-log-number]").last.inner_text().split()[2]
    page.fill("[data-testid=log-filter]", word)
    page.wait_for_function(ALL_HAVE, arg=word)
    page.fill("[data-testid=log-filter]", "no such line anywhere")
    page.wait_for_selector("[data-log-number]", state="detached")
    page.fill("[data-testid=log-filter]", "")
    page.wait_for_selector("[data-log-number]")
    page.set_viewport_size({"width": 1280, "height": 260})  # so that even a young engine's log has to scroll
    page.wait_for_function(AT_END)
    page.fill("[data-testid=log-filter]", "no such line anywhere")
    page.wait_for_selector("[data-log-number]", state="detached")
    page.evaluate(SCROLLED_UP)
    page.wait_for_selector("[data-testid=log-follow][aria-pressed=false]")
    assert page.evaluate("() => document.querySelector('[data-testid=logs]').scrollTop") == 0
    page.click("[data-testid=log-follow]")
    page.wait_for_function(AT_END)
    assert page.get_attribute("[data-testid=log-follow]", "aria-pressed") == "true"


def test_the_token_leaves_the_address_and_the_session_stays(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(stack, DESK)
    token = stack.run_file("dashboard").token
    assert token not in page.url
    page.reload()
    page.wait_for_selector("body[data-freshness=live] [data-testid=engine-state]")
    assert page.evaluate("document.cookie") == ""
    assert token not in page.evaluate("JSON.stringify([localStorage, sessionStorage, location.href, history.state])")


def test_close_flattens_one_market(stack: Stack, open_page: OpenPage) -> None:
    """Of ETH, whose smallest lot is above the smallest order: the rest of a partial fill can always be closed."""
    instrument = "ETH_USDT_Perp"
    page = open_page(stack, DESK)
    page.click(f"[data-testid=instrument][data-instrument='{instrument}']")
    assert command(page, "close", instrument) == "done"
    until(lambda: position(stack, instrument) == 0, 30.0)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=position-qty]').textContent === 'flat'", timeout=10_000
    )
    assert command(page, "resume") == "done"


def position(stack: Stack, instrument: str) -> float:
    return sum(float(row.qty) for row in stack.engine.status().positions if row.instrument == instrument)


@pytest.mark.parametrize(
    "header", [("Origin", "http://evil.example"), ("Host", "evil.example"), ("Host", "evil.example:8410")]
)
@pytest.mark.parametrize("path", ["/api/session", "/api/stream", "/api/login", "/api/commands"])
def test_a_foreign_origin_or_host_gets_403(stack: Stack, header: tuple[str, str], path: str) -> None:
    address = urlsplit(stack.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port)
    connection.putrequest(
        "POST" if path.endswith(("login", "commands")) else "GET", path, skip_host=header[0] == "Host"
    )
    connection.putheader(*header)
    connection.putheader("Content-Length", "0")
    if path == "/api/stream":
        for name, value in (
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ):
            connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == 403
    connection.close()

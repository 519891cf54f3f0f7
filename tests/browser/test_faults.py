"""What only a stack of one's own can be put through: kill, crashes, lost frames, foreign pages, hostile text."""

from __future__ import annotations

import json
from math import inf
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute
from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.browser.stacks import FakeStack, until
from tests.browser.test_any_stack import PATIENCE_S, RED_WITHIN_S, assert_fits, command
from tests.browser.tries import NOTE_BANNERS, noted_s, now_ms, quickest

pytestmark = [pytest.mark.alone, pytest.mark.timeout(240)]
STALE_WITHIN_S = 1.0
"""A cut link is noticed at once, however young the numbers are."""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_kill_reaches_the_engine_and_latches(own_stack: FakeStack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = open_page(own_stack, size)
    assert command(page, "kill") == "done"
    status = own_stack.engine.status()
    assert status.kill_latched
    assert status.open_orders == []
    page.wait_for_selector("[data-testid=banner-killed]")
    assert "perpmaker kill --clear" in page.inner_text("[data-testid=banner-killed]")
    for kind in ("pause", "resume", "close", "kill"):
        page.wait_for_selector(f"[data-testid=control-{kind}][aria-disabled=true]")
    page.reload()
    page.wait_for_selector("[data-testid=engine-state][data-state=killed]")


def test_a_double_click_on_the_confirmation_is_one_command(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK)
    page.click("[data-testid=control-pause]")
    page.dblclick("[data-testid=confirm-yes]")
    page.wait_for_selector("[data-testid=command-answer][data-state=done]")
    assert page.locator("[data-testid=command-answer]").count() == 1


def test_a_dead_dashboard_turns_the_page_red_and_a_new_one_heals_it(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK, expect_errors=True)
    port = urlsplit(own_stack.url).port
    assert port is not None
    page.evaluate(NOTE_BANNERS)

    def red_s() -> float:
        own_stack.kill("dashboard")
        died_ms = now_ms()
        page.wait_for_selector("body[data-freshness=gone] [data-testid=banner-gone]")
        assert "DASHBOARD GONE" in page.inner_text("[data-testid=banner-gone]")
        own_stack.start_dashboard(port)
        page.wait_for_selector("body[data-freshness=live]")
        stale_s, gone_s = noted_s(page, "stale", died_ms), noted_s(page, "gone", died_ms)
        return gone_s if stale_s <= STALE_WITHIN_S else inf

    assert quickest(red_s, RED_WITHIN_S) <= RED_WITHIN_S


def test_a_crashed_engine_is_told_apart_from_a_crashed_dashboard(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK)
    own_stack.kill("engine")
    page.wait_for_selector("body[data-freshness=gone] [data-testid=banner-gone]")
    assert "ENGINE GONE" in page.inner_text("[data-testid=banner-gone]")
    page.click("[data-testid=control-kill]")
    page.click("[data-testid=confirm-yes]")
    page.wait_for_selector("[data-testid=command-answer][data-state=refused]")
    assert "not delivered" in page.inner_text("[data-testid=command-answer]")


def test_a_lost_frame_makes_the_page_stale_until_everything_came_again(own_stack: FakeStack, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    lost: list[int] = []

    def lossy(route: WebSocketRoute) -> None:
        server = route.connect_to_server()

        def pass_on(message: str | bytes) -> None:
            number = json.loads(message)["number"]
            if number == 12:
                lost.append(number)
            else:
                route.send(message)

        server.on_message(pass_on)

    page.route_web_socket("**/api/stream", lossy)
    page.add_init_script("""addEventListener('DOMContentLoaded', () => {
      window.states = [];
      const note = () => window.states.push(document.body.dataset.freshness);
      new MutationObserver(note).observe(document.body, { attributeFilter: ['data-freshness'] });
    });""")
    page.goto(own_stack.entrance)
    page.wait_for_function("() => window.__perpmaker?.read().frame > 16", timeout=60_000)
    assert lost == [12]
    page.wait_for_function("() => window.states.at(-1) === 'live'")
    assert "stale" in page.evaluate("window.states")
    numbers = page.evaluate("() => window.__perpmaker.read().fills.map((fill) => fill.number)")
    assert numbers == list(range(1, len(numbers) + 1))
    page.close()


def test_a_hidden_tab_draws_five_times_a_second(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK)
    page.evaluate("""() => {
      Object.defineProperty(document, 'hidden', { get: () => true });
      for (let turn = 0; turn < 4; turn += 1) document.dispatchEvent(new Event('visibilitychange'));
    }""")
    page.wait_for_timeout(300)
    read = "() => ({ at: performance.now(), ...window.__perpmaker.read() })"
    before = page.evaluate(read)
    page.wait_for_function(
        """(before) => {
          const now = window.__perpmaker.read();
          return now.frames >= before.frames + 20 && now.draws >= before.draws + 8;
        }""",
        arg=before,
        timeout=60_000,
    )
    after = page.evaluate(read)
    assert after["draws"] - before["draws"] <= 5 * (after["at"] - before["at"]) / 1000 + 1


def test_an_hour_of_frames_would_not_fill_the_memory(own_stack: FakeStack, open_page: OpenPage) -> None:
    """Templates and charts once kept every tree they had drawn; after a collection the count of nodes stands still."""
    page = open_page(own_stack, DESK)
    tools = page.context.new_cdp_session(page)
    tools.send("Performance.enable")

    def nodes() -> float:
        for _ in range(3):
            tools.send("HeapProfiler.collectGarbage")
            page.wait_for_timeout(100)
        metrics = tools.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in metrics if one["name"] == "Nodes"))

    wait_for_frames(page, 30)
    before = nodes()
    wait_for_frames(page, 60)
    assert nodes() - before <= 1500  # in 8 s it was 5,000 and more when they leaked


def wait_for_frames(page: Page, count: int) -> None:
    frames = page.evaluate("() => window.__perpmaker.read().frames")
    page.wait_for_function("(least) => window.__perpmaker.read().frames >= least", arg=frames + count, timeout=60_000)


# Strangers.


def test_a_foreign_page_can_neither_read_nor_steer_nor_frame(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK)
    evil = page.context.new_page()
    evil.route(
        "http://evil.example/**", lambda route: route.fulfill(content_type="text/html", body="<p>free money</p>")
    )
    evil.goto("http://evil.example/")
    tried = evil.evaluate(
        """async (url) => {
          const outcome = {};
          outcome.socket = await new Promise((resolve) => {
            const socket = new WebSocket(url.replace('http', 'ws') + '/api/stream');
            socket.onopen = () => resolve('open');
            socket.onerror = () => resolve('refused');
          });
          for (const mode of ['cors', 'no-cors']) {
            const body = '{"command_id":"abcdefgh","kind":"kill","seen_state":"running"}';
            const options = { method: 'POST', mode, credentials: 'include', body };
            outcome[mode] = await fetch(url + '/api/commands', options).then((r) => r.type + r.status, () => 'refused');
          }
          const frame = document.createElement('iframe');
          frame.src = url + '/';
          document.body.append(frame);
          await new Promise((resolve) => { frame.onload = frame.onerror = resolve; setTimeout(resolve, 2000); });
          return outcome;
        }""",
        own_stack.url,
    )
    assert tried["socket"] == "refused"
    assert tried["cors"] == "refused"
    assert tried["no-cors"] in ("refused", "opaque0")
    framed = [frame for frame in evil.frames if frame != evil.main_frame]
    assert all("perpmaker" not in frame.content() for frame in framed)
    assert not own_stack.engine.status().kill_latched


def test_without_a_token_the_page_asks_for_one_and_takes_only_the_right_one(
    own_stack: FakeStack, browser: Browser
) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 812})
    page.goto(own_stack.url)
    page.wait_for_selector("[data-testid=login]")
    assert page.locator("[data-testid=engine-state]").count() == 0
    assert_fits(page)
    page.fill("[data-testid=token]", "x" * 43)
    page.click("[data-testid=login-submit]")
    page.wait_for_selector("[data-testid=login-problem]")
    page.fill("[data-testid=token]", own_stack.entrance)
    page.click("[data-testid=login-submit]")
    page.wait_for_selector("body[data-freshness=live] [data-testid=engine-state]")
    page.close()


def test_text_from_a_venue_is_never_markup(hostile_stack: FakeStack, open_page: OpenPage) -> None:
    for size in (DESK, PHONE):
        page = open_page(hostile_stack, size)
        for name in ("market", "markets", "engine", "logs"):
            page.click(f"[data-testid=page-{name}]")
            page.wait_for_selector(".panel")
            page.wait_for_timeout(300)
            assert_fits(page)
            assert_inert(page)
        page.locator("[data-log-number]", has_text="<script>").first.wait_for()
        assert "\u202e" not in page.inner_text("[data-testid=logs]")
        page.click("[data-testid=page-market]")
        page.click("[data-testid=control-close]")
        page.wait_for_selector("[data-testid=confirm]")
        assert_inert(page)


def assert_inert(page: Page) -> None:
    assert page.evaluate("window.__hacked") is None
    assert page.locator("img").count() == 0
    assert page.locator("body script").count() == 0


def test_the_policy_stops_what_would_get_past_everything_else(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK, expect_errors=True)
    page.evaluate("""() => {
      window.broken = [];
      addEventListener('securitypolicyviolation', (event) => window.broken.push(event.effectiveDirective));
      const script = document.createElement('script');
      script.textContent = 'window.__hacked = 1';
      document.body.append(script);
      const image = document.createElement('img');
      image.src = 'http://evil.example/x.png';
      document.body.append(image);
      fetch('http://evil.example/').catch(() => {});
    }""")
    refused = {"script-src-elem", "img-src", "connect-src"}
    until(lambda: refused <= set(page.evaluate("window.broken")), PATIENCE_S)
    assert page.evaluate("window.__hacked") is None


def test_an_engine_that_knows_nothing_yet_is_shown_as_such(own_stack: FakeStack, open_page: OpenPage) -> None:
    page = open_page(own_stack, DESK)
    page.route_web_socket("**/api/stream", bare)
    page.reload()
    page.wait_for_selector("[data-testid=engine-state][data-state=starting]")
    for name in ("market", "markets", "engine", "logs"):
        page.click(f"[data-testid=page-{name}]")
        page.wait_for_selector(".panel")
        assert_fits(page)
    page.click("[data-testid=page-market]")
    assert page.locator("[data-testid=open-orders] tr[data-client-order-id]").count() == 0
    assert page.inner_text("[data-testid=equity]").startswith("–")


def bare(route: WebSocketRoute) -> None:
    """Pass frames on with everything taken out that an engine does not have in its first moments."""
    server = route.connect_to_server()
    nothing = {"positions": [], "open_orders": [], "strategies": [], "links": {}, "rate_budget": {}, "latency_us": {}}
    nothing |= {"books": {}, "orders_refused": {}, "warnings": []}
    unknown = dict.fromkeys(("equity", "balance", "peak_equity", "day_pnl", "drawdown_frac", "clock_offset_ms"))

    def pass_on(message: str | bytes) -> None:
        frame = json.loads(message)
        if frame["status"]:
            frame["status"] |= {**nothing, **unknown, "state": "starting"}
        frame |= {"books": {}, "candles": {}, "fills": [], "equity": []}
        route.send(json.dumps(frame))

    server.on_message(pass_on)

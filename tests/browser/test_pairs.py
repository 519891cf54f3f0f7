"""The page of pairs over a fake engine: choosing, starting, watching, steering, answering; on a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import DESK, PHONE, OpenPage
from tests.browser.stacks import FakeStack, until
from tests.browser.test_any_stack import PATIENCE_S, READ_OVERFLOW

from perpmaker.clock import WallClock

pytestmark = [pytest.mark.mostly_waits, pytest.mark.timeout(240)]
SIZES = [pytest.param(DESK, id="desk"), pytest.param(PHONE, id="phone")]


@pytest.fixture(autouse=True)
def ended(pair_stack: FakeStack) -> Iterator[None]:
    """Each test leaves no pair at work."""
    yield
    clock = WallClock()
    for row in pair_stack.engine.status().pairs:
        pair_stack.engine.command("pair_stop", {"strategy": row.name}, actor="test", now_ns=clock.now_ns())
    until(lambda: all(row.is_over for row in pair_stack.engine.status().pairs), PATIENCE_S)


def at_pairs(open_page: OpenPage, stack: FakeStack, size: dict[str, int] = DESK) -> Page:
    page = open_page(stack, size)
    page.click("[data-testid=page-pairs]")
    page.wait_for_selector("[data-testid=panel-pair-start]")
    return page


def choose(page: Page, field: str, typed: str) -> None:
    """Type a part of a market's name and take what is offered first."""
    page.fill(f"[data-testid=pair-{field}]", typed)
    page.press(f"[data-testid=pair-{field}]", "Enter")


def start(page: Page, lead: str, size: str = "0.5", **fields: str) -> None:
    choose(page, "lead", lead)
    page.fill("[data-testid=pair-size]", size)
    for name, value in fields.items():
        page.fill(f"[data-testid=pair-{name}]", value)
    page.click("[data-testid=pair-submit]:not([aria-disabled=true])")
    page.click("[data-testid=pair-confirm-yes]")
    page.wait_for_selector("[data-testid=command-answer][data-kind=pair_start][data-state=done]")
    page.locator("[data-testid=command-answer] .dismiss").last.click()


def card(page: Page, name: str) -> str:
    return f".pair-card:has([data-pair={name}])"


@pytest.mark.parametrize("size", SIZES)
def test_a_pair_is_found_started_and_watched(pair_stack: FakeStack, open_page: OpenPage, size: dict[str, int]) -> None:
    page = at_pairs(open_page, pair_stack, size)
    page.fill("[data-testid=pair-lead]", "et")
    offered = page.locator("[data-testid=pair-lead-list] [role=option]")
    expect(offered).to_have_count(2)
    for key in ("ArrowDown", "ArrowUp", "Enter"):
        page.press("[data-testid=pair-lead]", key)
    expect(page.locator("[data-testid=pair-lead]")).to_have_value("ETH_USDT_Perp")
    expect(page.locator("[data-testid=pair-hedge]")).to_have_value("ETH_USDC_PERP@backpack")  # completed by itself
    page.click("[data-testid=pair-in-notional]")
    page.fill("[data-testid=pair-size]", "1300")
    preview = page.locator("[data-testid=pair-preview]")
    expect(preview).to_contain_text("4.99")  # the maker's -0.01 and the taker's 5.00
    expect(preview).to_contain_text("1.000180, backpack USDT/USDC")
    page.fill("[data-testid=pair-iterations]", "300")
    page.click("[data-testid=pair-submit]:not([aria-disabled=true])")
    expect(page.locator("[data-testid=pair-confirm]")).to_contain_text("ETH_USDC_PERP@backpack")
    page.click("[data-testid=pair-confirm-yes]")
    page.wait_for_selector(f"{card(page, 'pair-eth')} [data-testid=pair-status]")
    row = page.locator("[data-testid=pair-monitor] tr[data-pair=pair-eth]")
    expect(row).to_contain_text("Unbalanced")
    expect(row).to_contain_text("Hedged")
    sent = next(row.asked_for for row in pair_stack.engine.status().pairs if row.name == "pair-eth")
    assert {key: sent[key] for key in ("size", "size_in", "iterations", "mode", "rule.direction")} == {
        "size": "1300", "size_in": "notional", "iterations": "300", "mode": "alternate", "rule.direction": "buy",
    }  # fmt: skip
    overflow = page.evaluate(READ_OVERFLOW)
    assert overflow["out"] == []
    assert overflow["scrolled"] == 0


def test_several_markets_run_at_once_and_each_is_steered_by_itself(pair_stack: FakeStack, open_page: OpenPage) -> None:
    page = at_pairs(open_page, pair_stack)
    start(page, "eth", iterations="50")
    choose(page, "lead", "btc")
    page.select_option("[data-testid=pair-hedge_account]", "other")  # one of two; with one there is nothing to choose
    page.fill("[data-testid=pair-size]", "0.01")
    page.click("[data-testid=pair-submit]:not([aria-disabled=true])")
    page.click("[data-testid=pair-confirm-yes]")
    expect(page.locator("[data-testid=pair-monitor] tr:is([data-pair=pair-eth], [data-pair=pair-btc])")).to_have_count(
        2
    )
    accounts = {row.name: row.asked_for.get("hedge_account") for row in pair_stack.engine.status().pairs}
    assert (accounts["pair-eth"], accounts["pair-btc"]) == (None, "other")
    page.click(f"{card(page, 'pair-eth')} [data-testid=pair-pause]")
    page.wait_for_selector(f"{card(page, 'pair-eth')} [data-state=paused]")
    states = {row.name: row.state for row in pair_stack.engine.status().pairs if not row.is_over}
    assert states == {"pair-eth": "paused", "pair-btc": "quoting"}
    page.click(f"{card(page, 'pair-eth')} [data-testid=pair-resume]")
    page.wait_for_selector(f"{card(page, 'pair-eth')} [data-state=quoting]")
    page.wait_for_selector(f"{card(page, 'pair-btc')} [data-testid=pair-close]")
    page.click(f"{card(page, 'pair-btc')} [data-testid=pair-close]")
    page.click("[data-testid=pair-close-yes]")
    page.wait_for_selector(f"{card(page, 'pair-btc')} [data-over=true]")
    expect(page.locator("[data-testid=pair-monitor] tr[data-pair=pair-btc]")).to_contain_text("Flat")
    page.click(f"{card(page, 'pair-eth')} [data-testid=pair-stop]")
    page.wait_for_selector(f"{card(page, 'pair-eth')} [data-over=true]")


def test_two_legs_on_one_exchange_cannot_be_started(pair_stack: FakeStack, open_page: OpenPage) -> None:
    page = at_pairs(open_page, pair_stack)
    choose(page, "lead", "ETH_USDT")
    page.fill("[data-testid=pair-hedge]", "BTC_USDT")
    page.click("[data-testid=pair-hedge-list] [data-instrument=BTC_USDT_Perp]")
    page.fill("[data-testid=pair-size]", "1")
    expect(page.locator("[data-testid=pair-problem]")).to_contain_text("wash trading")
    expect(page.locator("[data-testid=pair-submit]")).to_have_attribute("aria-disabled", "true")
    page.click("[data-testid=pair-submit]", force=True)
    assert page.locator("[data-testid=pair-confirm]").count() == 0
    page.click("[data-testid=page-engine]")
    page.click("[data-testid=page-pairs]")
    expect(page.locator("[data-testid=pair-size]")).to_have_value("1")  # the form is as it was


@pytest.mark.parametrize("size", SIZES)
def test_an_unexpected_fill_asks_over_any_page_and_the_answer_reaches_the_engine(
    pair_stack: FakeStack, open_page: OpenPage, size: dict[str, int]
) -> None:
    page = at_pairs(open_page, pair_stack, size)
    start(page, "sol", size="3", iterations="9")
    page.click("[data-testid=page-logs]")
    page.wait_for_selector("[data-testid=pair-question]")
    expect(page.locator("[data-testid=question-text]")).to_contain_text("Unexpected: buy 0.3 SOL_USDT_Perp")
    page.click("[data-testid=question-later]")
    expect(page.locator("[data-testid=pair-question]")).to_have_count(0)
    page.click("[data-testid=page-pairs]")
    page.click(f"{card(page, 'pair-sol')} [data-testid=pair-ask]")
    page.click("[data-testid=question-stop]")
    until(lambda: all(row.is_over for row in pair_stack.engine.status().pairs), PATIENCE_S)
    page.wait_for_selector(f"{card(page, 'pair-sol')} [data-over=true]")
    expect(page.locator("[data-testid=pair-question]")).to_have_count(0)


CALCULATIONS = """async () => {
  const pairs = await import("/static/js/pairs.js");
  const row = (base, exchange, lot, least, notional, maker, taker) => ({
    instrument: `${base}@${exchange}`, symbol: base, exchange, base, quote: exchange === "grvt" ? "USDT" : "USDC",
    lot, min_qty: least, min_notional: notional, maker_fee_bps: maker, taker_fee_bps: taker, traded_by: "", tick: "1",
  });
  const lead = row("ETH", "grvt", "0.01", "0.01", "100", "-0.01", "4.5");
  const markets = [lead, row("ETH", "backpack", "0.003", "0.02", "0", "2", "5")];
  const status = { conversions: { "USDT/USDC": "0.5, a bank, 3 s old" }, books: {
    "ETH@grvt": { bid: "1999", ask: "2001" }, "ETH@backpack": { bid: "1000", ask: "1001" } } };
  const form = { ...pairs.EMPTY, instrument: "ETH@grvt", hedge_instrument: "ETH@backpack", size: "0.5", hold_min: "9" };
  const plan = pairs.preview(form, markets, status);
  const notional = pairs.preview({ ...form, size: "500", size_in: "notional" }, markets, status);
  return {
    lot: plan.lot, least: plan.least, qty: plan.qty, breakeven: plan.breakevenBps, buy: plan.edges.buy,
    problems: plan.problems, notional: notional.qty,
    small: pairs.preview({ ...form, size: "0.02" }, markets, status).problems,
    words: pairs.wordsOf(form), closing: pairs.wordsOf({ ...form, mode: "close_existing", size: "9", clip: "0.1" }).size,
    making: pairs.wordsOf({ ...form, mode: "make", clip: "0.1", min_profit_bps: "2", "rule.entry_edge_bps": "1" }),
    quote: pairs.wordsOf({ ...form, mode: "make" }).qty,
    unknown: pairs.preview(form, markets, { ...status, conversions: { "USDC/USDT": "1, assumed: nobody told" } }).edges,
    partner: pairs.partnerOf(markets, markets[1]).instrument,
  };
}"""


def test_sizes_lots_fees_and_rates_are_worked_out_before_anything_is_sent(
    pair_stack: FakeStack, open_page: OpenPage
) -> None:
    found = at_pairs(open_page, pair_stack).evaluate(CALCULATIONS)
    assert found["lot"] == 0.03  # the least common multiple of 0.01 and 0.003
    assert found["least"] == 0.06  # 100 USDT at 2000, in such lots
    assert (found["qty"], found["notional"]) == (0.48, 0.24)  # rounded down, never up
    assert found["breakeven"] == pytest.approx(4.99)
    assert found["buy"] == pytest.approx((1000 * 2 - 1999) / 1999 * 1e4)  # the rate was told the other way round
    assert found["problems"] == []
    assert found["small"] == ["The size is less than both venues take: at least 0.06 ETH."]
    assert "hold_min" not in found["words"]  # of another mode
    assert found["words"]["size"] == "0.5"
    assert found["closing"] == "0.1"
    assert found["making"] == {
        "kind": "cross_maker", "instrument": "ETH@grvt", "hedge_instrument": "ETH@backpack", "max_qty": "0.5",
        "qty": "0.1", "min_profit_bps": "2",
    }  # fmt: skip
    assert found["quote"] == "0.5"
    assert found["unknown"] is None  # nobody told a rate
    assert found["partner"] == "ETH@grvt"

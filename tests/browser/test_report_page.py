"""A report, opened from disk as its reader does: its charts answer a pointer, it fits a phone and loads nothing."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.unit.research import made_up

from perpmaker.research import report_page
from perpmaker.research.report import write_report
from perpmaker.research.report_page import Bar

PATIENCE_S = 60.0

pytestmark = [pytest.mark.mostly_waits, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(made_up.results(1800), tmp_path_factory.mktemp("report"))


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    wrong: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: wrong.append(message.text))
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(report.as_uri())
    yield opened
    opened.close()
    assert wrong == []
    assert asked == [report.as_uri()]


def test_dragging_zooms_every_chart_and_escape_shows_the_whole_time(page: Page) -> None:
    whole = page.locator("figure.chart svg").evaluate_all("all => all.map(one => one.getAttribute('viewBox'))")
    window = page.locator(".window")
    expect(window).to_be_hidden()
    plot = page.locator("figure.chart .plot").first.bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + plot["width"] * 0.5, plot["y"] + 50)
    page.mouse.down()
    page.mouse.move(plot["x"] + plot["width"] * 0.75, plot["y"] + 50, steps=3)
    page.mouse.up()
    expect(window).to_be_visible()
    expect(window).to_have_text(re.compile("^22:28:20 – 22:35:50 UTC"))
    zoomed = page.locator("figure.chart svg").evaluate_all("all => all.map(one => one.getAttribute('viewBox'))")
    assert len(zoomed) == 5
    assert all(now.startswith("50000 ") and now != before for now, before in zip(zoomed, whole, strict=True))
    page.keyboard.press("Escape")
    expect(window).to_be_hidden()
    assert page.locator("figure.chart svg").evaluate_all("all => all.map(one => one.getAttribute('viewBox'))") == whole


def test_a_pointer_reads_all_charts_at_its_time(page: Page) -> None:
    outputs = page.locator("figure.chart .legend output")
    last = outputs.all_inner_texts()
    plot = page.locator("figure.chart .plot").first.bounding_box()
    assert plot is not None
    page.mouse.move(plot["x"] + 1, plot["y"] + 50)
    expect(page.locator(".cursor")).to_have_count(5)
    expect(page.locator(".cursor b")).to_have_text(re.compile("^22:13:2"))
    first = outputs.all_inner_texts()
    assert first != last
    assert set(first[:3]) == {"0.00"}  # the equity of all models, since the start
    page.mouse.move(2, 2)
    expect(outputs).to_have_text(last)


def test_fills_are_counted_in_the_legend_and_drawn(page: Page) -> None:
    price = page.locator("figure.chart", has_text="Price, own quotes and fills")
    texts = price.locator(".legend li").all_inner_texts()
    counts = [int(text.split()[-1]) for text in texts if text.split()[0] in ("buys", "sells")]
    assert sum(counts) == 40
    assert price.locator("path.dots").count() == 2


@pytest.mark.parametrize("width", [375, 1280])
def test_nothing_is_wider_than_the_page(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    labels = page.locator("figure.chart").first.locator(".times span")
    fitting = range(2, 6) if width == 375 else range(6, 100)
    ends = time.monotonic() + PATIENCE_S
    while labels.count() not in fitting and time.monotonic() < ends:  # they are drawn anew soon after
        page.wait_for_timeout(20)
    assert labels.count() in fitting
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_bar_with_a_long_name_is_not_wider_than_a_phone(browser: Browser, tmp_path: Path) -> None:
    """A tuning's report names the keys of a configuration: quoting.min_half_spread_bps made it 389 px wide."""
    named = {"": [Bar("quoting.skew_bps_at_max_position", -0.99, "−99 %"), Bar("all neighbours", 0.42, "42 %")]}
    path = tmp_path / "bars.html"
    path.write_text(report_page.page("bars", [report_page.panel("A spike, refused", "", report_page.bars(named))]))
    opened = browser.new_page(viewport={"width": 375, "height": 800})
    opened.goto(path.as_uri())
    wide = opened.evaluate("document.documentElement.scrollWidth")
    tracks = opened.locator(".track").evaluate_all("all => all.map(one => one.getBoundingClientRect().width)")
    opened.close()
    assert wide == 375
    assert all(width >= 72 for width in tracks), tracks


@pytest.mark.parametrize("lots", [0.3, 4, 7])
def test_every_chart_has_a_scale_of_two_numbers_at_least(browser: Browser, tmp_path: Path, lots: float) -> None:
    """One number alone says nothing: a position between -0.03 and 0.03 had a 0 and no more."""
    made = made_up.results(600)
    main = made.main
    market = main.markets[0]
    ends = np.resize([-0.01 * lots, 0.01 * lots], len(market.position_qty))
    run = dataclasses.replace(main, markets=(dataclasses.replace(market, position_qty=ends),))
    path = write_report(dataclasses.replace(made, runs=(run,)), tmp_path)
    opened = browser.new_page(viewport={"width": 1280, "height": 800})
    opened.goto(path.as_uri())
    counts = opened.locator("figure.chart .grid").evaluate_all("all => all.map(one => one.childElementCount)")
    opened.close()
    assert len(counts) == 5
    assert all(2 <= count <= 12 for count in counts), counts

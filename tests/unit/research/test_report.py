"""A report says what it is of, draws everything there is, and needs nothing from elsewhere."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.unit.research import made_up

from perpmaker.errors import DataError
from perpmaker.research.report import report_html, write_report
from perpmaker.research.report_charts import HEIGHT, WIDTH, Chart, Line, digits_for, drawn, number, thinned
from perpmaker.research.report_figures import duration, figures_of, later_mids, remarks
from perpmaker.research.report_page import table
from perpmaker.research.results import Results

S = made_up.S


@pytest.fixture(scope="module")
def results() -> Results:
    return made_up.results()


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return report_html(results)


class Outline(HTMLParser):
    """Tags that are open, and what they refer to."""

    VOID = frozenset({"meta", "br", "link", "img"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.figures = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        self.figures += tag == "figure"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_drawdown_that_is_small_is_not_shown_as_none(results: Results) -> None:
    """0.40 of 10,000 was "0.00 %"."""
    main = results.main
    equity = np.full(len(main.equity), 10_000.0)
    equity[len(equity) // 2] -= 0.4
    causes = {name: np.zeros(len(equity)) for name in main.causes}
    dipped = dataclasses.replace(results, runs=(dataclasses.replace(main, equity=equity, causes=causes),))
    assert re.search(r"Deepest drawdown</h3><strong[^>]*>0\.004 <small>%", report_html(dipped))


def test_the_page_is_whole_and_refers_to_nothing(html: str) -> None:
    outline = Outline()
    outline.feed(html)
    assert outline.open == []
    assert outline.links == []
    assert not re.search(r"https?://|@import|url\(", html)
    assert "default-src 'none'" in html
    assert outline.figures == 5  # equity, drawdown, causes, price, position


def test_the_head_names_tape_models_and_hash(html: str, results: Results) -> None:
    head = html.partition("</header>")[0].partition("<header>")[2]
    for text in ("made-up.tape", "BTC_USDT_Perp", "power law", "20 ms in", "maker -0.01", results.main.digest[:16]):
        assert text in head


def test_every_assumption_is_listed(html: str, results: Results) -> None:
    for text in (*results.models, *results.models.values(), results.fingerprint, *(run.digest for run in results.runs)):
        assert f">{text}" in html or f"({text})" in html


def test_what_somebody_named_a_tape_cannot_become_code() -> None:
    named = dataclasses.replace(made_up.results(600), tape="<script>alert(1)</script>", title="<b>&")
    html = report_html(named)
    assert "<script>alert" not in html
    assert "&lt;b&gt;&amp;" in html


def test_the_figures_of_the_walk_are_what_its_numbers_say(results: Results) -> None:
    run = results.main
    found = figures_of(run, results)
    assert found.pnl == pytest.approx(sum(found.causes.values()))
    assert found.fills == len(run.markets[0].fills) == 40
    assert found.causes["spread"] == pytest.approx(40 * 4 * 0.01)
    assert found.notional == pytest.approx(float(np.sum(run.markets[0].fills.px)) * 0.01)
    assert found.cost_bps == pytest.approx(-found.pnl / found.notional * 1e4)
    assert found.fill_ratio == pytest.approx(found.notional / 1_000_000)
    assert (found.period_s, found.orders, found.refused, found.maker_share) == (60, 1000, 3, 1.0)
    assert found.sharpe_low < found.sharpe < found.sharpe_high
    assert 0 < found.held_share <= 1


def test_a_markout_of_the_walk_is_its_half_spread_and_what_followed(results: Results) -> None:
    market = results.main.markets[0]
    fills = market.fills
    place = (fills.ts_ns - made_up.BEGAN_NS) // S + 10
    later = market.mid_px[place]
    np.testing.assert_array_equal(later_mids(market, 10), later)
    expected = np.sum(fills.side * (later - fills.px)) / np.sum(fills.px) * 1e4
    row = figures_of(results.main, results).markout("all", 10)
    assert row.bps == pytest.approx(expected)
    assert row.low < row.bps < row.high


def test_a_fill_at_the_end_of_the_tape_has_no_markout() -> None:
    market = made_up.results(100).main.markets[0]
    late = dataclasses.replace(market, mid_ns=market.mid_ns[:50], mid_px=market.mid_px[:50])
    known = np.isfinite(later_mids(late, 1))
    assert known.tolist() == (market.fills.ts_ns + S <= market.mid_ns[49]).tolist()


def test_a_reader_is_told_when_the_fill_model_decides_the_sign(results: Results) -> None:
    figures = [figures_of(run, results) for run in results.band()]
    assert min(one.pnl for one in figures) < 0 < max(one.pnl for one in figures)
    texts = " ".join(remarks(results, figures))
    for said in ("The tape has no marks", "sign of the result depends", "40 fills are few", "2 h of market"):
        assert said in texts


def test_a_pnl_without_a_cause_is_told() -> None:
    result = made_up.results(600)
    run = result.main
    short = dataclasses.replace(run, causes={**run.causes, "spread": 0 * run.equity})
    lacking = dataclasses.replace(result, runs=(short,))
    assert any("has no cause" in text for text in remarks(lacking, [figures_of(short, lacking)]))
    assert not any("has no cause" in text for text in remarks(result, [figures_of(run, result) for run in result.runs]))


def test_figures_go_beside_the_page_as_json(tmp_path: Path, results: Results) -> None:
    page = write_report(results, tmp_path)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    told = json.loads((tmp_path / "metrics.json").read_bytes())
    assert list(told["runs"]) == ["pessimistic", "queue", "optimistic"]
    assert told["runs"]["queue"]["pnl"] == figures_of(results.main, results).pnl
    assert told["hashes"]["queue"] == results.main.digest


def test_a_result_without_fills_is_reported_too() -> None:
    result = made_up.results(600, models=("queue",))
    run = made_up.run("queue", 600, 7, fills=0)
    html = report_html(dataclasses.replace(result, runs=(run,)))
    assert "0 fills are few" in html
    assert "nan" not in re.sub(r"<(script|style)>.*?</\1>", "", html, flags=re.DOTALL)


def test_a_result_that_cannot_be_is_refused() -> None:
    result = made_up.results(600)
    with pytest.raises(DataError, match="before its end"):
        dataclasses.replace(result, to_ns=result.from_ns)
    with pytest.raises(DataError, match="different lengths"):
        dataclasses.replace(result.main, equity=result.main.equity[:-1])
    with pytest.raises(DataError, match="in order of time"):
        dataclasses.replace(result.main, ts_ns=result.main.ts_ns[::-1])


# Charts


def paths(html: str) -> list[str]:
    return re.findall(r'<path class="[^"]*" d="([^"]*)"', html)


def chart_of(values: list[float], *, is_step: bool = False) -> str:
    ts_ns = np.arange(len(values), dtype=np.int64) * S
    return drawn(Chart("c", "", "u", 1, [Line("l", "s0", ts_ns, np.array(values), is_step)]), 0, (len(values) - 1) * S)


def test_a_line_goes_from_edge_to_edge_and_is_higher_for_more() -> None:
    (path,) = paths(chart_of([0.0, 1.0, 0.5]))
    points = [tuple(map(int, pair)) for pair in re.findall(r"(\d+) (\d+)", path)]
    assert [x for x, _ in points] == [0, WIDTH // 2, WIDTH]
    assert HEIGHT > points[0][1] > points[2][1] > points[1][1] > 0


def test_a_gap_lifts_the_pen_and_a_step_holds_until_it() -> None:
    (line,) = paths(chart_of([1.0, 2.0, math.nan, 2.0, 1.0]))
    assert re.sub(r"[\d ]", "", line) == "MLLML"
    (step,) = paths(chart_of([1.0, 2.0], is_step=True))
    assert re.sub(r"[\d ]", "", step) == "MLLL"


def test_thinning_keeps_peaks_ends_and_gaps() -> None:
    values = np.random.default_rng(1).normal(0, 1, 100_000)
    values[31_415], values[27_182], values[50_000:50_010] = 50, -50, math.nan
    kept = thinned(values, 100)
    assert len(kept) <= 500
    assert {0, 31_415, 27_182, 99_999} <= set(kept.tolist())
    assert np.isnan(values[kept]).any()
    assert thinned(values[:400], 100).tolist() == list(range(400))


def test_a_chart_of_one_value_or_none_has_a_scale_all_the_same() -> None:
    assert 'data-low="4.9995"' in chart_of([5.0, 5.0])
    assert 'data-low="-1.0"' in chart_of([math.nan, math.nan])


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(1234.567, 2, "1,234.57"), (-0.001, 2, "0.00"), (-3.0, 0, "−3"), (math.nan, 2, "–"), (math.inf, 2, "–")],
)
def test_numbers_are_written_for_people(value: float, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_a_sign_is_written_where_it_says_something() -> None:
    assert [number(value, 1, signed=True) for value in (1.0, -1.0, 0.0)] == ["+1.0", "−1.0", "0.0"]


def test_digits_follow_the_step_and_durations_their_largest_units() -> None:
    assert [digits_for(step) for step in (10, 1, 0.1, 0.05, 0)] == [0, 0, 1, 2, 0]
    assert [duration(s) for s in (0.25, 59, 3_600, 93_784)] == ["0.2 s", "59 s", "1 h", "1 d 2 h"]


def test_a_run_without_quotes_shows_none_in_its_legend(results: Results) -> None:
    market = results.main.markets[0]
    nothing = np.zeros(0)
    quotes = dataclasses.replace(market.quotes, ts_ns=nothing.astype(np.int64), bid_px=nothing, ask_px=nothing)
    run = dataclasses.replace(results.main, markets=(dataclasses.replace(market, quotes=quotes),))
    html = report_html(dataclasses.replace(results, runs=(run,)))
    assert "Price and fills" in html
    assert "own bid" not in html
    assert "own bid" in report_html(results)


def test_the_row_that_is_bad_stands_out_and_no_other() -> None:
    html = table(["", "check"], [("passed", "a"), ("failed", "b")], numbers=False, bad="failed")
    assert '<td class="no">failed</td>' in html
    assert '<td class="">passed</td>' in html

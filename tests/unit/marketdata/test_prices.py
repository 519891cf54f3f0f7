"""Mark, index and funding."""

from __future__ import annotations

from decimal import Decimal

from tests.unit.execution.stage import T0, S, replaced, ticker

from perpmaker.marketdata.prices import Prices


def test_a_ticker_without_a_figure_leaves_the_older_one_with_its_older_time() -> None:
    prices = Prices()
    prices.update(ticker(mark="60000", index="60010"))
    prices.update(ticker(mark=None, index="60020", at=T0 + S))
    assert (prices.mark_px, prices.mark_ns) == (Decimal(60000), T0)
    assert (prices.index_px, prices.index_ns) == (Decimal(60020), T0 + S)


def test_figures_that_are_not_finite_and_positive_count_as_not_stated() -> None:
    prices = Prices()
    for bad in ("NaN", "Infinity", "0", "-1"):
        prices.update(replaced(ticker(mark=bad, index=bad), last_px=Decimal(bad), funding_rate=Decimal("NaN")))
    assert (prices.mark_px, prices.index_px, prices.last_px, prices.funding_rate) == (None, None, None, None)


def test_a_wild_mark_is_believed_at_the_third_time_in_a_row() -> None:
    prices = Prices()
    prices.update(ticker(mark="60000"))
    marks = []
    for px in ("600000", "600000", "60001", "90000", "90010", "90020"):
        prices.update(ticker(mark=px))
        marks.append(prices.mark_px)
    assert marks == [Decimal(m) for m in ("60000", "60000", "60001", "60001", "60001", "90020")]


def test_funding_comes_with_its_time() -> None:
    prices = Prices()
    prices.update(replaced(ticker(), funding_rate=Decimal("0.0001"), next_funding_ns=T0 + S))
    assert (prices.funding_rate, prices.next_funding_ns) == (Decimal("0.0001"), T0 + S)

"""What a strategy says that is no wish stops that strategy, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from perpmaker.research.practice import practise

STRATEGY = """
from decimal import Decimal

from perpmaker.model.guard import Guard
from perpmaker.model.order import Side, TriggerKind
from perpmaker.model.quote import Quote
from perpmaker.strategies.api import Strategy


class Mine(Strategy):
    def on_book(self, ctx, book):
        i = self.params.instrument
        {said}
"""
CONFIG = """
schema_version = 1
env = "local"
[account.main]
[[strategy]]
name = "mine"
kind = "mine.py:Mine"
account = "main"
instrument = "BTC_USDT_Perp"
[[strategy]]
name = "other"
kind = "skewed_maker"
account = "main"
instrument = "ETH_USDT_Perp"
qty = 0.1
"""


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("ctx.quote(i, bid=Quote(book.mid, 0.005))", "quote: qty has to be a Decimal, not float"),
        ("ctx.quote(i, bid=Quote('5', Decimal(1)))", "quote: px has to be a float or a Decimal, not str"),
        ("ctx.quote(i, bid=(book.mid, 0.005))", "quote: a Quote is wanted, not tuple"),
        ("ctx.target(i, 0.005)", "target: qty has to be a Decimal, not float"),
        ("ctx.target(i, Decimal('NaN'))", "target: qty has to be a finite number, not NaN"),
        ("ctx.target(i, Decimal(1), 'sweep')", "target: algo has to be an algorithm (model.quote), not str"),
        ("ctx.submit(i, Side.BUY, 0.005, None)", "submit: qty has to be a Decimal, not float"),
        ("ctx.submit(i, Side.BUY, Decimal(1), 59000.0)", "submit: px has to be a Decimal, not float"),
        ("ctx.submit(i, 'buy', Decimal(1), None)", "submit: side and tif have to be Side and TimeInForce"),
        ("ctx.set_timer('x', ctx.now_ns() + 1e9)", "set_timer: a text and whole nanoseconds are wanted, not str and"),
        ("ctx.protect(i, ['stop'])", "protect: a Guard is wanted, not str"),
        (
            "ctx.protect(i, [Guard(TriggerKind.STOP_LOSS, Side.SELL, 59000.0, 20.0, 5.0)])",
            "protect: slippage_bps has to be a Decimal, not float",
        ),
        (
            "ctx.protect(i, [Guard(TriggerKind.STOP_LOSS, Side.SELL, 59000.0, Decimal(20), float('nan'))])",
            "protect: tolerance_bps has to be at least 0, not nan",
        ),
        ("ctx.explain(i, {'fair': Decimal(1)})", "a text, None or a list of texts, not decimal.Decimal"),
        (
            "ctx.explain(i, {'fair': [1.5]})",
            "explain: fair has to be a number, a text, None or a list of texts, not list",
        ),
        ("ctx.explain(i, None)", "explain: names with values are wanted, not NoneType"),
        ("ctx.notice('error', 'x', {})", "notice: a level is info or warning, not 'error'"),
        ("ctx.notice('info', 'x', {'a': 1})", "each has to be a text, not int"),
        ("ctx.remember({})", "remember: a memo has to be a text, not dict"),
        ("ctx.ask(None)", "ask: a question has to be a text, not NoneType"),
    ],
)
def test_what_is_no_wish_stops_the_strategy_that_said_it(tmp_path: Path, said: str, why: str) -> None:
    (tmp_path / "mine.py").write_text(STRATEGY.format(said=said))
    (tmp_path / "mine.toml").write_text(CONFIG)
    done = practise(tmp_path / "mine.toml", minutes=0.02)
    assert done.failures.keys() == {"mine"}
    assert why in done.failures["mine"]
    assert done.figures.orders > 0, "the other strategy goes on"

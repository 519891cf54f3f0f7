from __future__ import annotations

from decimal import Decimal

from perpmaker.model.book import Book
from perpmaker.model.events import Trade
from perpmaker.model.ids import InstrumentId
from perpmaker.model.order import OrderState, Side
from perpmaker.strategies.api import HOOKS, Context, Strategy, StrategyParams, Subscription

from .fake_context import FakeContext, own_order, perp


class _Listener(Strategy[StrategyParams]):
    def on_book(self, ctx: Context, book: Book) -> None: ...

    def on_trade(self, ctx: Context, trade: Trade) -> None: ...


class _Heir(_Listener):
    def on_timer(self, ctx: Context, key: str) -> None: ...


PARAMS = StrategyParams(instrument=InstrumentId("BTC_USDT_Perp"))


def test_a_strategy_is_asked_only_for_the_hooks_it_overrides() -> None:
    assert _Listener.hooks == {"on_book", "on_trade"}


def test_inherited_overrides_count_as_hooks() -> None:
    assert _Heir.hooks == {"on_book", "on_trade", "on_timer"}


def test_every_documented_hook_exists_on_the_base() -> None:
    assert all(callable(getattr(Strategy, name)) for name in HOOKS)
    assert Strategy.hooks == frozenset()


def test_by_default_every_book_of_the_one_instrument_is_wanted() -> None:
    assert list(_Listener(PARAMS).subscriptions()) == [Subscription(PARAMS.instrument, book_interval_ms=0)]


def test_the_fake_context_satisfies_the_protocol() -> None:
    ctx: Context = FakeContext(perp())
    assert ctx.position(PARAMS.instrument).qty == 0


def test_an_order_of_unknown_fate_still_counts_in_full() -> None:
    order = own_order(perp(), Side.BUY, "60000", "0.01", OrderState.UNKNOWN)
    assert order.leaves_qty == Decimal("0.01")


def test_an_ended_order_has_nothing_left() -> None:
    assert own_order(perp(), Side.BUY, "60000", "0.01", OrderState.CANCELED).leaves_qty == 0

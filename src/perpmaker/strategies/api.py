"""What a strategy is, and what it may ask and say.

The engine calls the hooks a strategy overrides, one after the other, each with a `Context`; a hook returns nothing and
says what it wants through the context. Time is `ctx.now_ns()`. A strategy that raises is stopped and its orders are
cancelled; the others go on. Everything here is synchronous and deterministic: same events, same wishes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar

import msgspec

from perpmaker.model.account import Position
from perpmaker.model.book import Book
from perpmaker.model.events import Bar, BookStale, Connectivity, Fill, Ticker, Trade
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.guard import Guard
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderView, Side, TimeInForce
from perpmaker.model.quote import Algorithm, Quote, Sweep
from perpmaker.strategies.schema import Table, key

HOOKS: Final = (
    "on_start",
    "on_book",
    "on_trade",
    "on_ticker",
    "on_bar",
    "on_fill",
    "on_order",
    "on_timer",
    "on_answer",
    "on_told",
    "on_execution",
    "on_connectivity",
    "on_stop",
)

DEFAULT_ALGORITHM: Final = Sweep()

Explained = float | int | str | bool | None | Sequence[str]
"""One quoting input as the dashboard shows it and the journal samples it; a sequence is a list of sentences or names."""


class Leg(msgspec.Struct, frozen=True):
    """An instrument a strategy works, and the account it works it on."""

    account: AccountId
    instrument: InstrumentId


class StrategyParams(Table, frozen=True, kw_only=True):
    """Base of every strategy's parameters: its own keys of a `[[strategy]]` table, each annotated (`schema.key`)."""

    instrument: Annotated[InstrumentId, key("", "The instrument it trades, by the venue's own symbol.")]

    def other_legs(self) -> Sequence[Leg]:
        """Return what it works besides `instrument` on its account: legs on other exchanges, one instrument each."""
        return ()


ParamsT = TypeVar("ParamsT", bound=StrategyParams)


class Subscription(msgspec.Struct, frozen=True):
    """What a strategy wants to hear about one instrument, and how often.

    Books are conflated: `on_book` gets the latest book at most once in `book_interval_ms` (0: every change). Trades,
    tickers and bars come when the strategy overrides their hook; `bars_s` names the bar lengths in seconds. Of
    one instrument all strategies of an engine hear bars of one length, which its venue has to offer (`config check`).
    """

    instrument: InstrumentId
    book_interval_ms: int = 0
    bars_s: tuple[int, ...] = ()


class Booked(msgspec.Struct, frozen=True):
    """A fill as it was booked; `number` counts the fills of the engine's journal without a break."""

    number: int
    fill: Fill
    by: Literal["own", "engine", "other"]
    """This strategy's order; one of the engine itself (a closing); by hand, by the venue, by whatever else."""


class Conversion(msgspec.Struct, frozen=True):
    """What one unit of a currency is worth in another, who says so, and when it was said."""

    rate: Decimal
    told_by: str
    ts_ns: int


class Context(Protocol):
    """What the engine lends a strategy while one of its hooks runs.

    Prices and quantities that are orders, fills or money are Decimal; what feeds a model is float.
    """

    def now_ns(self) -> int:
        """The receive time of the event being handled, UTC nanoseconds."""
        ...

    def instrument(self, instrument: InstrumentId) -> Instrument:
        """The instrument's rules as the venue lists them now."""
        ...

    def book(self, instrument: InstrumentId) -> Book | None:
        """The book without our own orders, or None unless it is whole, uncrossed and fresh."""
        ...

    def raw_book(self, instrument: InstrumentId) -> Book | None:
        """As `book`, with our own orders in it."""
        ...

    def ticker(self, instrument: InstrumentId) -> Ticker | None:
        """The last ticker, or None before the first."""
        ...

    def bars(self, instrument: InstrumentId, bar_s: int) -> Sequence[Bar]:
        """The finished bars of this length that came so far, oldest first: those of before the start too. 500 are kept."""
        ...

    def mark_px(self, instrument: InstrumentId) -> Decimal | None: ...

    def index_px(self, instrument: InstrumentId) -> Decimal | None: ...

    def funding_rate(self, instrument: InstrumentId) -> Decimal | None:
        """Fraction per funding interval, positive when longs pay."""
        ...

    def position(self, instrument: InstrumentId) -> Position:
        """This strategy's position; flat rather than None when it never traded."""
        ...

    def proven_qty(self, instrument: InstrumentId) -> Decimal:
        """The position's quantity with executions the venue has stated whose fills are still to be booked."""
        ...

    def open_orders(self, instrument: InstrumentId) -> Sequence[OrderView]:
        """This strategy's orders that are not terminal: resting, in flight, being cancelled, unknown.

        Those that `protect` keeps at the venue are not among them.
        """
        ...

    def equity(self) -> Decimal:
        """The account's equity in its reporting currency."""
        ...

    def max_position_notional(self) -> Decimal:
        """The most this strategy may hold per instrument, in quote currency, either way. The risk gate enforces it."""
        ...

    def loss_used(self) -> float:
        """The part of a loss limit of its accounts that is used up, the day's loss or the drawdown; 0 to 1.

        From half of it on a strategy is to be careful (`strategies.caution`); at 1 the engine halts the account.
        """
        ...

    def maker_fee(self, instrument: InstrumentId) -> Decimal | None:
        """Maker fee as a fraction of notional, > 0 is a cost: last seen in own fills, else by the venue's word.

        None while nobody has told it.
        """
        ...

    def taker_fee(self, instrument: InstrumentId) -> Decimal | None: ...

    def execution(self, instrument: InstrumentId) -> ExecutionReport | None:
        """How this strategy's last `target` of the instrument is being worked, or how it ended; None before the first."""
        ...

    def paused(self) -> bool:
        """Whether a person paused this strategy. Its orders are then refused; what a pair hedges by `target` is not."""
        ...

    def hindrance(self, instrument: InstrumentId) -> str:
        """Why no order that adds risk may be placed there now, "" when one may: down, stale, frozen, halted, killed."""
        ...

    def protected(self, instrument: InstrumentId) -> str:
        """How what `protect` asked for stands at the venue, in words; "none: ..." with the reason where nothing does."""
        ...

    def booked(self, after: int) -> Sequence[Booked]:
        """The fills of this strategy's instruments with a higher number, oldest first; some hundreds are kept."""
        ...

    def booked_count(self) -> int:
        """The number of the last fill that was booked, of whatever strategy."""
        ...

    def conversion(self, source: str, target: str) -> Conversion | None:
        """What one `source` is worth in `target`, None while nobody has said; 1 for a currency in itself."""
        ...

    def recall(self) -> str:
        """What this strategy last asked to remember, in this life or an earlier one; "" for nothing."""
        ...

    def remember(self, memo: str) -> None:
        """Write a memo into the journal, in place of the one before; what was booked after it is in `booked`."""
        ...

    def ask(self, question: str) -> None:
        """Ask a person; the answer (command `answer`) comes to `on_answer`. With "" the question is withdrawn."""
        ...

    def quote(
        self,
        instrument: InstrumentId,
        bids: Sequence[Quote] = (),
        asks: Sequence[Quote] = (),
        *,
        bid: Quote | None = None,
        ask: Quote | None = None,
    ) -> None:
        """State the whole wanted ladder; what is not in it is withdrawn. Always post-only, safe to repeat.

        `bid` and `ask` are the short form for one quote a side, None meaning none; ValueError when both forms of a side
        are given.
        """
        ...

    def target(self, instrument: InstrumentId, qty: Decimal, algo: Algorithm = DEFAULT_ALGORITHM) -> None:
        """State a wanted position (signed, base units) and the algorithm that shall reach it; safe to repeat.

        How it ended comes to `on_execution`; what was not reached is worked again when it is stated again.
        """
        ...

    def protect(self, instrument: InstrumentId, guards: Sequence[Guard]) -> None:
        """State the whole protection wanted at the venue, at most one guard of a kind and side; safe to repeat.

        The engine keeps such orders there, through pauses and failures of the strategy too, while the position has the
        sign they close, and cancels them when it is flat. Where the venue offers none nothing is done (`protected`).
        """
        ...

    def submit(
        self,
        instrument: InstrumentId,
        side: Side,
        qty: Decimal,
        px: Decimal | None,
        *,
        tif: TimeInForce = TimeInForce.GTT,
        post_only: bool = False,
        reduce_only: bool = False,
        tag: str = "",
    ) -> ClientOrderId:
        """Send one order through the risk gate; its fate, a denial included, comes to `on_order`."""
        ...

    def cancel(self, client_order_id: ClientOrderId) -> None: ...

    def cancel_all(self, instrument: InstrumentId) -> None:
        """Withdraw the ladder and cancel every order of this strategy on the instrument, but what `protect` keeps."""
        ...

    def set_timer(self, key: str, at_ns: int) -> None:
        """Call `on_timer(ctx, key)` at `at_ns` or soon after; setting a key again moves it. Keys are the strategy's own."""
        ...

    def explain(self, instrument: InstrumentId, inputs: Mapping[str, Explained]) -> None:
        """State the present quoting inputs: shown on the dashboard, sampled into the journal. The last one counts.

        Common names: `fair sigma A_bid A_ask kappa_bid kappa_ask half_spread_bps skew_bps warming_up reasons inert`.
        """
        ...

    def notice(self, level: Literal["info", "warning"], name: str, fields: Mapping[str, str]) -> None:
        """Tell people something once: an event name in the past tense plus fields, in the log, the journal, the page."""
        ...


class Strategy(Generic[ParamsT]):
    """Base of all strategies: parameters and hooks that do nothing. A strategy overrides the hooks it wants to hear."""

    kind: ClassVar[str] = ""
    """The name in the configuration; every strategy in the registry has its own."""
    params_type: ClassVar[type[StrategyParams]] = StrategyParams
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Named settings that the key `preset` chooses; what a configuration gives besides counts more."""
    hooks: ClassVar[frozenset[str]] = frozenset()
    """Names of the hooks this class overrides; the engine calls no others."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.hooks = frozenset(name for name in HOOKS if getattr(cls, name) is not getattr(Strategy, name))

    def __init__(self, params: ParamsT) -> None:
        self.params = params

    def subscriptions(self) -> Sequence[Subscription]:
        """Return what to hear about; by default every book change of the one instrument in the parameters."""
        return (Subscription(self.params.instrument),)

    def on_start(self, ctx: Context) -> None:
        """Called once the account is reconciled and before any other hook; also after a restart of the strategy."""

    def on_book(self, ctx: Context, book: Book) -> None:
        """A whole, fresh book without our own orders; the same as `ctx.book`."""

    def on_trade(self, ctx: Context, trade: Trade) -> None:
        """A public trade, our own included."""

    def on_ticker(self, ctx: Context, ticker: Ticker) -> None: ...

    def on_bar(self, ctx: Context, bar: Bar) -> None: ...

    def on_fill(self, ctx: Context, fill: Fill) -> None:
        """A fill of this strategy; `ctx.position` has it already."""

    def on_order(self, ctx: Context, order: OrderView) -> None:
        """An order of this strategy changed its state; one with a `trigger` is kept at the venue for it by `protect`."""

    def on_execution(self, ctx: Context, report: ExecutionReport) -> None:
        """A `target` of this strategy has ended: reached, or stopped with the exact rest. With leftover `unwind` undoing
        the other leg is the strategy's part."""

    def on_timer(self, ctx: Context, key: str) -> None: ...

    def on_answer(self, ctx: Context, answer: str) -> None:
        """A person answered the open question: "continue" or "stop"."""

    def on_told(self, ctx: Context, word: str) -> None:
        """A person ends it: "stop" (nothing new, what is open is hedged) or "close" (its positions as well)."""

    def on_connectivity(self, ctx: Context, event: Connectivity | BookStale) -> None:
        """A link came up or went down, or a book went stale (`ctx.book` is then None until it is whole again)."""

    def on_stop(self, ctx: Context) -> None:
        """The strategy is being stopped; the engine cancels its orders whatever this does."""

"""What an engine tells about itself and what it can be told. JSON over loopback HTTP; decimals travel as strings.

    GET  /v1/status              Status
    GET  /v1/trades?limit=       the last fills, newest first: list[FillRow]
    GET  /v1/logs?after=         list[LogLine]
    POST /v1/commands            CommandRequest -> CommandAnswer
    GET  /v1/stream              WebSocket: Frame each 100 ms at most; the client answers {"ack": number}
    GET  /v1/metrics             Prometheus text

Every request carries `Authorization: Bearer TOKEN` and a loopback Host; a foreign Host or Origin gets 403. A command is
a request with an id and an answer; the same id again gets the same answer and is not carried out twice.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CommandKind = Literal[
    "pause",
    "resume",
    "stop",
    "close",
    "execute",
    "execution_stop",
    "answer",
    "pair_start",
    "pair_stop",
    "pair_close",
    "pair_pause",
    "pair_resume",
    "pair_answer",
    "kill",
    "clear_kill",
    "arm",
    "reload",
    "shutdown",
]
"""pause: cancel quotes and stop quoting, positions stay. resume: quote again. stop: pause, then end the engine.
close: pause and flatten positions with reduce-only orders. execute: work a parent order (docs/reference/executions.md).
execution_stop: cancel its child and end it with the truth. answer: what a strategy asked (docs/explanation/pairs.md).
pair_start: begin a pair on instruments the engine follows. pair_stop: nothing new, hedge what is open, positions stay.
pair_close: lead its positions to nothing, clip by clip. pair_pause, pair_resume, pair_answer: as those for all strategies.
kill: latch, cancel everything; only clear_kill undoes it."""


class PnlSplit(msgspec.Struct, frozen=True):
    """PnL by cause since the start of the journal, in the reporting currency; the parts add up to the change of equity.

    spread: edge at the fill against fair. adverse: what fair did in the 10 s after. inventory: the rest of the
    mark-to-market. fees: < 0 is a cost here. funding: > 0 was received.
    """

    spread: str
    adverse: str
    inventory: str
    fees: str
    funding: str


class BookTop(msgspec.Struct, frozen=True):
    """Best prices and the age of the last frame; `stale` names why the book is not traded on, "" when it is."""

    bid: str | None
    ask: str | None
    age_ms: float | None
    stale: str = ""


class PositionRow(msgspec.Struct, frozen=True):
    account: str
    instrument: str
    qty: str
    avg_entry_px: str
    mark_px: str | None
    notional: str | None
    unrealized_pnl: str | None
    realized_pnl: str
    fees: str
    funding: str


class OrderRow(msgspec.Struct, frozen=True):
    account: str
    strategy: str
    instrument: str
    client_order_id: str
    venue_order_id: str | None
    side: Literal["buy", "sell"]
    px: str | None
    qty: str
    cum_qty: str
    state: str
    tag: str
    age_ms: float
    trigger: str = ""
    """What one is that waits at the venue for a price and stands in no book: "stop_loss", "take_profit"; "" of others."""
    trigger_px: str | None = None


class FillRow(msgspec.Struct, frozen=True):
    number: int
    """Counts fills of this engine's journal from 1 without a break."""
    ts_event_ns: str
    account: str
    strategy: str
    instrument: str
    side: Literal["buy", "sell"]
    px: str
    qty: str
    fee: str
    is_taker: bool
    realized_pnl: str
    position_after: str
    client_order_id: str
    trade_id: str


class StrategyRow(msgspec.Struct, frozen=True):
    """`state`: starting, warming_up, quoting, paused, waiting (with `reason`), asking (`reason` is the question), over
    (`reason` is why it ended; it places nothing any more), stopped, failed. People read `word` and `why`."""

    name: str
    kind: str
    account: str
    instrument: str
    state: str
    reason: str
    inputs: dict[str, float | str | None]
    """Quoting inputs: fair, sigma, A_bid, A_ask, kappa_bid, kappa_ask, half_spread_bps, skew_bps ... and their age_ms.

    The adaptive tuner, when it is on: adapt_gamma_mult and adapt_kappa_mult are in force, adapt what it measures now,
    adapt_last its last step and why.
    """
    word: str = ""
    """What people are told it does: the state, but "no quotes" of a maker that may quote and wants none, and the phase of a
    grid that does not work. "" of an engine that is older."""
    why: str = ""
    """The reason of that word: `reason`, else what the strategy says of its missing quotes."""


class ExecutionChildRow(msgspec.Struct, frozen=True):
    """One order of a parent order: `px` its limit, `offset_bps` of its average price from the arrival touch, > 0 is worse.

    `total` is what the parent order had filled when this child had; `is_over` once it cannot trade any more.
    """

    number: int
    px: str | None
    qty: str
    filled: str
    total: str
    avg_px: str | None
    offset_bps: float | None
    state: str
    is_over: bool
    reason: str = ""


class ExecutionRow(msgspec.Struct, frozen=True):
    """A parent order: one of `execute` (its id is the command's), a step to a strategy's target, or part of a closing.

    `state`: working, stopping, ended; `reason` says how it ended (`done cap max_children deadline stale_book below_minimum
    refused stopped restart`), `text` what it waits for or more about the end. `slippage_bps` is signed, > 0 is worse, from
    the arrival touch to `vwap`; `half_spread_bps` from the arrival mid to that touch: their sum is slippage against mid.
    """

    id: str
    account: str
    strategy: str
    instrument: str
    side: Literal["buy", "sell"]
    qty: str
    algorithm: str
    filled: str
    remaining: str
    vwap: str | None
    fees: str
    children: int
    slippage_bps: float | None
    half_spread_bps: float | None
    arrival_mid: str | None
    state: str
    reason: str
    text: str
    started_ns: str
    deadline_ns: str
    ended_ns: str
    last_children: list[ExecutionChildRow] = []
    """The newest twenty, oldest first, of what people execute; for a minute after its end."""


class MarketRow(msgspec.Struct, frozen=True):
    """An instrument the engine follows, for who chooses one: its rules, who trades it, what it costs.

    Fees are in bps of notional, > 0 is a cost, None while neither own fills nor a schedule say; `traded_by` names the
    strategies that have it, "" while it is free on one of its accounts.
    """

    instrument: str
    symbol: str
    exchange: str
    base: str
    quote: str
    accounts: list[str]
    lot: str
    tick: str
    min_qty: str
    min_notional: str
    maker_fee_bps: str | None
    taker_fee_bps: str | None
    traded_by: str


class LeverageRow(msgspec.Struct, frozen=True):
    """How many times its margin a position may be worth, and the venue's word for its margin, "" where it has none."""

    leverage: str
    margin_type: str = ""


class AccountRow(msgspec.Struct, frozen=True):
    """An account of the engine: the way to it, where that leads, and what the gate allows it.

    `venue` is as configured (`grvt`, `backpack`, `ccxt:binanceusdm`), `exchange` the identity of what is behind it
    (`binance`). Amounts in `currency`, the account's own, "" while it has not been read. `halted` says why it is halted.
    """

    account: str
    venue: str
    exchange: str
    currency: str
    max_position_notional: str
    max_order_notional: str
    max_open_orders: int
    price_collar_bps: str
    orders_per_s: str
    halted: str = ""
    available: str | None = None
    """What could still be used as margin when the account was last read; None before."""
    leverage: dict[str, LeverageRow] = {}
    """As the owner has set it at the venue, by instrument, "" for all; {} where the venue has not told."""


class PairLegRow(msgspec.Struct, frozen=True):
    """One leg of a pair: `qty` is the pair's own, signed; `position` all that the account holds there."""

    account: str
    exchange: str
    instrument: str
    qty: str
    position: str
    mark_px: str | None


class PairRow(msgspec.Struct, frozen=True):
    """A strategy on two exchanges or more. Amounts in `currency`, the lead's; fees > 0 are a cost; net is gross - fees +
    funding.

    `state` and `reason` as in StrategyRow; `status`: Flat, Hedged, Unbalanced, Same side; `phase` of the mode; `clip` and
    `hedge`: what is at work ("" and calm: nothing). `is_over`: it ended, and nothing of it is at work any more.
    `breakeven_bps`: what both venues' fees cost for a resting lead and a taken hedge. `rate`: the hedge's currency in the
    lead's (None: unknown), who told it, and how old that is. `asked_for`: the words it was started with, {} for one of
    the configuration.
    """

    name: str
    kind: str
    state: str
    reason: str
    question: str
    mode: str
    status: str
    phase: str
    cycles: int
    asked: int
    legs: list[PairLegRow]
    """The lead first."""
    net_delta: str
    net_notional: str | None
    wanted: str
    clip: str
    hedge: str
    waits_for: str
    reprices: int
    skipped: int
    unstable: int
    hedge_retries: int
    currency: str
    volume: float
    gross: float
    fees: float
    funding: float
    net: float
    edge_bps: float
    cost_per_million: float
    basis_bps: float | None
    basis_z: float | None
    funding_bps_a_day: float | None
    breakeven_bps: float | None
    rate: str | None
    rate_from: str
    rate_age_s: float | None
    is_over: bool
    session: str
    asked_for: dict[str, str]
    age_ms: float


class Percentiles(msgspec.Struct, frozen=True):
    p50: float | None
    p99: float | None


class Status(msgspec.Struct, frozen=True):
    """The engine as of `ts_ns`. `state`: starting, running, paused, stopping, halted, killed."""

    state: str
    reason: str
    venue: str
    env: str
    mode: str
    engine: str
    """The engine's own name and pid."""
    version: str
    ts_ns: str
    started_ns: str
    currency: str
    equity: str | None
    balance: str | None
    peak_equity: str | None
    day_pnl: str | None
    drawdown_frac: float | None
    positions: list[PositionRow]
    open_orders: list[OrderRow]
    fills_total: int
    volume: str
    pnl: PnlSplit
    books: dict[str, BookTop]
    strategies: list[StrategyRow]
    latency_us: dict[str, Percentiles]
    """Stages decode, book, decide, gate, sign, journal, write, ack; and tick_to_order, event, loop_lag."""
    links: dict[str, bool]
    """Channel name -> up."""
    rate_budget: dict[str, float]
    kill_latched: bool
    orders_sent: int
    orders_refused: dict[str, int]
    """Refusal code -> count."""
    clock_offset_ms: float | None
    warnings: list[str]
    journal_path: str
    executions: list[ExecutionRow] = []
    """Parent orders at work, and the last that ended, newest last: fifty of people's and fifty of everything else."""
    conversions: dict[str, str] = {}
    """What sums over accounts were made with: "USDC/USDT" -> rate, who told it, its age; or that 1 is assumed."""
    markets: list[MarketRow] = []
    pairs: list[PairRow] = []
    accounts: list[AccountRow] = []


class CandleRow(msgspec.Struct, frozen=True):
    """One candle of the chart; `open_s` is UTC seconds. The last one of a list is still forming."""

    open_s: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class BookRows(msgspec.Struct, frozen=True):
    """The ladder: (px, qty, own qty) as strings, best first, up to 15 levels a side, with the last trade and its side."""

    bids: list[tuple[str, str, str]]
    asks: list[tuple[str, str, str]]
    last_px: str | None
    last_side: str | None
    mark_px: str | None
    funding_rate: str | None
    next_funding_ns: str | None
    ts_event_ns: str
    age_ms: float | None


class EquityPoint(msgspec.Struct, frozen=True):
    """`positions` maps instrument -> signed quantity."""

    ts_s: float
    equity: float
    positions: dict[str, float]


class LogLine(msgspec.Struct, frozen=True):
    number: int
    text: str


class Frame(msgspec.Struct, frozen=True):
    """One picture of everything, conflated. A `full` frame replaces what the page knew; others carry what is new.

    `number` counts frames of this connection from 1. `fills`, `logs`, `equity` hold every entry since the last frame;
    `candles` those that changed; `books` and `status` the newest state.
    """

    number: int
    full: bool
    ts_ns: str
    status: Status
    books: dict[str, BookRows]
    candles: dict[str, list[CandleRow]]
    fills: list[FillRow]
    equity: list[EquityPoint]
    logs: list[LogLine]


class CommandRequest(msgspec.Struct, frozen=True):
    """`command_id`: 8-64 characters of the sender's choice, the idempotency key. `expires_ns`: UTC, refused after.

    `arguments` by kind: close/pause/resume may name `strategy` or `instrument`; execute has `instrument side qty algo`,
    perhaps `account reduce_only` and the algorithm's parameters; execution_stop has `id`; answer has `answer` (continue or
    stop) and `strategy`; pair_start has `instrument hedge_instrument mode size` and whatever else a `[[strategy]]` of kind
    pair may have, nested keys dotted (`maker.timeout_s`), perhaps `account` and `strategy` (a name for it); the other pair
    commands may name `strategy` or `instrument`, pair_answer has `answer`; kill may give `reason`;
    clear_kill and arm carry the typed `confirmation`; reload carries `accept` once its difference was shown.
    """

    command_id: str
    kind: CommandKind
    expires_ns: str
    arguments: dict[str, str] = {}
    actor: str = ""


class CommandAnswer(msgspec.Struct, frozen=True):
    """`accepted`: under way, ask again with the same id. `done`. `refused`: `text` says why."""

    command_id: str
    state: Literal["accepted", "done", "refused"]
    text: str = ""

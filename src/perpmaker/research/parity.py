"""How far a simulation is from what happened: a recorded session's market played again, its fills beside the real ones.

The session's own public stream is the tape, its configuration the backtest's, up to a person's first command. Fills are
matched by instrument and side, nearest in time. The gap between the two PnLs, of the fills of the session valued at the
last mark, is split so that its parts sum up:

    gap     = fees + funding + latency + queue
    fees    = simulated less real fees
    funding = real less simulated funding
    latency = what a simulation with the latency that was measured in the session earns more than the one as configured
    queue   = the rest: other fills at the same latency

A tape of a venue where we really traded has our own orders in its books. They are taken out (`tape.own`); what others did
because of them stays, and that is in `queue`.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from perpmaker.config import Config
from perpmaker.engine.backtest import RunResult, Setup, backtest
from perpmaker.engine.backtest_tables import NONE
from perpmaker.engine.recording import untagged
from perpmaker.errors import DataError
from perpmaker.model.events import (
    AccountSnapshot,
    Event,
    Fill,
    FundingPaid,
    InstrumentListed,
    OrderPrepared,
    OrderReport,
    Source,
    Ticker,
)
from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.research.session_market import is_command, is_public, session_start, write_market
from perpmaker.simulation import FillModel
from perpmaker.tape.own import OwnLevels
from perpmaker.tape.reader import open_tape
from perpmaker.tape.session import Took, read_session

WINDOW_S: Final = 2.0
"""Fills further apart than this are not the same."""
_NANO: Final = Decimal("1e-9")
_LEAST_MS: Final = Decimal(1)
"""A measured latency this near the configured one is the same."""


class Execution(msgspec.Struct, frozen=True):
    """One fill, real or simulated, at our clock. `fee` > 0 is a cost."""

    instrument: InstrumentId
    side: Side
    px: Decimal
    qty: Decimal
    fee: Decimal
    ts_ns: int


class Pair(msgspec.Struct, frozen=True):
    """A real fill, or a part of one, and the simulated one that stands for it."""

    real: Execution
    simulated: Execution
    qty: Decimal

    @property
    def worse_bps(self) -> float:
        """How much worse the real price was, in bps; < 0: better."""
        return float((self.real.px - self.simulated.px) / self.simulated.px) * 1e4 * self.real.side.sign

    @property
    def late_s(self) -> float:
        """How much later the real one came."""
        return (self.real.ts_ns - self.simulated.ts_ns) / NS_PER_S


class Traded(msgspec.Struct, frozen=True):
    """What one side, the session or the simulation, came to; money in quote currency, exact.

    `price_pnl`: signed cash of all fills and what they left behind at the last mid; `pnl` after fees and funding.
    """

    fills: tuple[Execution, ...]
    notional: Decimal
    price_pnl: Decimal
    fees: Decimal
    funding: Decimal

    @property
    def pnl(self) -> Decimal:
        return self.price_pnl - self.fees + self.funding


class Gap(msgspec.Struct, frozen=True):
    """Real less simulated PnL, and its parts."""

    whole: Decimal
    fees: Decimal
    funding: Decimal
    latency: Decimal
    queue: Decimal


class Parity(msgspec.Struct, frozen=True):
    """The comparison. Shares are of quantity."""

    session: str
    mode: str
    env: str
    real: Traded
    simulated: Traded
    pairs: tuple[Pair, ...]
    gap: Gap
    latency_ms: float | None
    """Half a round trip as measured in the session, None when no order was answered."""
    models: dict[str, str]
    remarks: tuple[str, ...]

    @property
    def matched_qty(self) -> Decimal:
        return sum((pair.qty for pair in self.pairs), Decimal(0))

    @property
    def of_real(self) -> float:
        return _share(self.matched_qty, self.real.fills)

    @property
    def of_simulated(self) -> float:
        return _share(self.matched_qty, self.simulated.fills)

    @property
    def is_exact(self) -> bool:
        """Whether every fill has its equal: same price, same quantity."""
        return self.of_real == self.of_simulated == 1.0 and all(pair.worse_bps == 0 for pair in self.pairs)

    @property
    def worse_bps(self) -> float | None:
        """How much worse real prices were, on average over quantity; None without a match."""
        if not self.pairs:
            return None
        return sum(pair.worse_bps * float(pair.qty) for pair in self.pairs) / float(self.matched_qty)


class Facts(msgspec.Struct):
    """What a session's recording says besides its market."""

    config: Config
    start_ns: int
    instruments: dict[InstrumentId, Instrument] = {}
    opening: list[Event] = []
    """What the feeds told before they listed anything; the clocks' difference above all."""
    fills: dict[str, Execution] = {}
    funding: dict[str, Decimal] = {}
    mids: dict[InstrumentId, Decimal] = {}
    """The last mark prices told."""
    answers_ns: list[int] = []
    """From an order's leaving to the first word about it."""
    held: dict[InstrumentId, Decimal] = {}
    """Positions it began with."""
    commanded: str = ""
    """A person's first command, "" for none: a backtest knows nothing of it, so the comparison ends there."""


def parity(
    path: Path,
    folder: Path,
    *,
    seed: int = 1,
    window_s: float = WINDOW_S,
    told: Callable[[str], None] = lambda text: None,
) -> Parity:
    """Compare a recorded session with its simulation; `folder` is for a tape that is made on the way."""
    told("reading the session")
    facts = read_facts(path)
    tape_path = folder / "market.tape"
    own = write_market(path, tape_path, to_command=True)
    told("simulating as configured")
    config = facts.config
    base = _simulated(Setup(config, seed, started_ns=facts.start_ns, opening=tuple(facts.opening)), tape_path)
    real = _real(facts)
    simulated = _traded(base, facts.mids)
    measured_ms = Decimal(median(facts.answers_ns)) / 2_000_000 if facts.answers_ns else None
    latency = Decimal(0)
    is_real = config.mode != "paper"  # a paper session's latency is the model's own
    if is_real and measured_ms is not None and abs(measured_ms - config.simulation.entry_ms) > _LEAST_MS:
        told(f"simulating with {measured_ms:.1f} ms, as measured")
        slower = Setup(
            _with_latency(config, measured_ms), seed, started_ns=facts.start_ns, opening=tuple(facts.opening)
        )
        again = _traded(_simulated(slower, tape_path), facts.mids)
        latency = again.price_pnl - simulated.price_pnl
    whole = real.pnl - simulated.pnl
    fees, funding = simulated.fees - real.fees, real.funding - simulated.funding
    return Parity(
        session=path.name,
        mode=config.mode,
        env=config.env,
        real=real,
        simulated=simulated,
        pairs=tuple(matched(real.fills, simulated.fills, window_s)),
        gap=Gap(whole, fees, funding, latency, whole - fees - funding - latency),
        latency_ms=None if measured_ms is None else float(measured_ms),
        models=base.models,
        remarks=tuple(_remarks(facts, own)),
    )


def matched(real: Sequence[Execution], simulated: Sequence[Execution], window_s: float = WINDOW_S) -> list[Pair]:
    """Pair fills of one instrument and side, each real one with the nearest in time that is left; parts count."""
    window_ns = round(window_s * NS_PER_S)
    waiting: dict[tuple[InstrumentId, Side], list[tuple[int, int]]] = {}
    left = [one.qty for one in simulated]
    for place, one in enumerate(simulated):
        waiting.setdefault((one.instrument, one.side), []).append((one.ts_ns, place))
    for row in waiting.values():
        row.sort()
    pairs: list[Pair] = []
    for one in sorted(real, key=lambda fill: fill.ts_ns):
        row, missing = waiting.get((one.instrument, one.side), []), one.qty
        while missing and row:
            at = _nearest(row, one.ts_ns)
            ts_ns, place = row[at]
            if abs(ts_ns - one.ts_ns) > window_ns:
                break
            qty = min(missing, left[place])
            pairs.append(Pair(one, simulated[place], qty))
            missing -= qty
            left[place] -= qty
            if not left[place]:
                del row[at]
    return pairs


def _nearest(row: Sequence[tuple[int, int]], ts_ns: int) -> int:
    after = bisect.bisect_left(row, (ts_ns, -1))
    if after == len(row) or (after and ts_ns - row[after - 1][0] <= row[after][0] - ts_ns):
        return after - 1
    return after


# The session


def read_facts(path: Path) -> Facts:
    """Read a session's own side of the story."""
    session = session_start(path)
    facts = Facts(Config.model_validate(untagged(session.config)), session.start_ns)
    sent_ns: dict[ClientOrderId, int] = {}
    began = False
    for item in read_session(path):
        if not isinstance(item, Took):
            continue
        event = item.event
        if is_command(event):
            facts.commanded = event.kind
            break
        if not facts.instruments and is_public(event) and not isinstance(event, InstrumentListed):
            facts.opening.append(event)
        match event:
            case InstrumentListed(instrument=rules):
                facts.instruments[rules.instrument_id] = rules
            case Fill():
                facts.fills.setdefault(
                    f"{event.account} {event.instrument} {event.trade_id}",
                    Execution(event.instrument, event.side, event.px, event.qty, event.fee, event.ts_recv_ns),
                )
            case FundingPaid():
                facts.funding.setdefault(f"{event.account} {event.instrument} {event.payment_id}", event.amount)
            case Ticker(mark_px=Decimal() as mark_px):
                facts.mids[event.instrument] = mark_px
            case OrderPrepared():
                sent_ns[event.client_order_id] = event.ts_recv_ns
            case OrderReport(source=Source.REPLY | Source.STREAM):
                left_ns = sent_ns.pop(event.client_order_id, None)
                if left_ns is not None:
                    facts.answers_ns.append(event.ts_recv_ns - left_ns)
            case AccountSnapshot() if not began:
                began = True
                facts.held = {one.instrument: one.qty for one in event.positions if one.qty}
            case _:
                pass
    if not facts.instruments:
        raise DataError(f"{path}: lists no instrument, so its market cannot be played")
    return facts


def _real(facts: Facts) -> Traded:
    funding = sum(facts.funding.values(), Decimal(0))
    return _valued(tuple(facts.fills.values()), funding, facts.mids)


# The simulation


def _simulated(setup: Setup, tape: Path) -> RunResult:
    return backtest(setup, open_tape(tape), (FillModel(setup.config.simulation.fill_model),)).runs[0]


def _with_latency(config: Config, each_ms: Decimal) -> Config:
    each_ms = round(each_ms, 3)
    section = config.simulation.model_copy(update={"entry_ms": each_ms, "response_ms": each_ms, "latency": "constant"})
    return config.model_copy(update={"simulation": section})


def _traded(run: RunResult, mids: dict[InstrumentId, Decimal]) -> Traded:
    fills = run.tables["fills"]
    rows = zip(*(fills[name] for name in ("instrument", "side", "px", "qty", "fee", "ts_recv_ns")), strict=True)
    executions = tuple(
        Execution(
            InstrumentId(run.texts[instrument]),
            Side.BUY if side > 0 else Side.SELL,
            px * _NANO,
            qty * _NANO,
            fee * _NANO if fee != NONE else Decimal(0),
            ts_ns,
        )
        for instrument, side, px, qty, fee, ts_ns in rows
    )
    return _valued(executions, run.figures.funding, mids)


def _valued(fills: tuple[Execution, ...], funding: Decimal, mids: dict[InstrumentId, Decimal]) -> Traded:
    cash = notional = fees = Decimal(0)
    left: dict[InstrumentId, Decimal] = {}
    last: dict[InstrumentId, Decimal] = {}
    for fill in fills:
        cash -= fill.side.sign * fill.px * fill.qty
        notional += fill.px * fill.qty
        fees += fill.fee
        left[fill.instrument] = left.get(fill.instrument, Decimal(0)) + fill.side.sign * fill.qty
        last[fill.instrument] = fill.px
    worth = sum((qty * mids.get(name, last[name]) for name, qty in left.items()), Decimal(0))
    return Traded(fills, notional, cash + worth, fees, funding)


def _remarks(facts: Facts, own: OwnLevels | None) -> Iterator[str]:
    if facts.held:
        held = ", ".join(f"{qty:f} {name}" for name, qty in facts.held.items())
        yield f"The session began with {held}; the simulation begins flat, so quotes lean differently at first."
    if facts.commanded:
        yield f"Compared until a person's first command ({facts.commanded}), which a simulation knows nothing of."
    if own is not None:
        yield f"Orders were real: {own.describe()}. What others did because of them cannot be undone."


def _share(part: Decimal, fills: Sequence[Execution]) -> float:
    whole = sum((fill.qty for fill in fills), Decimal(0))
    return float(part / whole) if whole else float(not part)

"""What people see of the engine: status, ladder, fills, equity, candles, logs. Reads the core, changes nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import Final

import msgspec

from perpmaker import __version__
from perpmaker.clock import Clock
from perpmaker.control.messages import (
    AccountRow,
    BookRows,
    BookTop,
    EquityPoint,
    FillRow,
    LeverageRow,
    LogLine,
    OrderRow,
    Percentiles,
    PnlSplit,
    PositionRow,
    Status,
    StrategyRow,
)
from perpmaker.engine.chart import Charts
from perpmaker.engine.core.added import is_over
from perpmaker.engine.core.engine import Engine
from perpmaker.engine.core.runner import plain
from perpmaker.engine.core.slot import Slot, SlotState
from perpmaker.engine.curve import EquityCurve
from perpmaker.engine.fitting import Keeper, room_warnings
from perpmaker.engine.pairview import PairView
from perpmaker.engine.records import FillBooked
from perpmaker.engine.rows import execution_row, fill_row, number_or_text, rate_told, shown, total
from perpmaker.engine.telemetry import Telemetry
from perpmaker.logs import RecentLines
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.portfolio.account import AccountBook

LADDER_LEVELS: Final = 15
KEPT_FILLS: Final = 1_000
KEPT_EQUITY: Final = 3_600
STATUS_EVERY_NS: Final = 100 * NS_PER_MS
_WORKING: Final = "working"
"""The phase of a grid whose orders stand."""


class About(msgspec.Struct, frozen=True):
    """What never changes in a life of the engine."""

    engine: str
    pid: int
    venue: str
    env: str
    mode: str
    started_ns: int
    journal_path: Callable[[], str]
    venues: Mapping[AccountId, str] = {}
    """Of each account, as configured."""


class View:
    """Assembles pictures of the engine; the status at most ten times a second."""

    def __init__(
        self,
        engine: Engine,
        about: About,
        telemetry: Telemetry,
        recent: RecentLines,
        clock: Clock,
        *,
        warnings: Callable[[], list[str]],
    ) -> None:
        self.charts = Charts()
        self._engine = engine
        self._world = engine.world
        self._about = about
        self._telemetry = telemetry
        self._recent = recent
        self._clock = clock
        self._warnings = warnings
        self._pairs = PairView(engine, clock, self._condition)
        self._fills: deque[FillBooked] = deque(maxlen=KEPT_FILLS)
        """As booked: the ledger keeps the same ones, so they cost nothing more here."""
        self._equity = EquityCurve(KEPT_EQUITY)
        self._status: Status | None = None
        self._status_ns = 0
        self._latency_us: dict[str, Percentiles] = {}
        self._latency_ns = 0

    # --- taking in

    def on_fill(self, booked: FillBooked) -> None:
        """Keep a fill for the page, newest last, each number once."""
        if not self._fills or booked.number > self._fills[-1].number:
            self._fills.append(booked)

    def restore(self, fills: Iterable[FillBooked]) -> None:
        """Show the fills of the lives before."""
        for booked in sorted(fills, key=lambda fill: fill.number):
            self.on_fill(booked)

    def sample_equity(self) -> None:
        """Note equity and positions as of now; called once a second."""
        equity = self._world.equity()
        if equity is None:
            return
        held: dict[str, float] = {}
        for book in self._world.account_books.values():
            for instrument, position in book.positions.items():
                if position.qty:
                    held[instrument] = held.get(instrument, 0.0) + float(position.qty)
        self._equity.add(self._clock.now_ns() / NS_PER_S, float(equity), held)

    # --- control.ControlSource

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def last_fills(self, limit: int) -> list[FillRow]:
        return [fill_row(booked) for booked in islice(reversed(self._fills), limit)]

    def fills_after(self, number: int) -> list[FillRow]:
        newer: list[FillRow] = []
        for booked in reversed(self._fills):
            if booked.number <= number:
                break
            newer.append(fill_row(booked))
        newer.reverse()
        return newer

    def logs_after(self, number: int) -> list[LogLine]:
        return [LogLine(line, text) for line, text in self._recent.since(number)]

    def equity_after(self, number: int) -> tuple[list[EquityPoint], int]:
        return self._equity.after(number), self._equity.count

    def status(self) -> Status:
        now_ns = self._clock.monotonic_ns()
        if self._status is None or now_ns - self._status_ns >= STATUS_EVERY_NS:
            self._status, self._status_ns = self._assemble(), now_ns
        return self._status

    def renew(self) -> None:
        """Have the next status assembled anew: somebody just changed something and wants to see it."""
        self._status = None

    def books(self) -> dict[str, BookRows]:
        return {instrument: self._book_rows(instrument) for instrument in self._traded()}

    def state(self) -> tuple[str, str]:
        """Return the engine's state and the reason for it, one word and one sentence."""
        world = self._world
        if world.kill.latched:
            return "killed", world.kill.reason
        if world.stopping:
            return "stopping", world.stopping
        for halt in world.halts.active.values():
            return "halted", halt.text
        if not self._engine.ready:
            return "starting", self._waiting()
        if world.blocks:
            return "halted", next(iter(world.blocks.values()))
        slots = list(world.slots.values())
        if slots and all(slot.paused or not slot.running for slot in slots):
            closing = self._engine.targets.closing()
            return "paused", "closing positions" if closing else ""
        waiting = [f"{slot.spec.strategy} waits: {why}" for slot in slots if (why := self._why_waiting(slot))]
        return "running", "; ".join(waiting)

    # --- inside

    def _told(self, amount: Decimal | None, book: AccountBook) -> Decimal | None:
        """Return an amount of an account in the reporting currency."""
        return None if amount is None else amount * self._world.worth(book.currency)

    def _conversions(self) -> dict[str, str]:
        world, now_ns = self._world, self._clock.now_ns()
        target = world.reporting_currency
        return {f"{source}/{target}": rate_told(found, now_ns) for source, found in world.rates().items()}

    def _traded(self) -> list[InstrumentId]:
        legs = [leg.instrument for slot in self._world.slots.values() for leg in slot.spec.legs]
        return list(dict.fromkeys([*legs, *self._world.named()]))

    def _waiting(self) -> str:
        for slot in self._world.slots.values():
            if slot.state is SlotState.STARTING:
                hindrance = self._hindrance(slot)
                return f"{slot.spec.instrument}: {hindrance or 'about to start'}"
        return ""

    def _assemble(self) -> Status:
        world, about = self._world, self._about
        books = list(world.account_books.values())
        state, reason = self.state()
        opened = [book for book in books if book.opened]
        return Status(
            state=state,
            reason=reason,
            venue=about.venue,
            env=about.env,
            mode=about.mode,
            engine=f"{about.engine} {about.pid}",
            version=__version__,
            ts_ns=str(self._clock.now_ns()),
            started_ns=str(about.started_ns),
            currency=opened[0].currency if opened else "",
            equity=total([self._told(book.equity, book) for book in books]),
            balance=total([self._told(book.balance, book) if book.opened else None for book in books]),
            peak_equity=total([self._told(book.peak_equity, book) for book in books]),
            day_pnl=total([self._told(book.day_pnl, book) for book in books]),
            conversions=self._conversions(),
            drawdown_frac=max(
                (float(book.drawdown_frac) for book in books if book.drawdown_frac is not None), default=None
            ),
            positions=self._positions(),
            open_orders=self._orders(),
            fills_total=world.fills_total,
            volume=shown(sum((book.volume for book in books), Decimal(0))),
            pnl=self._split(),
            books={instrument: self._top(instrument) for instrument in self._traded()},
            strategies=[self._strategy(slot) for slot in world.slots.values()],
            latency_us=self._latency(),
            links=dict(world.links),
            rate_budget=self._budget(),
            kill_latched=world.kill.latched,
            orders_sent=world.orders_sent,
            orders_refused=dict(world.orders_refused),
            clock_offset_ms=self._clock_offset_ms(),
            warnings=self._warnings() + self._own_warnings(),
            journal_path=about.journal_path(),
            executions=[execution_row(report, self._clock.now_ns()) for report in self._engine.executions.reports()],
            markets=self._pairs.markets(),
            pairs=self._pairs.pairs(),
            accounts=self._accounts(),
        )

    def _latency(self) -> dict[str, Percentiles]:
        """Percentiles once a second: walking the histograms costs more than the rest of the status."""
        now_ns = self._clock.monotonic_ns()
        if not self._latency_us or now_ns - self._latency_ns >= NS_PER_S:
            self._latency_us, self._latency_ns = self._telemetry.latency_us(), now_ns
        return self._latency_us

    def _accounts(self) -> list[AccountRow]:
        world = self._world
        rows = []
        for spec in world.spec.accounts:
            halt, limits = world.halts.active.get(spec.account), spec.limits
            rows.append(
                AccountRow(
                    account=spec.account,
                    venue=self._about.venues.get(spec.account, spec.exchange),
                    exchange=spec.exchange,
                    currency=world.account_books[spec.account].currency,
                    max_position_notional=str(limits.max_position_notional),
                    max_order_notional=str(limits.max_order_notional),
                    max_open_orders=limits.max_open_orders,
                    price_collar_bps=str(limits.price_collar_bps),
                    orders_per_s=str(limits.orders_per_s),
                    halted="" if halt is None else halt.text,
                    available=str(world.available[spec.account]) if spec.account in world.available else None,
                    leverage={
                        name: LeverageRow(f"{one.leverage.normalize():f}", one.margin_type)
                        for name, one in world.leverages.get(spec.account, {}).items()
                    },
                )
            )
        return rows

    def _positions(self) -> list[PositionRow]:
        rows: list[PositionRow] = []
        for account, book in self._world.account_books.items():
            for instrument, running in book.positions.items():
                position, mark_px = running.view(), book.mark_px(instrument)
                rows.append(
                    PositionRow(
                        account=account,
                        instrument=instrument,
                        qty=str(position.qty),
                        avg_entry_px=shown(position.avg_entry_px),
                        mark_px=None if mark_px is None else str(mark_px),
                        notional=None if mark_px is None else shown(position.qty * mark_px),
                        unrealized_pnl=None if mark_px is None else shown(running.unrealized(mark_px)),
                        realized_pnl=shown(position.realized_pnl),
                        fees=shown(position.fees),
                        funding=shown(position.funding),
                    )
                )
        return rows

    def _orders(self) -> list[OrderRow]:
        now_ns = self._clock.now_ns()
        return [
            OrderRow(
                account=tracked.order.account,
                strategy=tracked.order.strategy,
                instrument=tracked.order.instrument,
                client_order_id=str(tracked.client_order_id),
                venue_order_id=tracked.venue_order_id,
                side="buy" if tracked.order.side is Side.BUY else "sell",
                px=None if tracked.order.px is None else str(tracked.order.px),
                qty=str(tracked.order.qty),
                cum_qty=str(tracked.cum_qty),
                state=tracked.state.value,
                tag=tracked.order.tag,
                age_ms=max(now_ns - tracked.created_ns, 0) / NS_PER_MS,
                trigger="" if tracked.order.trigger is None else tracked.order.trigger.kind.value,
                trigger_px=None if tracked.order.trigger is None else str(tracked.order.trigger.px),
            )
            for tracked in self._world.table.live()
        ]

    def _split(self) -> PnlSplit:
        parts = [Decimal(0)] * 5
        for ledger in self._world.ledgers.values():
            split = ledger.split()
            if split is not None:
                known = (split.spread, split.adverse, split.inventory, -split.fees, split.funding)
                parts = [total + part for total, part in zip(parts, known, strict=True)]
        return PnlSplit(*(shown(part) for part in parts))

    def _top(self, instrument: InstrumentId) -> BookTop:
        world, now_ns = self._world, self._clock.now_ns()
        age_ns = world.books.age_ns(instrument, now_ns)
        age_ms = None if age_ns is None else age_ns / NS_PER_MS
        stale = world.books.stale_reason(instrument, now_ns)
        book = world.books.book(instrument, now_ns)
        if book is None:
            return BookTop(None, None, age_ms, "" if stale is None else stale.value)
        rules = book.instrument
        return BookTop(str(rules.px(book.bid_ticks)), str(rules.px(book.ask_ticks)), age_ms)

    def _book_rows(self, instrument: InstrumentId) -> BookRows:
        world, now_ns = self._world, self._clock.now_ns()
        book = world.books.book(instrument, now_ns)
        prices, chart = world.books.prices(instrument), self.charts.get(instrument)
        age_ns = world.books.age_ns(instrument, now_ns)
        own = world.table.own_levels(instrument)
        sides: dict[Side, list[tuple[str, str, str]]] = {Side.BUY: [], Side.SELL: []}
        if book is not None:
            rules = book.instrument
            for side, ours in ((Side.BUY, own.bids), (Side.SELL, own.asks)):
                sides[side] = [
                    (str(rules.px(ticks)), str(rules.qty(lots)), str(rules.qty(ours.get(ticks, 0))))
                    for ticks, lots in book.levels(side, LADDER_LEVELS)
                ]
        return BookRows(
            bids=sides[Side.BUY],
            asks=sides[Side.SELL],
            last_px=None if chart is None else chart.last_px,
            last_side=None if chart is None else chart.last_side,
            mark_px=None if prices is None or prices.mark_px is None else str(prices.mark_px),
            funding_rate=None if prices is None or prices.funding_rate is None else str(prices.funding_rate),
            next_funding_ns=None if prices is None or not prices.next_funding_ns else str(prices.next_funding_ns),
            ts_event_ns=str(book.ts_event_ns if book is not None else 0),
            age_ms=None if age_ns is None else age_ns / NS_PER_MS,
        )

    def _strategy(self, slot: Slot) -> StrategyRow:
        state, reason = self._condition(slot)
        inputs: dict[str, float | str | None] = {}
        for explained in slot.explained.values():
            for key, value in plain(explained).items():
                inputs[key] = "; ".join(value) if isinstance(value, list) else number_or_text(value)
        if slot.explained_ns:
            inputs["age_ms"] = max(self._clock.now_ns() - slot.explained_ns, 0) / NS_PER_MS
        word = _word(slot.spec.kind, state, inputs)
        return StrategyRow(
            name=slot.spec.strategy,
            kind=slot.spec.kind,
            account=slot.spec.account,
            instrument=slot.spec.instrument,
            state=state,
            reason=reason,
            inputs=inputs,
            word=word,
            why=reason or (str(inputs.get("reasons") or "") if state == "quoting" != word else ""),
        )

    def _condition(self, slot: Slot) -> tuple[str, str]:
        if slot.state is SlotState.FAILED:
            return "failed", slot.error
        if slot.state is SlotState.STOPPED:
            return ("over", _why_over(slot)) if is_over(slot) else ("stopped", self._world.stopping)
        if slot.running and is_over(slot):
            return "over", _why_over(slot)
        if slot.paused:
            return "paused", self._engine.targets.closing().get((slot.spec.account, slot.spec.instrument), "")
        hindrance = self._hindrance(slot)
        if slot.state is SlotState.STARTING:
            return "starting", hindrance
        if slot.question:
            return "asking", slot.question
        if hindrance:
            return "waiting", hindrance
        explained = slot.explained.get(slot.spec.instrument, {})
        return ("warming_up", "") if explained.get("warming_up") else ("quoting", "")

    def _why_waiting(self, slot: Slot) -> str:
        if not slot.quoting_allowed or is_over(slot):
            return ""
        return self._hindrance(slot)

    def _hindrance(self, slot: Slot) -> str:
        """Return why a strategy cannot place orders on one of its legs, "" when it can."""
        found = (self._world.hindrance(leg.account, leg.instrument) for leg in slot.spec.legs)
        return next((text for text in found if text), "")

    def _budget(self) -> dict[str, float]:
        left: dict[str, float] = {}
        for account, budget in self._engine.rate_budgets.items():
            left[f"{account} orders"] = budget.orders_left
            left[f"{account} cancels"] = budget.cancels_left
            if budget.penalty_until_ns > self._clock.now_ns():
                left[f"{account} penalty_s"] = (budget.penalty_until_ns - self._clock.now_ns()) / NS_PER_S
        return left

    def _clock_offset_ms(self) -> float | None:
        offsets = [offset.offset_ns / NS_PER_MS for offset in self._engine.clock_offsets.values()]
        return max(offsets, key=abs, default=None)

    def _own_warnings(self) -> list[str]:
        found = [f"no new risk: {reason}" for reason in self._world.blocks.values()]
        for account in self._world.limits:
            for instrument, causes in self._engine.reconciling.freezes(account).items():
                found += [f"{instrument} is frozen ({text}); resume lifts it" for text in causes.values()]
        return found + self._no_room()

    def _no_room(self) -> list[str]:
        """Say where the strategies of now may keep more orders than the limits of now allow."""
        keepers = [
            Keeper(slot.spec.strategy, [leg.account for leg in slot.spec.legs], slot.strategy.params)
            for slot in self._world.slots.values()
            if slot.state is not SlotState.STOPPED and not is_over(slot) and hasattr(slot.strategy, "params")
        ]  # one of somebody's own may not keep its parameters
        most = {account: limits.max_open_orders for account, limits in self._world.limits.items()}
        return room_warnings(keepers, most, self._world.triggers)


def _word(kind: str, state: str, inputs: Mapping[str, float | str | None]) -> str:
    """Return what people are told: "quoting" of none that states no quotes, nor of a grid that waits."""
    if state != "quoting":
        return state.replace("_", " ")
    if kind == "grid":
        phase = str(inputs.get("phase", _WORKING))
        return state if phase == _WORKING else phase
    return "no quotes" if inputs.get("bids") == inputs.get("asks") == "" else state


def _why_over(slot: Slot) -> str:
    return str(slot.explained.get(slot.spec.instrument, {}).get("waits_for", ""))

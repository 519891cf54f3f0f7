"""An engine in virtual time against two venues of a few lines each: late, deaf, mute, refusing or thin when a test says so.

After every event the net quantity of the pair, as the venues have it, is compared with one clip.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.strategies.pair.face import FEES, HEDGE, LEAD, RULES, THIRD, ZERO, Face, VenueOrder

from perpmaker.engine.core import AccountSpec, Engine, EngineSpec, StrategySpec, for_journal
from perpmaker.engine.records import Happened, Intent, Record
from perpmaker.model.commands import (
    CancelAll,
    CancelOrders,
    Command,
    Notice,
    QueryOrders,
    ReplaceOrders,
    RequestSnapshot,
    SetTimer,
    SubmitOrders,
)
from perpmaker.model.events import (
    AccountSnapshot,
    CancelFailed,
    CancelReceived,
    CancelSent,
    Channel,
    Connectivity,
    ConversionRate,
    Event,
    Fill,
    InstrumentListed,
    Operator,
    OrderNotFound,
    OrderNotSent,
    OrderPrepared,
    OrderReport,
    PositionReport,
    Source,
    SubmitRejected,
    SubmitUnknown,
    Ticker,
    Timer,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, StrategyId, TradeId, VenueOrderId
from perpmaker.model.order import CancelOrder, NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_MS, NS_PER_S
from perpmaker.risk.limits import Limits
from perpmaker.strategies.registry import make_strategy, parse_params

__all__ = ["FEES", "HEDGE", "LEAD", "LIMITS", "RULES", "START_NS", "THIRD", "Crowd", "Face", "TwoVenues", "VenueOrder"]

START_NS = 1_700_000_000 * NS_PER_S
LIMITS = Limits(
    max_loss=Decimal(100_000),
    max_drawdown_frac=Decimal(1),
    orders_per_s=Decimal(1000),
    max_order_notional=Decimal(100_000),
    max_position_notional=Decimal(1_000_000),
)


class TwoVenues:
    """Feeds one engine with one strategy. `kind` and `params` as in a `[[strategy]]` table."""

    def __init__(
        self,
        params: Mapping[str, Any],
        *,
        kind: str = "pair",
        clip: str = "0.5",
        third: bool = False,
    ) -> None:
        self.kind = kind
        self.table = {
            "instrument": str(LEAD),
            "hedge_account": "second",
            "hedge_instrument": str(HEDGE),
            **({"fallback_account": "third", "fallback_instrument": str(THIRD)} if third else {}),
            **params,
        }
        self.clip = Decimal(clip)
        faces = [Face("first", LEAD, "2600"), Face("second", HEDGE, "2600")]
        if third:
            faces.append(Face("third", THIRD, "2600"))
        self.faces = {face.account: face for face in faces}
        self.base = {face.account: ZERO for face in faces}
        """What each account holds that is not the pair's."""
        self.now_ns = START_NS
        self.journal: list[Record] = []
        self.notices: list[Notice] = []
        self.trades = 0
        self.worst = ZERO
        """The largest unhedged quantity ever seen, as the venues have it."""
        self.bound = self.clip
        self.watching = True
        self.spells_s: list[float] = []
        """How long each time more was open than the hedge venue's smallest order, by the venues' books."""
        self._open_ns = 0
        self.violations: list[str] = []
        """Own orders that could have met, as the venue saw them."""
        self.on_cancel: Callable[[Face, NewOrder], None] = lambda face, order: None
        """Called while the cancel of a resting order is on its way."""
        self.on_step: Callable[[], None] = lambda: None
        """Played each 100 ms."""
        self.rates = {("USDC", "USDT"): "1"}
        """What each currency is worth in another, told each second; without one nobody tells it."""
        self.kill_at = 0
        """The process is killed at this one of its steps, counted over all lives; 0: never."""
        self.steps = 0
        self.alive = False
        self.life = 0
        self._rest: tuple[bytes | None, int] = (None, 0)
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._boot()

    def _boot(self) -> None:
        """A new process: nothing is left of the one before but the journal."""
        self.life += 1
        parsed = parse_params(self.kind, self.table)
        strategy = StrategySpec(
            StrategyId("pair"), self.kind, 1, AccountId("first"), LEAD, lambda: make_strategy(self.kind, self.table),
            tuple(parsed.other_legs()),
        )  # fmt: skip
        accounts = tuple(
            AccountSpec(face.account, face.rules.exchange, LIMITS, client_id_bits=64) for face in self.faces.values()
        )
        self.spec = EngineSpec("test", 1, self.life, False, accounts, (strategy,), config_hash="c1", fees=FEES)
        self.engine = Engine(self.spec)
        self._timers: dict[str, int] = {}
        self._queue: deque[Event] = deque()
        self._feeding = False

    @property
    def lead(self) -> Face:
        return self.faces[AccountId("first")]

    @property
    def hedge(self) -> Face:
        return self.faces[AccountId("second")]

    @property
    def other(self) -> Face:
        return self.faces[AccountId("third")]

    # --- driving

    def start(self) -> TwoVenues:
        """Begin a life; without anything in its way the strategy has started when this returns."""
        self.alive = True
        self._carry_out(self.engine.start(self.now_ns))
        self._collect()
        self._tell_rates()
        for face in self.faces.values():
            if face.position and not face.fills:
                face.cost = face.position * face.mid
            self.feed(InstrumentListed(face.rules, self.now_ns))
            if face.up:
                self.link(face)
        for _ in range(50):
            if self.engine.ready:
                break
            self.run(0.1)
        return self

    def kill(self) -> None:
        """The process is gone; the venues go on, with what is on its way to them."""
        self.alive = False
        self._queue.clear()

    def restart(self) -> TwoVenues:
        """The next life, from the last checkpoint and the journal since."""
        self.kill()
        self._boot()
        checkpoint, since = self._rest
        self.engine.restore(checkpoint, self.journal[since:])
        return self.start()

    def checkpoint(self) -> None:
        """Write down where the engine stands."""
        self._rest = (self.engine.checkpoint(), len(self.journal))

    def feed(self, event: Event) -> None:
        if not self.alive:
            return
        self._queue.append(event)
        if self._feeding:
            return
        self._feeding = True
        while self._queue and self.alive:
            self._process(self._queue.popleft())
        self._feeding = False
        self.watch()

    def _process(self, event: Event) -> None:
        """One event: written down, decided upon, its consequences written down, then carried out one by one."""
        private = for_journal(event, self.engine.world)
        if private is not None:
            self.journal.append(Happened(private, self.now_ns))
            if self._dies():
                return
        commands = self.engine.process(event)
        self._collect()
        if self.alive:
            self._carry_out(commands)

    def _dies(self) -> bool:
        self.steps += 1
        if self.steps == self.kill_at:
            self.kill()
        return not self.alive

    def run(self, seconds: float) -> TwoVenues:
        """Let time pass in steps of 100 ms, with market data of every venue that is up at each."""
        for _ in range(round(seconds * 10)):
            until = self.now_ns + 100 * NS_PER_MS
            while self._heap and self._heap[0][0] <= until:
                at_ns, _, job = heapq.heappop(self._heap)
                self.now_ns = max(self.now_ns, at_ns)
                job()
            self.now_ns = until
            if until % NS_PER_S == 0:
                self._tell_rates()
            for face in self.faces.values():
                if face.up:
                    self.market(face)
            self.on_step()
        return self

    def until(self, condition: Callable[[], bool], seconds: float = 120) -> TwoVenues:
        for _ in range(round(seconds * 10)):
            if condition():
                return self
            self.run(0.1)
        raise AssertionError(f"{self.status()}\n{self.notices[-12:]}")

    def market(self, face: Face) -> None:
        if face.marks:
            self.feed(Ticker(face.instrument, face.mid, face.mid, face.mid, face.rate, 0, self.now_ns, self.now_ns))
        self.feed(face.book(self.now_ns))

    def heal(self) -> None:
        """Nothing is wrong with any venue any more."""
        for face in self.faces.values():
            face.accepts = face.answers = True
            face.refuses, face.latency_s, face.take_share = "", 0.0, Decimal(1)
            face.orders_late_s = face.replies_late_s = face.fills_late_s = 0.0
            if not face.up:
                self.link(face)

    def link(self, face: Face, *, up: bool = True) -> None:
        face.up = up
        self.feed(Connectivity(face.rules.exchange, Channel.MARKET_DATA, up, "test", self.now_ns))
        if up:
            self.market(face)
        self.feed(Connectivity(face.account, Channel.ORDER_ENTRY, up, "test", self.now_ns))
        self.feed(Connectivity(face.account, Channel.PRIVATE, up, "test", self.now_ns))

    def feed_rate(self, source: str, target: str, rate: str) -> None:
        """Somebody says what one currency is worth in another, and goes on saying so."""
        self.rates[source, target] = rate
        self._tell_rates()

    def _tell_rates(self) -> None:
        for (source, target), rate in self.rates.items():
            self.feed(ConversionRate(source, target, Decimal(rate), "test", self.now_ns, self.now_ns))

    def operate(self, kind: str, **arguments: str) -> Any:
        command_id = f"{kind}-{len(self.journal)}"
        self.feed(Operator(command_id, kind, StrategyId("pair"), arguments, "tester", self.now_ns))
        return self.engine.answer(command_id)

    # --- truth

    @property
    def delta(self) -> Decimal:
        return sum((face.position - self.base[face.account] for face in self.faces.values()), ZERO)

    def watch(self) -> None:
        """The unhedged quantity never exceeds one clip, whatever has happened."""
        self.worst = max(self.worst, abs(self.delta))
        is_open = abs(self.delta) >= self.hedge.rules.min_qty
        if is_open and not self._open_ns:
            self._open_ns = self.now_ns
        elif self._open_ns and not is_open:
            self.spells_s.append((self.now_ns - self._open_ns) / NS_PER_S)
            self._open_ns = 0
        if self.watching:
            assert abs(self.delta) <= self.bound, (self.delta, self.status(), self.notices[-8:])

    def status(self) -> dict[str, Any]:
        return dict(self.engine.world.slots[StrategyId("pair")].explained.get(LEAD, {}))

    @property
    def question(self) -> str:
        return self.engine.world.slots[StrategyId("pair")].question

    def told(self, name: str) -> list[Mapping[str, str]]:
        return [notice.fields for notice in self.notices if notice.name == name]

    @property
    def is_over(self) -> bool:
        return self.status().get("phase") == "end"

    # --- venues

    def fill(self, face: Face, order: NewOrder, qty: str | None = None) -> None:
        """Execute (part of) a resting order."""
        there = face.orders[order.client_order_id]
        self._execute(face, there, order.qty - there.filled if qty is None else Decimal(qty), order.px, taker=False)

    def fill_by_hand(self, face: Face, side: Side, qty: str, *, of_the_pair: bool = False, told: bool = True) -> None:
        """A fill of an order that is not ours; it changes what is the pair's only if that is said.

        Without `told` neither a stream nor a list of fills ever shows it: the position is another, and that is all.
        """
        stranger = NewOrder(
            ClientOrderId(1000 + len(face.fills)), face.account, StrategyId(""), face.instrument, side, face.mid,
            Decimal(qty),
        )  # fmt: skip
        if not of_the_pair:
            self.base[face.account] += side.sign * Decimal(qty)
        answers, face.answers = face.answers, face.answers and told
        self._execute(face, VenueOrder(stranger), Decimal(qty), face.mid, taker=True, report=False)
        face.answers = answers
        if not told:
            face.fills.pop()

    def _execute(
        self, face: Face, there: VenueOrder, qty: Decimal, px: Decimal | None, *, taker: bool, report: bool = True
    ) -> None:
        order = there.order
        assert px is not None
        self.trades += 1
        there.filled += qty
        if there.filled >= order.qty:
            there.status = VenueStatus.FILLED
        rate = FEES[face.instrument].taker if taker else FEES[face.instrument].maker
        fill = Fill(
            account=face.account,
            client_order_id=order.client_order_id,
            venue_order_id=VenueOrderId(f"v{order.client_order_id}"),
            trade_id=TradeId(f"t{self.trades}"),
            instrument=face.instrument,
            side=order.side,
            px=px,
            qty=qty,
            fee=qty * px * rate,
            fee_currency=face.rules.quote,
            is_taker=taker,
            realized_pnl=ZERO,
            ts_event_ns=self.now_ns,
            ts_recv_ns=self.now_ns,
        )
        face.execute(fill)
        self.watch()
        self.later(face.fills_late_s, lambda: self._answer(face, lambda: fill))
        if report:
            self._answer(face, lambda: self._report(face, there))

    def _answer(self, face: Face, make: Callable[[], Event]) -> None:
        """Tell the engine, after the venue's latency, unless the venue is mute."""
        if not face.answers or not face.up:
            return
        made, life = make(), self.life
        self.later(face.latency_s, lambda: self._arrive(face, made, life))

    def _arrive(self, face: Face, event: Event, life: int) -> None:
        """Feed what the venue has sent, unless the connection it was sent on is gone."""
        if face.up and face.answers and life == self.life:
            self.feed(msgspec.structs.replace(event, ts_recv_ns=self.now_ns))

    def later(self, seconds: float, job: Callable[[], None]) -> None:
        if not seconds:
            job()
            return
        self._count += 1
        heapq.heappush(self._heap, (self.now_ns + round(seconds * NS_PER_S), self._count, job))

    def _report(self, face: Face, there: VenueOrder, source: Source = Source.STREAM) -> OrderReport:
        order = there.order
        return OrderReport(
            account=face.account,
            client_order_id=order.client_order_id,
            venue_order_id=VenueOrderId(f"v{order.client_order_id}"),
            instrument=order.instrument,
            status=there.status,
            cum_qty=there.filled,
            avg_px=order.px if there.filled else None,
            reason="",
            source=source,
            ts_event_ns=self.now_ns,
            ts_recv_ns=self.now_ns,
            side=order.side,
            px=order.px,
            qty=order.qty,
            reduce_only=order.reduce_only,
        )

    def _reading(self, face: Face, since_ns: int, asked_ns: int) -> Callable[[], None]:
        return lambda: self._answer(face, lambda: self._snapshot(face, since_ns, asked_ns))

    def _snapshot(self, face: Face, since_ns: int, asked_ns: int) -> AccountSnapshot:
        at_ns = self.now_ns - round(face.position_lag_s * NS_PER_S)
        known = [qty for ts_ns, qty in face.positions if ts_ns > at_ns]
        held = (
            next((qty for ts_ns, qty in reversed(face.positions) if ts_ns <= at_ns), ZERO) if known else face.position
        )
        position = PositionReport(
            face.account, face.instrument, held, face.avg_px, face.mid, ZERO, self.now_ns, self.now_ns,
            Source.SNAPSHOT,
        )  # fmt: skip
        live = (there for there in face.orders.values() if there.status is VenueStatus.OPEN)
        return AccountSnapshot(
            account=face.account,
            open_orders=tuple(self._report(face, there, Source.SNAPSHOT) for there in live),
            positions=(position,),
            fills=tuple(fill for fill in face.fills if fill.ts_event_ns >= since_ns),
            funding=(),
            balance=face.balance,
            equity=face.balance + face.position * face.mid - face.cost,
            available=face.balance,
            currency=face.rules.quote,
            fills_since_ns=since_ns,
            ts_asked_ns=asked_ns,
            ts_event_ns=self.now_ns,
            ts_recv_ns=self.now_ns,
        )

    def _collect(self) -> None:
        for record in self.engine.take_records():
            self.journal.append(record)
            if self._dies():
                return

    def _carry_out(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if not self.alive or (not isinstance(command, SetTimer | Notice) and self._dies()):
                return
            match command:
                case SetTimer(key=key, at_ns=at_ns):
                    self._timers[key] = at_ns
                    self._count += 1
                    heapq.heappush(self._heap, (at_ns, self._count, self._due(key, at_ns)))
                case Notice():
                    self.notices.append(command)
                case SubmitOrders(account=account, orders=orders):
                    self._submit(self.faces[account], [approved.order for approved in orders])
                case CancelOrders(account=account, cancels=cancels):
                    self._cancel(self.faces[account], cancels)
                case ReplaceOrders(account=account, cancels=cancels, orders=orders):
                    self._cancel(self.faces[account], cancels)
                    self._submit(self.faces[account], [approved.order for approved in orders])
                case CancelAll(account=account):
                    for order in self.faces[account].live() if not self.faces[account].keeps_orders else ():
                        self._end(self.faces[account], self.faces[account].orders[order.client_order_id])
                case QueryOrders(account=account, client_order_ids=wanted):
                    self._query(self.faces[account], wanted)
                case RequestSnapshot(account=account, fills_since_ns=since_ns):
                    face = self.faces[account]
                    if face.up and face.accepts:
                        self.later(face.latency_s, self._reading(face, since_ns, self.now_ns))

    def _due(self, key: str, at_ns: int) -> Callable[[], None]:
        life = self.life

        def due() -> None:
            if self.life == life and self._timers.get(key) == at_ns:
                del self._timers[key]
                self.feed(Timer(key, self.now_ns))

        return due

    def _submit(self, face: Face, orders: Iterable[NewOrder]) -> None:
        for order in orders:
            self.journal.append(Intent(order, b"signed", self.now_ns))
            if self._dies():
                return
            if not face.up:
                self.feed(OrderNotSent(face.account, order.client_order_id, "the link is down", self.now_ns))
                continue
            self.feed(OrderPrepared(face.account, order.client_order_id, self.now_ns))
            if face.refuses:
                self.feed(SubmitRejected(face.account, order.client_order_id, 1, face.refuses, self.now_ns))
                continue
            is_lost, face.loses_next = face.loses_next or not face.accepts, False
            if is_lost or not face.answers or face.orders_late_s or face.replies_late_s or face.latency_s > 1:
                unknown = SubmitUnknown(face.account, order.client_order_id, "no answer", self.now_ns)
                self.later(1.0, self._gave_up(unknown))
            if not is_lost:
                self.later(face.latency_s + face.orders_late_s, lambda order=order: self._match(face, order))  # type: ignore[misc]

    def _gave_up(self, unknown: SubmitUnknown) -> Callable[[], None]:
        life = self.life
        return lambda: self.feed(unknown) if self.life == life else None

    def _match(self, face: Face, order: NewOrder) -> None:
        """What arrives too late is refused: its signature, or the request's window, has run out."""
        if order.expire_ns and self.now_ns > order.expire_ns:
            self._answer(face, lambda: SubmitRejected(face.account, order.client_order_id, 2, "expired", self.now_ns))
            return
        there = face.orders[order.client_order_id] = VenueOrder(order)
        self._look_for_own(face, order)
        if order.client_order_id in face.waiting:
            face.waiting.discard(order.client_order_id)
            self._end(face, there)
            return
        if order.tif is TimeInForce.GTT:
            self._reply(face, there)
            return
        book = face.book(self.now_ns)
        left = (order.qty * face.take_share / face.rules.lot).to_integral_value() * face.rules.lot + face.overfills
        face.overfills = ZERO
        assert order.px is not None
        for ticks, lots in book.asks if order.side is Side.BUY else book.bids:
            px = face.rules.px(ticks)
            if left <= 0 or (px - order.px) * order.side.sign > 0:
                break
            qty = min(left, face.rules.qty(lots))
            left -= qty
            self._execute(face, there, qty, px, taker=True, report=False)
        if there.status is VenueStatus.OPEN:
            there.status = VenueStatus.CANCELED
        self._reply(face, there)

    def _reply(self, face: Face, there: VenueOrder) -> None:
        self.later(face.replies_late_s, lambda: self._answer(face, lambda: self._report(face, there, Source.REPLY)))

    def _look_for_own(self, face: Face, order: NewOrder) -> None:
        """Two own orders that could meet are a violation, whether or not they do."""
        for other in face.live():
            if other.side is order.side.opposite and order.px is not None and other.px is not None:
                crosses = (order.px - other.px) * order.side.sign >= 0
                if crosses:
                    self.violations.append(f"{order} meets {other}")

    def _cancel(self, face: Face, cancels: Iterable[CancelOrder]) -> None:
        for cancel in cancels:
            if not face.up:
                self.feed(CancelFailed(face.account, cancel.client_order_id, False, "the link is down", self.now_ns))
                continue
            self.feed(CancelSent(face.account, cancel.client_order_id, self.now_ns))
            if not face.accepts:
                continue
            self._answer(face, lambda c=cancel: CancelReceived(face.account, c.client_order_id, self.now_ns))  # type: ignore[misc]
            self.later(face.latency_s, lambda c=cancel: self._cancelled(face, c))  # type: ignore[misc]
            there = face.orders.get(cancel.client_order_id)
            if there is not None and there.status is VenueStatus.OPEN:
                self.later(face.latency_s / 2, lambda t=there: self._raced(face, t))  # type: ignore[misc]

    def _raced(self, face: Face, there: VenueOrder) -> None:
        if there.status is VenueStatus.OPEN:
            self.on_cancel(face, there.order)

    def _cancelled(self, face: Face, cancel: CancelOrder) -> None:
        """Cancel, or keep the cancel waiting for its order as long as it says."""
        there = face.orders.get(cancel.client_order_id)
        if face.keeps_orders:
            return
        if there is not None and there.status is VenueStatus.OPEN:
            self._end(face, there)
        elif there is None and cancel.client_order_id in face.waiting:
            pass  # one cancel waits at a time, another is dropped
        elif there is None and cancel.ttl_ms:
            face.waiting.add(cancel.client_order_id)
            self.later(cancel.ttl_ms / 1000, lambda: self._ran_out(face, cancel))
        elif there is None:
            self._answer(face, lambda: CancelFailed(face.account, cancel.client_order_id, True, "", self.now_ns))

    def _ran_out(self, face: Face, cancel: CancelOrder) -> None:
        """A waiting cancel has met no order, unless `_match` ended one meanwhile."""
        if cancel.client_order_id in face.waiting:
            face.waiting.discard(cancel.client_order_id)
            self._answer(face, lambda: CancelFailed(face.account, cancel.client_order_id, True, "", self.now_ns))

    def _end(self, face: Face, there: VenueOrder) -> None:
        there.status = VenueStatus.CANCELED
        self._answer(face, lambda: self._report(face, there))

    def _query(self, face: Face, wanted: Iterable[ClientOrderId]) -> None:
        if not face.up or not face.accepts:
            return
        for client_order_id in wanted:
            self.later(face.latency_s, lambda number=client_order_id: self._answer(face, self._found(face, number)))  # type: ignore[misc]

    def _found(self, face: Face, client_order_id: ClientOrderId) -> Callable[[], Event]:
        there = face.orders.get(client_order_id)
        if there is None:
            return lambda: OrderNotFound(face.account, client_order_id, self.now_ns)
        return lambda: self._report(face, there, Source.QUERY)


class Crowd:
    """Fills resting orders of the lead some time after they were placed, in pieces of a given size."""

    def __init__(self, rig: TwoVenues, *, piece: str = "0.5", every: int = 3) -> None:
        self._rig, self._piece, self._every = rig, Decimal(piece), every
        self._steps = 0

    def __call__(self) -> None:
        self._steps += 1
        face = self._rig.lead
        if self._steps % self._every or not face.up:
            return
        for order in face.live():
            left = order.qty - face.orders[order.client_order_id].filled
            self._rig.fill(face, order, str(min(left, self._piece)))

"""The account's private streams as evidence, and the proof that they are still telling us everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from perpmaker.clock import Clock
from perpmaker.logs import get
from perpmaker.model.events import CancelFailed, CancelReceived, Event, OrderReport, Source, VenueStatus
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId
from perpmaker.model.order import Side
from perpmaker.venues.debts import Debts
from perpmaker.venues.grvt import numbers, parse, streams
from perpmaker.venues.grvt.codes import Ending, ending
from perpmaker.venues.grvt.objects import WireCancelOutcome, WireFill, WireOrder, WirePosition, WireStateChange
from perpmaker.venues.grvt.socket import GrvtSocket
from perpmaker.venues.grvt.subscription import Broken, State, StreamKind, Subscription
from perpmaker.venues.memory import Remembered

DROPPED_DUPLICATE: Final = "DROPPED_DUPLICATE"
REMEMBERED_TRADES: Final = 1_000
_EVERY_FRAME_COUNTS: Final = StreamKind(vital=True)
_ORDER_STREAMS: Final = (streams.ORDERS, streams.STATES, streams.FILLS, streams.POSITIONS, streams.CANCELS)

_log = get("venues.grvt.private")


class PrivateOwner(Protocol):
    """Who the private streams report to."""

    def emit(self, event: Event) -> None: ...
    def instrument_of(self, client_order_id: ClientOrderId) -> InstrumentId | None: ...
    def ask_about(self, client_order_id: ClientOrderId, why: str) -> None:
        """The streams cannot say what became of an order: query it."""
        ...

    def account_refused(self, reason: str) -> None:
        """The venue will take no order of this account."""
        ...

    def private_changed(self, whole: bool, reason: str) -> None:
        """All streams are whole, or one of them is not any more."""
        ...


class PrivateStreams:
    """Subscribes to everything the venue says about one sub account, and turns it into events."""

    def __init__(
        self, socket: GrvtSocket, owner: PrivateOwner, account: AccountId, sub_account_id: str, clock: Clock
    ) -> None:
        self._socket = socket
        self._owner = owner
        self._account = account
        self._clock = clock
        self._whole = False
        self._trades = Remembered[tuple[TradeId, Side]](REMEMBERED_TRADES)
        self.debts = Debts(clock)
        handlers: dict[str, Callable[[Any, int], None]] = {
            streams.ORDERS: self._on_order,
            streams.STATES: self._on_state,
            streams.FILLS: self._on_fill,
            streams.POSITIONS: self._on_position,
            streams.CANCELS: self._on_cancel_outcome,
        }
        self._subscriptions: list[Subscription] = [
            socket.subscribe(name, sub_account_id, _Handler(self, name, handlers[name]), _EVERY_FRAME_COUNTS)
            for name in _ORDER_STREAMS
        ]

    @property
    def is_whole(self) -> bool:
        return self._whole

    def tick(self) -> None:
        """Look for what the streams owe; a mute one costs the link, and everything is read again after it."""
        overdue = self.debts.overdue()
        if overdue:
            self.debts.forget_all()
            self._socket.doubt(f"private streams are mute: {overdue}")

    def renew(self, reason: Broken, text: str) -> None:
        """Distrust every stream at once."""
        for subscription in self._subscriptions:
            self._socket.renew(subscription, reason, text)

    def report(self, report: OrderReport) -> None:
        """Pass on what the venue said about an order, and act on reasons that mean more than the order's end."""
        kind = ending(report.reason or "UNSPECIFIED")
        if kind is Ending.AMBIGUOUS:
            self._owner.ask_about(report.client_order_id, f"reason {report.reason}")
            if report.status is VenueStatus.REJECTED:
                return  # another order under this id may be alive, and that one has not ended
        if kind is Ending.VENUE:
            _log.warning("venue_ended_order", client_order_id=report.client_order_id, reason=report.reason)
        self._owner.emit(report)
        if kind is Ending.FATAL:
            self._owner.account_refused(report.reason)
        elif kind is Ending.FAILOVER:
            self.renew(Broken.GAP, "the venue failed over")

    def changed(self, reason: str) -> None:
        whole = all(subscription.state is State.LIVE for subscription in self._subscriptions)
        if whole != self._whole:
            self._whole = whole
            self.debts.forget_all()
            self._owner.private_changed(whole, reason)

    def _on_order(self, wire: WireOrder, now_ns: int) -> None:
        if len(wire.legs) > 1:  # negotiated away from the order book, by hand
            return
        try:
            report = parse.order_report(wire, self._account, Source.STREAM, now_ns)
        except parse.UnknownStatus as error:
            self._owner.ask_about(error.client_order_id, str(error))
        else:
            self._reported(report)

    def _on_state(self, wire: WireStateChange, now_ns: int) -> None:
        client_order_id = ClientOrderId(numbers.unsigned(wire.client_order_id, "client_order_id"))
        instrument = self._owner.instrument_of(client_order_id)
        if instrument is None:  # not of this life: the order stream, which names the instrument, tells it as well
            return
        try:
            report = parse.state_report(wire, instrument, self._account, Source.STREAM, now_ns)
        except parse.UnknownStatus as error:
            self._owner.ask_about(error.client_order_id, str(error))
        else:
            self._reported(report)

    def _reported(self, report: OrderReport) -> None:
        self.debts.reported(report.client_order_id, report.cum_qty)
        self.report(report)

    def _on_fill(self, wire: WireFill, now_ns: int) -> None:
        fill = parse.fill(wire, self._account, Source.STREAM, now_ns)
        if not self._trades.is_new((fill.trade_id, fill.side)):
            return
        self.debts.filled(fill.client_order_id, fill.qty)
        self._owner.emit(fill)

    def _on_position(self, wire: WirePosition, now_ns: int) -> None:
        self._owner.emit(parse.position_report(wire, self._account, Source.STREAM, now_ns))

    def _on_cancel_outcome(self, wire: WireCancelOutcome, now_ns: int) -> None:
        """A waiting cancel ran out without meeting its order; or it met another waiting one, which goes on waiting."""
        client_order_id = ClientOrderId(numbers.unsigned(wire.client_order_id, "client_order_id"))
        if wire.cancel_status == DROPPED_DUPLICATE:
            self._owner.emit(CancelReceived(self._account, client_order_id, now_ns))
            return
        not_found = wire.cancel_status == "EXPIRED"
        reason = f"time to live: {wire.cancel_status[:40]}"
        self._owner.emit(CancelFailed(self._account, client_order_id, not_found, reason, now_ns))


class _Handler:
    """One stream's end of `PrivateStreams`."""

    def __init__(self, private: PrivateStreams, name: str, take: Callable[[Any, int], None]) -> None:
        self._private = private
        self._name = name
        self._take = take

    def on_ready(self) -> None:
        self._private.changed(f"{self._name} is whole")

    def on_frame(self, feed: Any, event_ns: int, *, snapshot: bool) -> None:
        self._take(feed, self._private._clock.now_ns())

    def on_broken(self, reason: Broken, text: str) -> None:
        self._private.changed(f"{self._name}: {reason.value}: {text}")

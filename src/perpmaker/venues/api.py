"""The two Protocols every venue adapter implements; tests/contract holds every adapter to them.

Commands return at once and never raise for venue reasons. Each order ends in accepted, rejected or unknown: a timeout is
never "rejected". A fill is delivered once per trade id. Disconnects and gaps are events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from perpmaker.model.commands import ReplaceOrders
from perpmaker.model.events import Event
from perpmaker.model.ids import ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Approved, CancelOrder, NewOrder

Sink = Callable[[Event], None]


class Subscription(msgspec.Struct, frozen=True):
    """What to receive of one instrument. Books and tickers are always whole-book streams with gap detection."""

    instrument: InstrumentId
    book: bool = True
    trades: bool = True
    ticker: bool = True
    bar_s: int = 0
    """Candle length in seconds, 0 for none; warm-up bars come first."""


class Capabilities(msgspec.Struct, frozen=True):
    """What an adapter's venue offers, stated truthfully."""

    bulk: bool
    post_only: bool
    reduce_only: bool
    rpi: bool
    fill_stream: bool
    cancel_by_client_id: bool
    cancel_ttl: bool
    dead_man: bool
    signature_expiry: bool
    max_bulk: int = 1
    client_id_bits: int = 64
    """The widest client order id the venue takes; `model.ids` packs ours to fit."""
    triggers: bool = False
    """Whether an order may wait at the venue for its mark price (`NewOrder.trigger`)."""


class MarketFeed(Protocol):
    """Public data of one exchange."""

    async def start(self, sink: Sink) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, subscription: Subscription) -> None: ...
    async def instruments(self) -> Sequence[Instrument]:
        """Read the venue's list once; raises VenueError when it cannot be read."""
        ...


class IntentLog(Protocol):
    """Where an order is written down before its first byte leaves; the engine's journal implements it."""

    def intent(self, order: NewOrder, signed: bytes) -> None:
        """Return when the record is written (a kill of the process cannot lose it); raise OSError when it cannot be."""
        ...


class KillEpoch(Protocol):
    """The gate's kill counter; an Approved of an older epoch must not be written to a socket."""

    @property
    def current(self) -> int: ...


class Timings(Protocol):
    """Where an adapter tells how long a stage took: `decode` in feeds; `sign`, `journal`, `write`, `ack` in gateways."""

    def record(self, stage: str, ns: int) -> None: ...


class NoTimings:
    """Times nothing."""

    def record(self, stage: str, ns: int) -> None:
        """Forget it."""


class OrderGateway(Protocol):
    """Order entry and private streams of one account. Built with an IntentLog and a KillEpoch.

    To submit: sign, `intent_log.intent(order, signed)`, compare the kill epoch, write to the socket, in one loop step
    without an await. If the record fails, the order is NOT_SENT. A `PreparingGateway` may sign and record in steps before,
    and then judges anew whether the order may leave.
    """

    @property
    def capabilities(self) -> Capabilities: ...
    async def start(self, sink: Sink) -> None: ...
    async def stop(self) -> None: ...
    def submit(self, orders: Sequence[Approved]) -> None: ...
    def cancel(self, requests: Sequence[CancelOrder]) -> None: ...
    def replace(self, request: ReplaceOrders) -> None:
        """Cancels first, then creations; one request where `capabilities.bulk`."""
        ...

    def cancel_all(self, instrument: InstrumentId | None) -> None: ...
    def query(self, client_order_ids: Sequence[ClientOrderId]) -> None: ...
    def request_snapshot(self, fills_since_ns: int) -> None:
        """Answers with one AccountSnapshot, or SnapshotFailed."""
        ...


@runtime_checkable
class PreparingGateway(Protocol):
    """A gateway that can sign and write down one order after the other, so that a long row of them can be cut up."""

    def prepare(self, approved: Approved) -> None:
        """Do for one order what `submit` or `replace`, which must follow, then need not: sign it and write its intent.

        Nothing of it leaves. When it cannot leave at all that is told now, and the request then goes without it.
        """
        ...

    def forget(self, orders: Sequence[Approved]) -> None:
        """These will not be submitted, whether or not they were prepared; it is told elsewhere."""
        ...

"""Everything the engine can want done. The runtime carries them out; their outcomes come back as events."""

from __future__ import annotations

import msgspec

from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.order import Approved, CancelOrder


class SubmitOrders(msgspec.Struct, frozen=True, tag=True):
    account: AccountId
    orders: tuple[Approved, ...]


class CancelOrders(msgspec.Struct, frozen=True, tag=True):
    account: AccountId
    cancels: tuple[CancelOrder, ...]


class ReplaceOrders(msgspec.Struct, frozen=True, tag=True):
    """Cancels first, then creations, all on one instrument; one request where the venue has bulk."""

    account: AccountId
    instrument: InstrumentId
    cancels: tuple[CancelOrder, ...]
    orders: tuple[Approved, ...]


class CancelAll(msgspec.Struct, frozen=True, tag=True):
    """Cancel every order of the account, or of one instrument. May miss orders in flight."""

    account: AccountId
    instrument: InstrumentId | None


class QueryOrders(msgspec.Struct, frozen=True, tag=True):
    """Ask the venue about single orders by client order id; each ends in OrderReport, OrderNotFound or nothing."""

    account: AccountId
    client_order_ids: tuple[ClientOrderId, ...]


class RequestSnapshot(msgspec.Struct, frozen=True, tag=True):
    """Ask for one AccountSnapshot whose fills reach back to `fills_since_ns`."""

    account: AccountId
    fills_since_ns: int


class SetTimer(msgspec.Struct, frozen=True, tag=True):
    """Deliver Timer(key) at `at_ns`; setting a key again moves it."""

    key: str
    at_ns: int


class Notice(msgspec.Struct, frozen=True, tag=True):
    """Something the log, the journal and the page should tell: an event name in the past tense plus fields."""

    level: str
    name: str
    fields: dict[str, str]
    ts_ns: int


Command = SubmitOrders | CancelOrders | ReplaceOrders | CancelAll | QueryOrders | RequestSnapshot | SetTimer | Notice

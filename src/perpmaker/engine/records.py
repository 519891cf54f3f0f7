"""What the journal holds. Every record is a frozen struct with the time it was written, UTC nanoseconds.

The kinds may grow, fields may be added with a default; nothing is renamed or given a second meaning. A change that an
older build could misread raises `SCHEMA`, and older builds then refuse the journal.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from perpmaker.execution.algos.parent import ParentAtRest
from perpmaker.execution.algos.tally import ChildRecord
from perpmaker.model.events import Event, Fill
from perpmaker.model.execution import ExecutionReport
from perpmaker.model.ids import AccountId, InstrumentId, StrategyId
from perpmaker.model.order import NewOrder

SCHEMA: Final = 1


class AccountPrint(msgspec.Struct, frozen=True):
    """One account as the journal knows it: whose orders and fills these are."""

    name: str
    venue: str
    sub_account_id: str
    chain_id: int


class Fingerprint(msgspec.Struct, frozen=True):
    """What a journal belongs to; it is refused everywhere else. `exchange_instance` is empty but for env local."""

    engine: str
    env: str
    mode: str
    instance: int
    accounts: tuple[AccountPrint, ...]
    exchange_instance: str = ""


class Latch(msgspec.Struct, frozen=True, tag=True):
    """The kill latch was set or, by a person, cleared."""

    latched: bool
    reason: str
    actor: str
    ts_ns: int


class SegmentStart(msgspec.Struct, frozen=True, tag=True):
    """First record of each file: how it continues the one before, and what must be known without reading that one.

    `previous` is the digest of the last record of the file before (zeros in the first); `first_record` the number of
    this record, counted over all files from 1.
    """

    fingerprint: Fingerprint
    schema: int
    build: str
    number: int
    first_record: int
    previous: bytes
    epoch: int
    latch: Latch | None
    ts_ns: int
    strategies: dict[str, int] = {}
    """Numbers of strategies in client order ids, those of every life so far."""


class Boot(msgspec.Struct, frozen=True, tag=True):
    """A life of the engine began. `epoch` is in every client order id of that life and never used again."""

    epoch: int
    build: str
    pid: int
    reason: str
    ts_ns: int
    strategies: dict[str, int] = {}
    """Numbers of the strategies in client order ids; a name keeps its number, a number its name."""


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Every strategy's instrument was reconciled for the first time in this life."""

    ts_ns: int


class Closed(msgspec.Struct, frozen=True, tag=True):
    """The engine stopped in order: no open orders were left, as far as it could verify."""

    verified_empty: bool
    reason: str
    ts_ns: int


class Crashed(msgspec.Struct, frozen=True, tag=True):
    """The engine ended by an error of its own; three of these within ten minutes bring the next life up halted."""

    reason: str
    ts_ns: int


class HaltChanged(msgspec.Struct, frozen=True, tag=True):
    """An account was halted, or resumed by a person."""

    account: AccountId
    halted: bool
    code: str
    text: str
    flatten: bool
    actor: str
    ts_ns: int


class FreezesChanged(msgspec.Struct, frozen=True, tag=True):
    """What is frozen on an account now, all of it: instrument -> cause -> text."""

    account: AccountId
    freezes: dict[InstrumentId, dict[str, str]]
    ts_ns: int


class Intent(msgspec.Struct, frozen=True, tag=True):
    """An order, written before its first byte left. A resend is `signed` or nothing."""

    order: NewOrder
    signed: bytes
    ts_ns: int


class Happened(msgspec.Struct, frozen=True, tag=True):
    """A private event, as it was handed to the engine and before it acted on it."""

    event: Event
    ts_ns: int


class FillBooked(msgspec.Struct, frozen=True, tag=True):
    """A fill was booked, once per trade id. `fair_px` is our fair price when it happened, None when we had none."""

    number: int
    fill: Fill
    strategy: StrategyId
    position_after: Decimal
    fair_px: Decimal | None
    ts_ns: int


class Said(msgspec.Struct, frozen=True, tag=True):
    """A notice the engine gave: a refusal, a halt, a change of state."""

    level: str
    name: str
    fields: dict[str, str]
    ts_ns: int


class Decision(msgspec.Struct, frozen=True, tag=True):
    """A sample of what a strategy based its quotes on."""

    strategy: StrategyId
    instrument: InstrumentId
    inputs: dict[str, float | int | str | bool | list[str] | None]
    ts_ns: int


class Remembered(msgspec.Struct, frozen=True, tag=True):
    """What a strategy asked to remember, in its own words (JSON); the last one counts."""

    strategy: StrategyId
    memo: str
    ts_ns: int


class StrategyAdded(msgspec.Struct, frozen=True, tag=True):
    """A person started a strategy that the configuration does not name; the last one of a name counts.

    `words` are its parameters as they were typed; `number` is its place in client order ids.
    """

    strategy: StrategyId
    kind: str
    number: int
    account: AccountId
    words: dict[str, str]
    ts_ns: int


class StrategyRemoved(msgspec.Struct, frozen=True, tag=True):
    """A strategy that a person started is over and holds nothing: the next life begins without it."""

    strategy: StrategyId
    ts_ns: int


class StrategyTold(msgspec.Struct, frozen=True, tag=True):
    """A person told a strategy that had not started yet in this life to stop or to close; "" once it has heard that."""

    strategy: StrategyId
    word: str
    ts_ns: int


class EquityMark(msgspec.Struct, frozen=True, tag=True):
    """One account's equity and its parts since the journal began, at an instant; `marks` are the prices behind it.

    `fees` > 0 is a cost; `book_fees` and `book_funding` are the account's running totals, by which a restart continues.
    """

    account: AccountId
    equity: Decimal
    balance: Decimal
    transfers: Decimal
    positions: dict[InstrumentId, Decimal]
    marks: dict[InstrumentId, Decimal]
    spread: Decimal
    adverse: Decimal
    inventory: Decimal
    fees: Decimal
    funding: Decimal
    book_fees: Decimal
    book_funding: Decimal
    ts_ns: int


class CommandAnswered(msgspec.Struct, frozen=True, tag=True):
    """What an operator's command came to, so that a repeat after a restart gets the same answer."""

    command_id: str
    kind: str
    state: str
    text: str
    actor: str
    ts_ns: int


class ExecutionBegun(msgspec.Struct, frozen=True, tag=True):
    """A parent order is being worked; written again when its arrival price is known. The last one counts."""

    parent: ParentAtRest
    ts_ns: int


class ExecutionChild(msgspec.Struct, frozen=True, tag=True):
    """A child of a parent order is about to be sent; its fate is told by what is known of its order.

    `visible_qty`: what the book showed inside its price, haircut taken off; `touch_px` what it met first; `others_qty`:
    what others had traded since the parent order began.
    """

    execution_id: str
    child: ChildRecord
    visible_qty: Decimal
    touch_px: Decimal
    ts_ns: int
    others_qty: Decimal = Decimal(0)


class ExecutionEnded(msgspec.Struct, frozen=True, tag=True):
    """A parent order has ended, with everything a report needs."""

    report: ExecutionReport
    ts_ns: int


class Checkpoint(msgspec.Struct, frozen=True, tag=True):
    """The core's state after every record before this one: a cache that spares a start the replay of all history."""

    state: bytes
    ts_ns: int


Record = (
    SegmentStart
    | Boot
    | Ready
    | Closed
    | Crashed
    | Latch
    | HaltChanged
    | FreezesChanged
    | Intent
    | Happened
    | FillBooked
    | Said
    | Decision
    | Remembered
    | StrategyAdded
    | StrategyRemoved
    | StrategyTold
    | EquityMark
    | CommandAnswered
    | ExecutionBegun
    | ExecutionChild
    | ExecutionEnded
    | Checkpoint
)

encode = msgspec.msgpack.Encoder().encode
decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)
decode: Callable[[bytes], Record] = decoder.decode

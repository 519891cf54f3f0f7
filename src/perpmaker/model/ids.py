"""Names of things, and the client order id that says whose an order is."""

from __future__ import annotations

from typing import Final, NewType, Protocol

import msgspec

InstrumentId = NewType("InstrumentId", str)
"""Unique over all venues of an engine: GRVT's own symbol ("BTC_USDT_Perp"); other venues append "@exchange"."""

AccountId = NewType("AccountId", str)
"""The account's name in the configuration; one sub-account of one venue in one environment."""

StrategyId = NewType("StrategyId", str)
"""The strategy's name in the configuration."""

VenueOrderId = NewType("VenueOrderId", str)
TradeId = NewType("TradeId", str)

ClientOrderId = NewType("ClientOrderId", int)
"""uint64 with the top bit set: 1 | version 1 | instance 12 | strategy 6 | boot epoch 16 | sequence 28 bits."""

HOME_EXCHANGE: Final = "grvt"
INSTANCE_BITS, STRATEGY_BITS, EPOCH_BITS, SEQUENCE_BITS = 12, 6, 16, 28
NARROW: Final = 32
NARROW_INSTANCE_BITS, NARROW_STRATEGY_BITS, NARROW_EPOCH_BITS, NARROW_SEQUENCE_BITS = 4, 4, 11, 12
_NARROW_MARK = 1 << 31
_MACHINE_RANGE = 1 << 63  # the venue documents 2**63 and up for machines
_VERSION = 1 << 62
_LOW = 7  # eighths of an epoch's ids


def instrument_id(symbol: str, exchange: str = HOME_EXCHANGE) -> InstrumentId:
    """Name an instrument by its venue symbol and exchange identity (not by adapter)."""
    return InstrumentId(symbol if exchange == HOME_EXCHANGE else f"{symbol}@{exchange}")


class ClientOrderIdParts(msgspec.Struct, frozen=True):
    """What a client order id of ours says: who sent the order, in which life of the process, and its number."""

    instance: int
    strategy: int
    epoch: int
    sequence: int


class OrderIds(Protocol):
    """Hands out client order ids of one strategy."""

    def next(self) -> ClientOrderId: ...
    @property
    def low(self) -> bool:
        """Whether a later epoch is needed soon: less than an eighth of this one's ids is left."""
        ...


class ClientOrderIds:
    """Hands out ids that no other instance, strategy, restart or call of ours can hand out again.

    The epoch is written to the journal and increased before the first order of a start, so ids stay unique without a
    clock. Raises ValueError when a part does not fit its bits, or when the sequence of this epoch is used up.
    """

    def __init__(self, *, instance: int, strategy: int, epoch: int) -> None:
        for name, value, bits in (
            ("instance", instance, INSTANCE_BITS),
            ("strategy", strategy, STRATEGY_BITS),
            ("epoch", epoch, EPOCH_BITS),
        ):
            if not 0 <= value < 1 << bits:
                raise ValueError(f"{name} must be between 0 and {(1 << bits) - 1}, not {value}")
        head = ((instance << STRATEGY_BITS | strategy) << EPOCH_BITS | epoch) << SEQUENCE_BITS
        self._head = _MACHINE_RANGE | _VERSION | head
        self._sequence = 0

    @property
    def low(self) -> bool:
        return self._sequence > _LOW << SEQUENCE_BITS - 3

    def next(self) -> ClientOrderId:
        self._sequence += 1
        if self._sequence >= 1 << SEQUENCE_BITS:
            raise ValueError("the client order ids of this boot epoch are used up; restart the engine")
        return ClientOrderId(self._head | self._sequence)


class NarrowClientOrderIds:
    """The same for a venue that takes 32 bits: mark 1 | instance 4 | strategy 4 | epoch 11 | sequence 12.

    An epoch has 4,095 ids, so the engine takes a later epoch whenever they run `low`. After the last epoch there are none:
    `next` raises ValueError, and no id is ever handed out twice. Another `instance` has ids of its own. The mark is half of
    all numbers: another program's order may look like one of another instance of ours, and is taken for our own only when
    instance, strategy and epoch fit as well.
    """

    def __init__(self, *, instance: int, strategy: int, epoch: int) -> None:
        for name, value, bits in (
            ("instance", instance, NARROW_INSTANCE_BITS),
            ("strategy", strategy, NARROW_STRATEGY_BITS),
        ):
            if not 0 <= value < 1 << bits:
                raise ValueError(f"{name} must be between 0 and {(1 << bits) - 1} for 32-bit ids, not {value}")
        self._is_over = not 0 <= epoch < 1 << NARROW_EPOCH_BITS
        head = ((instance << NARROW_STRATEGY_BITS | strategy) << NARROW_EPOCH_BITS | epoch) << NARROW_SEQUENCE_BITS
        self._head = _NARROW_MARK | head
        self._sequence = 0

    @property
    def low(self) -> bool:
        return not self._is_over and self._sequence > _LOW << NARROW_SEQUENCE_BITS - 3

    def next(self) -> ClientOrderId:
        self._sequence += 1
        if self._is_over:
            raise ValueError("the 32-bit client order ids of this instance are used up; configure another `instance`")
        if self._sequence >= 1 << NARROW_SEQUENCE_BITS:
            raise ValueError("the client order ids of this boot epoch are used up; the next one is not there yet")
        return ClientOrderId(self._head | self._sequence)


def order_ids(bits: int, *, instance: int, strategy: int, epoch: int) -> OrderIds:
    """Return ids that fit into `bits`; raise ValueError when ours cannot."""
    if bits >= 64:
        return ClientOrderIds(instance=instance, strategy=strategy, epoch=epoch)
    if bits < NARROW:
        raise ValueError(f"client order ids need {NARROW} bits at least, not {bits}")
    return NarrowClientOrderIds(instance=instance, strategy=strategy, epoch=epoch)


def client_order_id_parts(client_order_id: int, bits: int = 64) -> ClientOrderIdParts | None:
    """Return what an id of ours says, or None when it is not of our form (a hand-made or foreign order).

    `bits` is the width of the account's venue: a number of one form may look like the other.
    """
    if bits < 64:
        return _narrow_parts(client_order_id)
    if client_order_id >> 62 != 0b11:
        return None
    sequence = client_order_id & ((1 << SEQUENCE_BITS) - 1)
    rest = client_order_id >> SEQUENCE_BITS
    epoch = rest & ((1 << EPOCH_BITS) - 1)
    rest >>= EPOCH_BITS
    strategy = rest & ((1 << STRATEGY_BITS) - 1)
    instance = (rest >> STRATEGY_BITS) & ((1 << INSTANCE_BITS) - 1)
    return ClientOrderIdParts(instance=instance, strategy=strategy, epoch=epoch, sequence=sequence)


def _narrow_parts(client_order_id: int) -> ClientOrderIdParts | None:
    if client_order_id >> 31 != 1:
        return None
    sequence = client_order_id & ((1 << NARROW_SEQUENCE_BITS) - 1)
    rest = client_order_id >> NARROW_SEQUENCE_BITS
    epoch = rest & ((1 << NARROW_EPOCH_BITS) - 1)
    rest >>= NARROW_EPOCH_BITS
    strategy = rest & ((1 << NARROW_STRATEGY_BITS) - 1)
    instance = (rest >> NARROW_STRATEGY_BITS) & ((1 << NARROW_INSTANCE_BITS) - 1)
    return ClientOrderIdParts(instance=instance, strategy=strategy, epoch=epoch, sequence=sequence)

"""Names of things, and the client order id that says whose an order is."""

from __future__ import annotations

from typing import Final, NewType

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
_MACHINE_RANGE = 1 << 63  # the venue documents 2**63 and up for machines
_VERSION = 1 << 62


def instrument_id(symbol: str, exchange: str = HOME_EXCHANGE) -> InstrumentId:
    """Name an instrument by its venue symbol and exchange identity (not by adapter)."""
    return InstrumentId(symbol if exchange == HOME_EXCHANGE else f"{symbol}@{exchange}")


class ClientOrderIdParts(msgspec.Struct, frozen=True):
    """What a client order id of ours says: who sent the order, in which life of the process, and its number."""

    instance: int
    strategy: int
    epoch: int
    sequence: int


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

    def next(self) -> ClientOrderId:
        self._sequence += 1
        if self._sequence >= 1 << SEQUENCE_BITS:
            raise ValueError("the client order ids of this boot epoch are used up; restart the engine")
        return ClientOrderId(self._head | self._sequence)


def client_order_id_parts(client_order_id: int) -> ClientOrderIdParts | None:
    """Return what an id of ours says, or None when it is not of our form (a hand-made or foreign order)."""
    if client_order_id >> 62 != 0b11:
        return None
    sequence = client_order_id & ((1 << SEQUENCE_BITS) - 1)
    rest = client_order_id >> SEQUENCE_BITS
    epoch = rest & ((1 << EPOCH_BITS) - 1)
    rest >>= EPOCH_BITS
    strategy = rest & ((1 << STRATEGY_BITS) - 1)
    instance = (rest >> STRATEGY_BITS) & ((1 << INSTANCE_BITS) - 1)
    return ClientOrderIdParts(instance=instance, strategy=strategy, epoch=epoch, sequence=sequence)

"""Instruments and events for tests of tapes."""

from __future__ import annotations

import random
from decimal import Decimal

from perpmaker.model.events import BookDelta, BookSnapshot, BookStale, Event, StaleReason, Ticker, Trade
from perpmaker.model.ids import InstrumentId, TradeId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS
from perpmaker.tape.schema import TapeInstrument

BTC, ETH = InstrumentId("BTC_USDT_Perp"), InstrumentId("ETH_USDT_Perp")
START_NS = 1_700_000_000_000_000_000


def listed(instrument: str = BTC, tick: str = "0.1", lot: str = "0.001") -> TapeInstrument:
    base = instrument.partition("_")[0]
    step = Decimal(lot)
    return TapeInstrument(
        Instrument(InstrumentId(instrument), instrument, "grvt", base, "USDT", Decimal(tick), step, step, Decimal(5))
    )


def snapshot(recv_ns: int, instrument: InstrumentId = BTC) -> BookSnapshot:
    return BookSnapshot(instrument, ((999, 5), (998, 7)), ((1001, 4), (1002, 9)), recv_ns - NS_PER_MS, recv_ns)


def random_events(count: int, seed: int = 1, instruments: tuple[InstrumentId, ...] = (BTC, ETH)) -> list[Event]:
    """Market data of every kind, in order of receive times."""
    dice = random.Random(seed)
    ts_ns = START_NS
    found: list[Event] = [snapshot(ts_ns, instrument) for instrument in instruments]
    while len(found) < count:
        ts_ns += dice.randrange(0, 3_000_000)
        found.append(_random_event(dice, dice.choice(instruments), ts_ns))
    return found


def _random_event(dice: random.Random, instrument: InstrumentId, ts_ns: int) -> Event:
    event_ns = ts_ns // NS_PER_MS * NS_PER_MS - dice.randrange(1, 9) * NS_PER_MS
    match dice.randrange(12):
        case 0:
            side = dice.choice((Side.BUY, Side.SELL))
            trade_id = TradeId(dice.choice(("17", "0", "007", "a-1", str(dice.randrange(1 << 70)))))
            return Trade(instrument, 1000, dice.randrange(1, 99), side, trade_id, event_ns, ts_ns, dice.random() < 0.1)
        case 1:
            px = [dice.choice((None, Decimal(dice.randrange(1, 10**12)) / 10**9)) for _ in range(3)]
            rate = dice.choice((None, Decimal("-0.0001"), Decimal("0.000012345")))
            return Ticker(instrument, *px, rate, dice.choice((0, ts_ns + 5)), event_ns, ts_ns)
        case 2:
            return BookStale(instrument, dice.choice(list(StaleReason)), ts_ns)
        case 3:
            return snapshot(ts_ns, instrument)
        case _:
            bids = tuple((999 - dice.randrange(20), dice.randrange(9)) for _ in range(dice.randrange(4)))
            asks = tuple((1001 + dice.randrange(20), dice.randrange(9)) for _ in range(dice.randrange(4)))
            return BookDelta(instrument, bids, asks, event_ns, ts_ns)

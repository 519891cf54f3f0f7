"""One venue of a few lines with one account on it: what it lists, what it has executed, and what is wrong with it."""

from __future__ import annotations

from decimal import Decimal

from perpmaker.engine.core import FeeRates
from perpmaker.model.events import BookSnapshot, Fill, VenueStatus
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder

ZERO = Decimal(0)
LEAD, HEDGE, THIRD = (
    InstrumentId("ETH_USDT_Perp"),
    InstrumentId("ETH_USDC_PERP@backpack"),
    InstrumentId("ETH-USD@third"),
)
FEES = {
    LEAD: FeeRates(Decimal("-0.00001"), Decimal("0.00045")),
    HEDGE: FeeRates(Decimal("0.0002"), Decimal("0.0005")),
    THIRD: FeeRates(Decimal("0.0001"), Decimal("0.0006")),
}


def rules(name: InstrumentId, tick: str, lot: str, least: str, min_notional: str, quote: str) -> Instrument:
    exchange = name.partition("@")[2] or "grvt"
    return Instrument(
        instrument_id=name,
        symbol=name.partition("@")[0],
        exchange=exchange,
        base="ETH",
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        min_qty=Decimal(least),
        min_notional=Decimal(min_notional),
        funding_interval_h=8 if exchange == "grvt" else 1,
    )


RULES = {
    LEAD: rules(LEAD, "0.01", "0.01", "0.01", "20", "USDT"),
    HEDGE: rules(HEDGE, "0.05", "0.001", "0.02", "0", "USDC"),
    THIRD: rules(THIRD, "0.1", "0.01", "0.01", "0", "USD"),
}


class VenueOrder:
    def __init__(self, order: NewOrder) -> None:
        self.order = order
        self.filled = ZERO
        self.status = VenueStatus.OPEN


class Face:
    """One venue with one account on it, and what is wrong with it."""

    def __init__(self, account: str, instrument: InstrumentId, mid: str) -> None:
        self.account = AccountId(account)
        self.instrument = instrument
        self.rules = RULES[instrument]
        self.mid = Decimal(mid)
        self.half_ticks = 5
        self.depth_lots = 20_000
        """Of each level; levels are one tick apart."""
        self.orders: dict[ClientOrderId, VenueOrder] = {}
        self.fills: list[Fill] = []
        self.waiting: set[ClientOrderId] = set()
        """Orders that have not come yet and whose cancels wait for them."""
        self.position = ZERO
        """Set before the start: what was held already, bought at the mid."""
        self.cost = ZERO
        self.balance = Decimal(100_000)
        self.rate: Decimal | None = Decimal("0.0001")
        self.marks = True
        """Whether it tells mark prices."""
        self.up = True
        """Market data, order entry and private stream."""
        self.accepts = True
        """Whether what is sent reaches the venue."""
        self.answers = True
        """Whether the venue answers, by replies and by streams."""
        self.refuses = ""
        self.latency_s = 0.0
        """Until an order does what it does, and again until that is known."""
        self.loses_next = False
        """The next order is lost on its way."""
        self.keeps_orders = False
        """Cancels are received and nothing comes of them."""
        self.orders_late_s = 0.0
        """Besides, until an order arrives."""
        self.replies_late_s = 0.0
        """Besides, until the reply to an order arrives; streams and queries are not late."""
        self.fills_late_s = 0.0
        """Besides, until a fill is told of; orders' reports, which state it, are not late."""
        self.position_lag_s = 0.0
        """A whole read tells the position of so long ago, with everything else as of now."""
        self.positions: list[tuple[int, Decimal]] = []
        self.overfills = ZERO
        """So much more than it asked for the next immediate order gets."""
        self.take_share = Decimal(1)
        """What an immediate order gets of what the book shows."""

    @property
    def avg_px(self) -> Decimal:
        return self.cost / self.position if self.position else ZERO

    def book(self, now_ns: int) -> BookSnapshot:
        ticks = int(self.mid / self.rules.tick)
        bids = tuple((ticks - self.half_ticks - level, self.depth_lots) for level in range(20))
        asks = tuple((ticks + self.half_ticks + level, self.depth_lots) for level in range(20))
        return BookSnapshot(self.instrument, bids, asks, now_ns, now_ns)

    def execute(self, fill: Fill) -> None:
        """Keep the books of the account: position at average cost, realised PnL and fees in the balance."""
        before, signed = self.position, fill.side.sign * fill.qty
        self.fills.append(fill)
        self.position += signed
        self.positions.append((fill.ts_event_ns, self.position))
        self.balance -= fill.fee
        if before * signed >= 0:
            self.cost += signed * fill.px
            return
        closed = min(abs(signed), abs(before)) * fill.side.sign
        taken = (self.cost * -closed / before).quantize(Decimal("1e-12"))
        self.balance += -closed * fill.px - taken
        self.cost += -taken + (signed - closed) * fill.px

    def live(self) -> list[NewOrder]:
        return [there.order for there in self.orders.values() if there.status is VenueStatus.OPEN]

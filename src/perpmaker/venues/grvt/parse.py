"""Wire objects into model events: pure functions, exact numbers, signs turned where the venue's differ from the model's.

Signs: a venue fee is negative for a rebate, as in the model. A venue funding amount is positive when we paid; the
model's is positive when we received. A funding rate comes in percentage points; the model's is a fraction (protocol
page §2, §7).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from operator import itemgetter
from types import MappingProxyType
from typing import Final

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import (
    Bar,
    BookDelta,
    BookSnapshot,
    Fill,
    FundingPaid,
    OrderReport,
    PositionReport,
    Source,
    Ticker,
    Trade,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, TradeId, VenueOrderId, instrument_id
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side, Trigger, TriggerBy, TriggerKind
from perpmaker.venues.grvt import numbers
from perpmaker.venues.grvt.objects import (
    NO_ORDER_ID,
    WireBook,
    WireCandle,
    WireFill,
    WireFundingPayment,
    WireFundingRate,
    WireInstrument,
    WireLeg,
    WireLevel,
    WireOrder,
    WireOrderState,
    WirePosition,
    WireStateChange,
    WireSubAccount,
    WireTicker,
    WireTier,
    WireTrade,
    WireTrigger,
)

EXCHANGE: Final = "grvt"
_PERCENT: Final = Decimal(100)
_CENTIBEEP: Final = Decimal("0.000001")
_MAX_TEXT: Final = 80
_LOTS: Final = itemgetter(1)
"""Of a level."""
_STATUSES: Final[Mapping[str, VenueStatus]] = MappingProxyType(
    {
        "PENDING": VenueStatus.PENDING,
        "OPEN": VenueStatus.OPEN,
        "FILLED": VenueStatus.FILLED,
        "REJECTED": VenueStatus.REJECTED,
        "CANCELLED": VenueStatus.CANCELED,
    }
)
_TRIGGER_KINDS: Final[Mapping[str, TriggerKind]] = MappingProxyType({kind.name: kind for kind in TriggerKind})
_TRIGGERS_BY: Final[Mapping[str, TriggerBy]] = MappingProxyType({by.name: by for by in TriggerBy})
_NEVER_TRADED: Final = (VenueStatus.PENDING, VenueStatus.REJECTED)


class UnknownStatus(DataError):
    """The venue named an order status that we have never heard of: the order has to be asked about."""

    def __init__(self, status: str, client_order_id: ClientOrderId) -> None:
        super().__init__(f"order status {status[:_MAX_TEXT]!r} is not known")
        self.client_order_id = client_order_id


class FundingRate(msgspec.Struct, frozen=True):
    """One past funding interval; `rate` is a fraction, positive when longs paid."""

    instrument: InstrumentId
    rate: Decimal
    mark_px: Decimal
    interval_h: int
    """0 where the venue's old rows do not say."""
    ts_event_ns: int


class Account(msgspec.Struct, frozen=True):
    """A sub account's money in its settle currency."""

    equity: Decimal
    balance: Decimal
    available: Decimal
    initial_margin: Decimal
    maintenance_margin: Decimal
    currency: str
    ts_event_ns: int


class FeeRates(msgspec.Struct, frozen=True):
    """What the account's tier costs, as fractions of notional; a rebate is negative."""

    maker: Decimal
    taker: Decimal


class Reader:
    """Reads prices and sizes of one instrument as ticks and lots."""

    __slots__ = ("_px", "_qty", "instrument", "instrument_id", "symbol")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.instrument_id = instrument.instrument_id
        self.symbol = instrument.symbol
        self._px = numbers.Steps(instrument.tick, f"{instrument.symbol} price", least=1)
        self._qty = numbers.Steps(instrument.lot, f"{instrument.symbol} size")

    def ticks(self, text: str) -> int:
        return self._px[text]

    def lots(self, text: str) -> int:
        return self._qty[text]

    def levels(self, wire: list[WireLevel]) -> tuple[Level, ...]:
        """The hot loop of a feed."""
        ticks, lots = self._px, self._qty
        return tuple([(ticks[level.price], lots[level.size]) for level in wire])

    def check(self, symbol: str) -> None:
        if symbol != self.symbol:
            raise DataError(f"a frame for {self.symbol} is about {symbol[:_MAX_TEXT]!r}")


def instrument(wire: WireInstrument) -> Instrument:
    """Return a perpetual's rules; its size step is `min_size` (protocol page §13)."""
    what = f"instrument {wire.instrument[:_MAX_TEXT]}"
    if not 0 <= wire.base_decimals <= 18:
        raise DataError(f"{what}: base_decimals {wire.base_decimals} is not between 0 and 18")
    try:
        int(wire.instrument_hash, 16)
    except ValueError:
        raise DataError(f"{what}: instrument_hash is not hexadecimal") from None
    lot = numbers.positive(wire.min_size, f"{what} min_size")
    tick = numbers.positive(wire.tick_size, f"{what} tick_size")
    if lot.scaleb(wire.base_decimals) % 1 or tick.scaleb(9) % 1:
        raise DataError(f"{what}: tick {tick} or lot {lot} is finer than what a signature can say")
    return Instrument(
        instrument_id=instrument_id(wire.instrument),
        symbol=wire.instrument,
        exchange=EXCHANGE,
        base=wire.base,
        quote=wire.quote,
        tick=tick,
        lot=lot,
        min_qty=lot,
        min_notional=numbers.not_negative(wire.min_notional, f"{what} min_notional"),
        max_position_qty=_optional_positive(wire.max_position_size, f"{what} max_position_size"),
        funding_interval_h=wire.funding_interval_hours or 8,
        venue_asset_id=wire.instrument_hash,
        qty_decimals=wire.base_decimals,
    )


def book_snapshot(wire: WireBook, reader: Reader, ts_event_ns: int, ts_recv_ns: int) -> BookSnapshot:
    """Return a whole book. Whether it is crossed, empty or old is not judged here; an impossible level is refused."""
    reader.check(wire.instrument)
    bids, asks = reader.levels(wire.bids), reader.levels(wire.asks)
    if not all(map(_LOTS, bids)) or not all(map(_LOTS, asks)):
        raise DataError(f"{reader.symbol}: a snapshot holds a level of size zero")
    return BookSnapshot(reader.instrument_id, bids, asks, ts_event_ns, ts_recv_ns)


def book_delta(wire: WireBook, reader: Reader, ts_event_ns: int, ts_recv_ns: int) -> BookDelta:
    """Return changed levels; size 0 removes one."""
    reader.check(wire.instrument)
    bids, asks = reader.levels(wire.bids), reader.levels(wire.asks)
    return BookDelta(reader.instrument_id, bids, asks, ts_event_ns, ts_recv_ns)


def trade(wire: WireTrade, reader: Reader, ts_recv_ns: int, *, replayed: bool) -> Trade:
    reader.check(wire.instrument)
    lots = reader.lots(wire.size)
    if lots == 0:
        raise DataError(f"{reader.symbol}: a trade of size zero")
    return Trade(
        instrument=reader.instrument_id,
        px_ticks=reader.ticks(wire.price),
        qty_lots=lots,
        aggressor=Side.BUY if wire.is_taker_buyer else Side.SELL,
        trade_id=TradeId(wire.trade_id[:_MAX_TEXT]),
        ts_event_ns=numbers.nanoseconds(wire.event_time, "event_time"),
        ts_recv_ns=ts_recv_ns,
        replayed=replayed,
    )


def ticker(wire: WireTicker, ts_recv_ns: int) -> Ticker:
    """Return a ticker; a price that is absent, "" or not above zero is None, never a number."""
    rate = wire.funding_rate
    return Ticker(
        instrument=instrument_id(wire.instrument),
        mark_px=_optional_positive(wire.mark_price, "mark_price"),
        index_px=_optional_positive(wire.index_price, "index_price"),
        last_px=_optional_positive(wire.last_price, "last_price"),
        funding_rate=numbers.decimal(rate, "funding_rate") / _PERCENT if rate else None,
        next_funding_ns=numbers.nanoseconds(wire.next_funding_time or "0", "next_funding_time"),
        ts_event_ns=numbers.nanoseconds(wire.event_time, "event_time"),
        ts_recv_ns=ts_recv_ns,
    )


def ticker_after(whole: WireTicker, change: WireTicker) -> WireTicker:
    """Return the complete ticker after a change frame: an absent member is unchanged, "" makes it absent."""
    changed = {name: value for name in change.__struct_fields__ if (value := getattr(change, name)) is not None}
    return msgspec.structs.replace(whole, **{name: value or None for name, value in changed.items()})


def bar(wire: WireCandle, interval_s: int, ts_recv_ns: int) -> Bar:
    """Return a candle as the venue states it now; whether it is finished is for the caller to know."""
    if wire.trades < 0:
        raise DataError(f"candle trades: {wire.trades} is negative")
    low, high = (numbers.positive(text, "candle price") for text in (wire.low, wire.high))
    first, last = (numbers.positive(text, "candle price") for text in (wire.open, wire.close))
    if not low <= min(first, last) <= max(first, last) <= high:
        raise DataError(f"candle: open {first}, high {high}, low {low}, close {last} contradict each other")
    return Bar(
        instrument=instrument_id(wire.instrument),
        interval_s=interval_s,
        open_ns=numbers.nanoseconds(wire.open_time, "open_time"),
        open=float(first),
        high=float(high),
        low=float(low),
        close=float(last),
        volume=float(numbers.not_negative(wire.volume_b, "candle volume")),
        trades=wire.trades,
        ts_recv_ns=ts_recv_ns,
    )


def funding_rate(wire: WireFundingRate) -> FundingRate:
    return FundingRate(
        instrument=instrument_id(wire.instrument),
        rate=numbers.decimal(wire.funding_rate, "funding_rate") / _PERCENT,
        mark_px=numbers.not_negative(wire.mark_price, "mark_price"),
        interval_h=wire.funding_interval_hours,
        ts_event_ns=numbers.nanoseconds(wire.funding_time, "funding_time"),
    )


def order_report(
    wire: WireOrder,
    account: AccountId,
    source: Source,
    ts_recv_ns: int,
    *,
    unknown_as: VenueStatus | None = None,
) -> OrderReport:
    """Return what the venue says about an order.

    Raises UnknownStatus when it says it in a word we do not know, unless the caller knows what it must mean: an order in a
    list of open ones is open whatever its status is called.
    """
    if len(wire.legs) != 1:
        raise DataError(f"an order with {len(wire.legs)} legs")
    leg = wire.legs[0]
    client_order_id = ClientOrderId(numbers.unsigned(wire.metadata.client_order_id, "client_order_id"))
    report = _state_report(
        wire.state,
        client_order_id,
        wire.order_id,
        instrument_id(leg.instrument),
        account,
        source,
        ts_recv_ns,
        unknown_as,
    )
    return msgspec.structs.replace(
        report,
        side=Side.BUY if leg.is_buying_asset else Side.SELL,
        px=_limit_px(leg),
        qty=numbers.positive(leg.size, "order size"),
        reduce_only=wire.reduce_only,
        trigger=_trigger(wire.metadata.trigger),
    )


def state_report(
    wire: WireStateChange, instrument: InstrumentId, account: AccountId, source: Source, ts_recv_ns: int
) -> OrderReport:
    """As `order_report`, from the small stream, which does not name the instrument."""
    client_order_id = ClientOrderId(numbers.unsigned(wire.client_order_id, "client_order_id"))
    return _state_report(wire.order_state, client_order_id, wire.order_id, instrument, account, source, ts_recv_ns)


def fill(wire: WireFill, account: AccountId, source: Source, ts_recv_ns: int) -> Fill:
    if not wire.trade_id:
        raise DataError("a fill without a trade id")
    return Fill(
        account=account,
        client_order_id=ClientOrderId(numbers.unsigned(wire.client_order_id, "client_order_id")),
        venue_order_id=_venue_order_id(wire.order_id),
        trade_id=TradeId(wire.trade_id[:_MAX_TEXT]),
        instrument=instrument_id(wire.instrument),
        side=Side.BUY if wire.is_buyer else Side.SELL,
        px=numbers.positive(wire.price, "fill price"),
        qty=numbers.positive(wire.size, "fill size"),
        fee=numbers.decimal(wire.fee, "fee"),
        fee_currency=wire.fee_currency or _quote(wire.instrument),
        is_taker=wire.is_taker,
        realized_pnl=numbers.decimal(wire.realized_pnl, "realized_pnl"),
        ts_event_ns=numbers.nanoseconds(wire.event_time, "event_time"),
        ts_recv_ns=ts_recv_ns,
        source=source,
        is_rpi=wire.is_rpi,
        is_liquidation=wire.is_liquidation,
        mark_px=_optional_positive(wire.mark_price, "mark_price"),
    )


def position_report(wire: WirePosition, account: AccountId, source: Source, ts_recv_ns: int) -> PositionReport:
    qty = numbers.decimal(wire.size, "position size")
    return PositionReport(
        account=account,
        instrument=instrument_id(wire.instrument),
        qty=qty,
        avg_entry_px=_optional_positive(wire.entry_price, "entry_price") if qty else None,
        mark_px=_optional_positive(wire.mark_price, "mark_price"),
        unrealized_pnl=numbers.decimal(wire.unrealized_pnl, "unrealized_pnl"),
        ts_event_ns=numbers.nanoseconds(wire.event_time, "event_time"),
        ts_recv_ns=ts_recv_ns,
        source=source,
    )


def funding_paid(wire: WireFundingPayment, account: AccountId, ts_recv_ns: int) -> FundingPaid:
    """Return a payment with the model's sign. One transaction may pay for several instruments, so the id names both."""
    return FundingPaid(
        account=account,
        instrument=instrument_id(wire.instrument),
        amount=-numbers.decimal(wire.amount, "funding amount"),
        currency=wire.currency,
        payment_id=f"{numbers.unsigned(wire.tx_id, 'tx_id')}-{wire.instrument}",
        ts_event_ns=numbers.nanoseconds(wire.event_time, "event_time"),
        ts_recv_ns=ts_recv_ns,
    )


def account(wire: WireSubAccount) -> Account:
    """Return the money of a sub account; `balance` is the settled cash in its settle currency, 0 when it has none."""
    balances = [row.balance for row in wire.spot_balances if row.currency == wire.settle_currency]
    if len(balances) > 1:
        raise DataError(f"account: {len(balances)} balances in {wire.settle_currency}")
    return Account(
        equity=numbers.decimal(wire.total_equity, "total_equity"),
        balance=numbers.decimal(balances[0], "balance") if balances else Decimal(0),
        available=numbers.decimal(wire.available_balance, "available_balance"),
        initial_margin=numbers.not_negative(wire.initial_margin, "initial_margin"),
        maintenance_margin=numbers.not_negative(wire.maintenance_margin, "maintenance_margin"),
        currency=wire.settle_currency,
        ts_event_ns=numbers.nanoseconds(wire.event_time, "event_time"),
    )


def fee_rates(wire: WireTier) -> FeeRates:
    return FeeRates(maker=wire.futures_maker_fee * _CENTIBEEP, taker=wire.futures_taker_fee * _CENTIBEEP)


def _state_report(
    wire: WireOrderState,
    client_order_id: ClientOrderId,
    order_id: str,
    instrument: InstrumentId,
    account: AccountId,
    source: Source,
    ts_recv_ns: int,
    unknown_as: VenueStatus | None = None,
) -> OrderReport:
    status = _STATUSES.get(wire.status, unknown_as)
    if status is None:
        raise UnknownStatus(wire.status, client_order_id)
    if status is VenueStatus.CANCELED and wire.reject_reason == "EXPIRED":
        status = VenueStatus.EXPIRED
    if len(wire.traded_size) == 1:
        cum_qty = numbers.not_negative(wire.traded_size[0], "traded_size")
    elif not wire.traded_size and status in _NEVER_TRADED:
        cum_qty = Decimal(0)
    else:
        raise DataError(f"an order that is {status.value} with {len(wire.traded_size)} traded sizes")
    return OrderReport(
        account=account,
        client_order_id=client_order_id,
        venue_order_id=_venue_order_id(order_id),
        instrument=instrument,
        status=status,
        cum_qty=cum_qty,
        avg_px=_optional_positive(wire.avg_fill_price[0], "avg_fill_price")
        if wire.avg_fill_price and cum_qty
        else None,
        reason="" if wire.reject_reason == "UNSPECIFIED" else wire.reject_reason[:_MAX_TEXT],
        source=source,
        ts_event_ns=numbers.nanoseconds(wire.update_time, "update_time"),
        ts_recv_ns=ts_recv_ns,
    )


def _venue_order_id(text: str) -> VenueOrderId | None:
    return None if text in {NO_ORDER_ID, "0x0", "0", ""} else VenueOrderId(text[:_MAX_TEXT])


def _trigger(wire: WireTrigger | None) -> Trigger | None:
    """Return what an order waits for, None for a plain one.

    One of a kind, or by a price, that we have never heard of counts as plain: then all of it counts as exposure.
    """
    if wire is None or wire.tpsl is None:
        return None
    kind, by = _TRIGGER_KINDS.get(wire.trigger_type or ""), _TRIGGERS_BY.get(wire.tpsl.trigger_by or "")
    if kind is None or by is None:
        return None
    px = _optional_positive(wire.tpsl.trigger_price, "trigger_price")
    return None if px is None else Trigger(kind, by, px)


def _limit_px(leg: WireLeg) -> Decimal | None:
    if leg.limit_price is None:
        return None
    return numbers.not_negative(leg.limit_price, "limit_price") or None  # any spelling of zero is a market order


def _optional_positive(text: str | None, what: str) -> Decimal | None:
    if not text:
        return None
    value = numbers.not_negative(text, what)
    return value or None


def _quote(symbol: str) -> str:
    parts = symbol.split("_")
    return parts[1] if len(parts) >= 3 else ""

"""Backpack's stream frames, which ccxt's own parsers lose something of (venue page §7 and §8).

ccxt's book waits for ten changes and does not see a gap; its order parser takes `filled` from the last fill, and keeps one
state of an order where two fills arrived at once; it has no mark price stream. Every number is read as the text it came as.
"""

from __future__ import annotations

from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from perpmaker.errors import DataError
from perpmaker.model.book import Level
from perpmaker.model.events import Bar, Fill, OrderReport, PositionReport, Source, Ticker, Trade, VenueStatus
from perpmaker.model.ids import AccountId, ClientOrderId, TradeId, VenueOrderId
from perpmaker.model.order import Side
from perpmaker.venues.api import Subscription
from perpmaker.venues.ccxt import numbers
from perpmaker.venues.ccxt.frames import Depth, Frame, FrameReader, Heading, Kind
from perpmaker.venues.ccxt.listing import Listed

ZERO: Final = Decimal(0)
INTERVALS: Final = MappingProxyType(
    {60: "1m", 180: "3m", 300: "5m", 900: "15m", 1800: "30m", 3600: "1h", 14_400: "4h", 86_400: "1d"}
)
SIDES: Final = MappingProxyType({"Bid": Side.BUY, "Ask": Side.SELL})
STATUSES: Final = MappingProxyType(
    {
        "New": VenueStatus.OPEN,
        "PartiallyFilled": VenueStatus.OPEN,
        "Filled": VenueStatus.FILLED,
        "Cancelled": VenueStatus.CANCELED,
        "Expired": VenueStatus.EXPIRED,
        "TriggerPending": VenueStatus.PENDING,
        "TriggerFailed": VenueStatus.REJECTED,
    }
)
_KINDS: Final = MappingProxyType(
    {
        "depth": Kind.DEPTH,
        "trade": Kind.TRADE,
        "markPrice": Kind.MARK,
        "ticker": Kind.LAST,
        "kline": Kind.BAR,
        "account": Kind.OTHER,
    }
)


def heading(message: Any) -> Heading | None:
    """Say what a frame is about; None for what is no stream frame."""
    if not isinstance(message, dict):
        return None
    error = message.get("error")
    if isinstance(error, dict):
        return Heading(Kind.REFUSED, "", error)
    stream, data = message.get("stream"), message.get("data")
    if not isinstance(stream, str) or not isinstance(data, dict):
        return None
    head, _, rest = stream.partition(".")
    kind = _KINDS.get(head, Kind.OTHER)
    if head == "account":
        kind = {"orderUpdate": Kind.ORDER, "positionUpdate": Kind.POSITION}.get(rest.partition(".")[0], Kind.OTHER)
    symbol = data.get("s") or stream.rpartition(".")[2]
    return Heading(kind, str(symbol), data)


def public_topics(symbol: str, wanted: Subscription) -> list[str]:
    """Return the streams of an instrument; the mark price is its heartbeat."""
    topics = []
    if wanted.ticker:
        topics += [f"markPrice.{symbol}", f"ticker.{symbol}"]
    if wanted.trades:
        topics.append(f"trade.{symbol}")
    if wanted.bar_s:
        topics.append(f"kline.{INTERVALS[wanted.bar_s]}.{symbol}")
    if wanted.book:
        topics.append(depth_topic(symbol))
    return topics


def depth_topic(symbol: str) -> str:
    return f"depth.{symbol}"


def depth(data: Frame, listed: Listed) -> Depth:
    """Read changed levels; quantity 0 removes one."""
    return Depth(
        first=numbers.whole(data.get("U"), "U"),
        last=numbers.whole(data.get("u"), "u"),
        bids=_levels(data.get("b"), listed),
        asks=_levels(data.get("a"), listed),
        ts_event_ns=numbers.ns_of_us(data.get("T"), "T"),
    )


def whole_depth(answer: Frame, listed: Listed) -> Depth:
    """Read GET /api/v1/depth, whose sides come in no stated order."""
    return Depth(
        first=0,
        last=numbers.whole(answer.get("lastUpdateId"), "lastUpdateId"),
        bids=tuple(sorted(_levels(answer.get("bids"), listed), reverse=True)),
        asks=tuple(sorted(_levels(answer.get("asks"), listed))),
        ts_event_ns=numbers.ns_of_us(answer.get("timestamp"), "timestamp"),
    )


def trade(data: Frame, listed: Listed, now_ns: int) -> Trade:
    buyer_is_maker = data.get("m")
    if not isinstance(buyer_is_maker, bool):
        raise DataError("m: the trade does not say who took")
    px_ticks, qty_lots = _level((data.get("p"), data.get("q")), listed)
    return Trade(
        instrument=listed.instrument.instrument_id,
        px_ticks=px_ticks,
        qty_lots=qty_lots,
        aggressor=Side.SELL if buyer_is_maker else Side.BUY,
        trade_id=TradeId(str(numbers.whole(data.get("t"), "t"))),
        ts_event_ns=numbers.ns_of_us(data.get("T"), "T"),
        ts_recv_ns=now_ns,
    )


def mark(data: Frame, listed: Listed, now_ns: int) -> Ticker:
    """Read mark, index and funding; `f` is a fraction per interval, `n` milliseconds."""
    next_ms, event_us = data.get("n"), data.get("T", data.get("E"))
    return Ticker(
        instrument=listed.instrument.instrument_id,
        mark_px=numbers.exact(data.get("p"), "p"),
        index_px=numbers.optional(data.get("i"), "i"),
        last_px=None,
        funding_rate=numbers.optional(data.get("f"), "f"),
        next_funding_ns=0 if next_ms is None else numbers.ns_of_ms(next_ms, "n"),
        ts_event_ns=now_ns if event_us is None else numbers.ns_of_us(event_us, "T"),
        ts_recv_ns=now_ns,
    )


def last_px(data: Frame, listed: Listed) -> Decimal:
    return numbers.exact(data.get("c"), "c")


def bar(data: Frame, listed: Listed, interval_s: int, now_ns: int) -> Bar:
    return Bar(
        instrument=listed.instrument.instrument_id,
        interval_s=interval_s,
        open_ns=numbers.ns_of_iso(data.get("t"), "t"),
        open=float(numbers.exact(data.get("o"), "o")),
        high=float(numbers.exact(data.get("h"), "h")),
        low=float(numbers.exact(data.get("l"), "l")),
        close=float(numbers.exact(data.get("c"), "c")),
        volume=float(numbers.exact(data.get("v"), "v")),
        trades=numbers.whole(data.get("n"), "n"),
        ts_recv_ns=now_ns,
    )


def order(data: Frame, listed: Listed, account: AccountId, now_ns: int) -> OrderReport:
    """Read what the venue says of an order: `z` and `Z` are all that was filled so far, `l` and `L` only the last fill."""
    filled = numbers.optional(data.get("z"), "z") or ZERO
    notional = numbers.optional(data.get("Z"), "Z") or ZERO
    status = STATUSES.get(str(data.get("X")))
    if status is None:
        raise DataError(f"X: order status {data.get('X')!r} is not known")
    return OrderReport(
        account=account,
        client_order_id=ClientOrderId(numbers.client_id(data.get("c"))),
        venue_order_id=VenueOrderId(numbers.text(data.get("i"), "i")),
        instrument=listed.instrument.instrument_id,
        status=status,
        cum_qty=filled,
        avg_px=notional / filled if filled else None,
        reason=str(data.get("R") or "") if status is not VenueStatus.OPEN else "",
        source=Source.STREAM,
        ts_event_ns=numbers.ns_of_us(data.get("T", data.get("E")), "T"),
        ts_recv_ns=now_ns,
        side=_side(data.get("S")),
        px=numbers.optional(data.get("p"), "p"),
        qty=numbers.optional(data.get("q"), "q"),
        reduce_only=data.get("r") is True,
    )


def fill(data: Frame, listed: Listed, account: AccountId, now_ns: int) -> Fill | None:
    """Read the execution that an order frame tells of, None when it tells of none."""
    if data.get("e") != "orderFill":
        return None
    return Fill(
        account=account,
        client_order_id=ClientOrderId(numbers.client_id(data.get("c"))),
        venue_order_id=VenueOrderId(numbers.text(data.get("i"), "i")),
        trade_id=TradeId(str(numbers.whole(data.get("t"), "t"))),
        instrument=listed.instrument.instrument_id,
        side=_side(data.get("S")),
        px=numbers.exact(data.get("L"), "L"),
        qty=numbers.exact(data.get("l"), "l"),
        fee=numbers.exact(data.get("n"), "n"),
        fee_currency=numbers.text(data.get("N"), "N"),
        is_taker=data.get("m") is not True,
        realized_pnl=ZERO,
        ts_event_ns=numbers.ns_of_us(data.get("T", data.get("E")), "T"),
        ts_recv_ns=now_ns,
        is_liquidation="LIQUIDAT" in str(data.get("O", "")).upper(),
    )


def position(data: Frame, listed: Listed, account: AccountId, now_ns: int) -> PositionReport:
    """Read a position: `q` signed, `b` average entry, 0 or none when flat."""
    qty = numbers.exact(data.get("q"), "q")
    return PositionReport(
        account=account,
        instrument=listed.instrument.instrument_id,
        qty=qty,
        avg_entry_px=numbers.exact(data.get("b"), "b") if qty else None,
        mark_px=numbers.optional(data.get("M"), "M"),
        unrealized_pnl=numbers.optional(data.get("P"), "P") or ZERO,
        ts_event_ns=numbers.ns_of_us(data.get("T", data.get("E")), "T"),
        ts_recv_ns=now_ns,
    )


READER: Final = FrameReader(
    public_topics=public_topics,
    depth_topic=depth_topic,
    private_topics=("account.orderUpdate", "account.positionUpdate"),
    heading=heading,
    depth=depth,
    whole_depth=whole_depth,
    trade=trade,
    mark=mark,
    last_px=last_px,
    bar=bar,
    order=order,
    fill=fill,
    position=position,
)


def _side(value: Any) -> Side:
    side = SIDES.get(str(value))
    if side is None:
        raise DataError(f"S: side {value!r} is not known")
    return side


def _levels(rows: Any, listed: Listed) -> tuple[Level, ...]:
    if not isinstance(rows, list):
        raise DataError("levels: not a list")
    return tuple(_level(row, listed) for row in rows)


def _level(row: Any, listed: Listed) -> Level:
    """Return price in ticks and quantity in lots, both exactly."""
    try:
        px, qty = row
        return (
            listed.instrument.to_ticks(numbers.exact(px, "price")),
            listed.instrument.to_lots(numbers.exact(qty, "quantity")),
        )
    except (TypeError, ValueError) as error:
        raise DataError(f"level: {error}") from None

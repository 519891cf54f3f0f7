"""The one table of refusals: every code the gate can give, and what it means."""

from __future__ import annotations

import enum
from typing import Final


class Code(enum.StrEnum):
    """Why an order was refused. The value is what logs, journal, page and strategies see; it never changes its meaning."""

    KILLED = "KILLED"
    NOT_ARMED = "NOT_ARMED"
    HALTED = "HALTED"
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    NOT_READY = "NOT_READY"
    PRIVATE_DOWN = "PRIVATE_DOWN"
    FROZEN = "FROZEN"
    STALE_DATA = "STALE_DATA"
    UNKNOWN_INSTRUMENT = "UNKNOWN_INSTRUMENT"
    INEXACT = "INEXACT"
    NO_PRICE = "NO_PRICE"
    NO_REFERENCE = "NO_REFERENCE"
    PRICE_COLLAR = "PRICE_COLLAR"
    MIN_SIZE = "MIN_SIZE"
    MAX_SIZE = "MAX_SIZE"
    MAX_ORDER_NOTIONAL = "MAX_ORDER_NOTIONAL"
    REDUCE_ONLY = "REDUCE_ONLY"
    TRIGGER = "TRIGGER"
    OWN_CROSS = "OWN_CROSS"
    MAX_POSITION = "MAX_POSITION"
    MAX_OPEN_ORDERS = "MAX_OPEN_ORDERS"
    UNKNOWN_ORDERS = "UNKNOWN_ORDERS"
    DUPLICATE_ID = "DUPLICATE_ID"
    ORDER_RATE = "ORDER_RATE"
    MAX_LOSS = "MAX_LOSS"
    MAX_DRAWDOWN = "MAX_DRAWDOWN"


MEANING: Final[dict[Code, str]] = {
    Code.KILLED: "the kill latch is set; only a person clears it",
    Code.NOT_ARMED: "live trading is not armed for this environment",
    Code.HALTED: "a loss or drawdown limit halted the account; a person resumes it; orders that only reduce pass",
    Code.UNKNOWN_ACCOUNT: "the account is not one of this engine, or has not been read yet",
    Code.NOT_READY: "the instrument or the account is not reconciled with the venue yet",
    Code.PRIVATE_DOWN: "the private stream is down: fills could be missed",
    Code.FROZEN: "a difference with the venue is unexplained; only orders that reduce pass",
    Code.STALE_DATA: "the order book is not whole, uncrossed and fresh",
    Code.UNKNOWN_INSTRUMENT: "the venue does not list the instrument",
    Code.INEXACT: "price or quantity is not a finite positive multiple of tick or lot",
    Code.NO_PRICE: "market orders without a price are not sent: a limit IOC says how bad a price may be",
    Code.NO_REFERENCE: "no mark price, or none recent enough, to judge the price by",
    Code.PRICE_COLLAR: "the price is further than price_collar_bps from mark, index or own mid, whichever is worst",
    Code.MIN_SIZE: "below the instrument's minimum quantity or notional",
    Code.MAX_SIZE: "above the instrument's maximum position quantity",
    Code.MAX_ORDER_NOTIONAL: "the order's notional is above max_order_notional",
    Code.REDUCE_ONLY: "a reduce-only order that would not only reduce the position",
    Code.TRIGGER: "an order that waits for a price is not reduce-only and immediate, or its price is reached already",
    Code.OWN_CROSS: "the order could match an own order of any account or strategy",
    Code.MAX_POSITION: "with every open, in-flight and unknown order filled the position passes max_position_notional",
    Code.MAX_OPEN_ORDERS: "max_open_orders orders of the account are open or in flight",
    Code.UNKNOWN_ORDERS: "the outcome of two orders of the instrument is unknown: no third before it is settled",
    Code.DUPLICATE_ID: "the client order id was used before",
    Code.ORDER_RATE: "more than orders_per_s orders within one second",
    Code.MAX_LOSS: "the day's loss has reached max_loss, or cannot be computed",
    Code.MAX_DRAWDOWN: "the drawdown from the peak has reached max_drawdown_frac, or cannot be computed",
}

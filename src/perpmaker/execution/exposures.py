"""Sums over live orders, kept up to date order by order: what the gate and the pricing ask on every change."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from perpmaker.execution.tracked import OrderKey, TrackedOrder
from perpmaker.marketdata.book import OwnLevels
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import OrderState, Side, TimeInForce
from perpmaker.risk.gate import Exposure

_ZERO: Final = Decimal(0)
_NONE: Final = Exposure(_ZERO, _ZERO, 0)
_EMPTY: Final = OwnLevels({}, {})


class Exposures:
    """Exposure per account and instrument, best own prices and own levels per instrument over all accounts."""

    def __init__(self, instruments: Mapping[InstrumentId, Instrument]) -> None:
        self._instruments = instruments
        self._sums: dict[tuple[AccountId, InstrumentId], _Sums] = {}
        self._live: dict[InstrumentId, _Live] = {}

    def count(self, tracked: TrackedOrder) -> None:
        """Take in an order as it stands now: new, changed or ended."""
        order = tracked.order
        sums = self._sums.get((order.account, order.instrument))
        if sums is None:
            sums = self._sums[(order.account, order.instrument)] = _Sums()
        exposure = tracked.exposure_qty
        if exposure != tracked.counted:
            if order.side is Side.BUY:
                sums.buy_qty += exposure - tracked.counted
            else:
                sums.sell_qty += exposure - tracked.counted
            tracked.counted = exposure
            sums.exposure = None
        if tracked.state is OrderState.UNKNOWN:
            if tracked.key not in sums.unknown:
                sums.unknown.add(tracked.key)
                sums.exposure = None
        elif tracked.key in sums.unknown:
            sums.unknown.discard(tracked.key)
            sums.exposure = None
        live = self._live.get(order.instrument)
        if live is None:
            live = self._live[order.instrument] = _Live()
        live.take(tracked)

    def of(self, account: AccountId, instrument: InstrumentId) -> Exposure:
        """Return the exposure of an account on an instrument."""
        sums = self._sums.get((account, instrument))
        if sums is None:
            return _NONE
        if sums.exposure is None:
            sums.exposure = Exposure(sums.buy_qty, sums.sell_qty, len(sums.unknown))
        return sums.exposure

    def best_px(self, instrument: InstrumentId, side: Side) -> Decimal | None:
        """Return the highest own buy or lowest own sell price that could still trade."""
        live = self._live.get(instrument)
        return None if live is None else live.best_px(side)

    def own_levels(self, instrument: InstrumentId) -> OwnLevels:
        """Return our resting lots per price in ticks."""
        live = self._live.get(instrument)
        rules = self._instruments.get(instrument)
        if live is None or rules is None:
            return _EMPTY
        if live.levels is None:
            live.levels = live.resting(rules)
        return live.levels


class _Sums:
    """One account on one instrument."""

    __slots__ = ("buy_qty", "exposure", "sell_qty", "unknown")

    def __init__(self) -> None:
        self.buy_qty = self.sell_qty = _ZERO
        self.unknown: set[OrderKey] = set()
        self.exposure: Exposure | None = None
        """As last asked for; None when something changed since."""


class _Live:
    """The live orders on one instrument, over all accounts. A market order has no price and can always trade."""

    __slots__ = ("_best_buy", "_best_sell", "_buys", "_sells", "levels")

    def __init__(self) -> None:
        self._buys: dict[tuple[AccountId, OrderKey], TrackedOrder] = {}
        self._sells: dict[tuple[AccountId, OrderKey], TrackedOrder] = {}
        self._best_buy: Decimal | None = None
        self._best_sell: Decimal | None = None
        self.levels: OwnLevels | None = _EMPTY
        """As last asked for; None when something changed since."""

    def take(self, tracked: TrackedOrder) -> None:
        if not _may_rest(tracked):  # it stands in no book, so nothing of ours can meet it there
            return
        self.levels = None
        key, px = (tracked.order.account, tracked.key), tracked.order.px
        if tracked.order.side is Side.BUY:
            if tracked.is_terminal:
                if self._buys.pop(key, None) is not None and px == self._best_buy:
                    self._best_buy = _best(self._buys, Side.BUY)
            else:
                self._buys[key] = tracked
                if px is not None and (self._best_buy is None or px > self._best_buy):
                    self._best_buy = px
        elif tracked.is_terminal:
            if self._sells.pop(key, None) is not None and px == self._best_sell:
                self._best_sell = _best(self._sells, Side.SELL)
        else:
            self._sells[key] = tracked
            if px is not None and (self._best_sell is None or px < self._best_sell):
                self._best_sell = px

    def best_px(self, side: Side) -> Decimal | None:
        return self._best_buy if side is Side.BUY else self._best_sell

    def resting(self, rules: Instrument) -> OwnLevels:
        return OwnLevels(_levels(self._buys, rules), _levels(self._sells, rules))


def _may_rest(tracked: TrackedOrder) -> bool:
    """Whether an order may stand in the book. One that waits for a price does once it has fired, which nobody tells: its
    first execution proves it. One of our own is immediate, and gone then.
    """
    order = tracked.order
    return order.trigger is None or (bool(tracked.cum_qty) and order.tif is not TimeInForce.IOC)


def _best(orders: Mapping[tuple[AccountId, OrderKey], TrackedOrder], side: Side) -> Decimal | None:
    prices = [tracked.order.px for tracked in orders.values() if tracked.order.px is not None]
    if not prices:
        return None
    return max(prices) if side is Side.BUY else min(prices)


def _levels(orders: Mapping[tuple[AccountId, OrderKey], TrackedOrder], rules: Instrument) -> dict[int, int]:
    """Sum what the public book shows per price. Figures that are no multiples (foreign, older rules) are rounded."""
    lots_at: dict[int, int] = {}
    for tracked in orders.values():
        px = tracked.order.px
        if px is None or tracked.state not in (OrderState.OPEN, OrderState.CANCEL_SENT):
            continue
        if tracked.order.tif is TimeInForce.RPI:  # it is not shown there
            continue
        ticks, lots = round(px / rules.tick), round(tracked.leaves_qty / rules.lot)
        lots_at[ticks] = lots_at.get(ticks, 0) + lots
    return lots_at

"""One instrument at the simulated venue: the recorded book, our orders resting beside it, and who meets whom.

The book is others' alone: ours are not in it, so none of ours sees another, or itself. A trade or a displayed quantity that
filled one of ours is used up and fills no second one. The market does not react to us: what we took is hidden from our own
later orders until the venue shows less of it, and is there for everybody else.
"""

from __future__ import annotations

from decimal import Decimal

from perpmaker.marketdata.book import OrderBook
from perpmaker.model.events import BookDelta, BookSnapshot, Ticker, Trade
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import Side
from perpmaker.simulation.chance import Chance
from perpmaker.simulation.order import Execution, VenueOrder, is_better
from perpmaker.simulation.queue import PARTS, cancelled_ahead
from perpmaker.simulation.settings import FillModel, VenueSettings


class Market:
    """The methods that take in something return what it executed of ours, in the order it happened."""

    def __init__(self, instrument: Instrument, settings: VenueSettings, chance: Chance) -> None:
        self.instrument = instrument
        self.book = OrderBook(instrument)
        self.mark_px: Decimal | None = None
        self.funding_rate: Decimal | None = settings.funding_rate
        self.next_funding_ns = 0
        self._settings = settings
        self._model = settings.fill_model
        self._chance = chance
        self._resting: dict[Side, list[VenueOrder]] = {Side.BUY: [], Side.SELL: []}
        """Best price first, at a price the oldest first."""
        self._traded: dict[tuple[Side, int], int] = {}
        """Lots traded at our orders' prices since the book last stated the level: no cancels, when they go from it."""
        self._taken: dict[tuple[Side, int], int] = {}
        """Displayed lots that ours have taken."""

    # --- what the venue says

    def on_snapshot(self, event: BookSnapshot) -> list[Execution]:
        before = {side: {o.px_ticks: self.book.lots_at(side, o.px_ticks) for o in self._resting[side]} for side in Side}
        self.book.snapshot(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)
        for side, levels in before.items():
            for px_ticks, lots in levels.items():
                self._level_changed(side, px_ticks, lots, self.book.lots_at(side, px_ticks))
        for (side, px_ticks), taken in list(self._taken.items()):
            self._still_taken(side, px_ticks, taken, self.book.lots_at(side, px_ticks))
        return self._after_book(event.ts_event_ns)

    def on_delta(self, event: BookDelta) -> list[Execution]:
        resting = self._resting
        if resting[Side.BUY] or resting[Side.SELL] or self._taken:
            self._note_levels(Side.BUY, event.bids)
            self._note_levels(Side.SELL, event.asks)
        self.book.apply(event.bids, event.asks, event.ts_event_ns, event.ts_recv_ns)
        return self._after_book(event.ts_event_ns)

    def on_trade(self, trade: Trade) -> list[Execution]:
        """Somebody took at a price: those of ours that stood before, or at it far enough in front, were met first."""
        side = trade.aggressor.opposite
        resting = self._resting[side]
        if self._model is FillModel.CLASSIC or not resting or trade.replayed:
            return []
        if not is_better(side, resting[0].px_ticks, trade.px_ticks) and resting[0].px_ticks != trade.px_ticks:
            return []
        left = trade.qty_lots
        done: list[Execution] = []
        level: list[VenueOrder] = []
        for order in resting:
            if order.px_ticks == trade.px_ticks:
                level.append(order)
            elif not is_better(side, order.px_ticks, trade.px_ticks):
                break
            elif order.arrived_ns <= trade.ts_event_ns:
                order.ahead = order.spared = 0  # nobody is left before it: the trade went beyond its price
                lots = min(order.leaves_lots, left)
                left -= lots
                if lots:
                    done.append(self._executed(order, lots))
        if level:
            key = (side, trade.px_ticks)
            self._traded[key] = self._traded.get(key, 0) + trade.qty_lots
            done += self._trade_at(level, left, trade)
        self._forget_filled(side)
        return done

    def on_ticker(self, ticker: Ticker) -> None:
        if ticker.mark_px is not None and ticker.mark_px > 0:
            self.mark_px = ticker.mark_px
        if self._settings.funding_rate is None and ticker.funding_rate is not None:
            self.funding_rate = ticker.funding_rate
        self.next_funding_ns = ticker.next_funding_ns or self.next_funding_ns

    def lose(self) -> None:
        """The feed no longer vouches for the book: nothing can be taken until it is whole again."""
        self.book.clear()
        self._taken.clear()
        self._traded.clear()

    # --- what we do

    def crosses(self, order: VenueOrder) -> bool:
        """Whether an order would take."""
        best = self.book.ask_ticks if order.side is Side.BUY else self.book.bid_ticks
        return bool(best) and (order.px_ticks == 0 or not is_better(order.side, best, order.px_ticks))

    def takeable_lots(self, order: VenueOrder) -> int:
        """Return what an order could take now, at most what it wants."""
        found = 0
        for px_ticks, lots in self.book.each(order.side.opposite):
            if found >= order.leaves_lots or (order.px_ticks and is_better(order.side, px_ticks, order.px_ticks)):
                break
            found += max(0, lots - self._taken.get((order.side.opposite, px_ticks), 0))
        return min(found, order.leaves_lots)

    def take(self, order: VenueOrder) -> list[Execution]:
        """Take what is displayed up to the order's limit, best price first."""
        done: list[Execution] = []
        side = order.side.opposite
        for px_ticks, lots in self.book.each(side):
            if not order.leaves_lots or (order.px_ticks and is_better(order.side, px_ticks, order.px_ticks)):
                break
            taken = self._taken.get((side, px_ticks), 0)
            here = min(order.leaves_lots, lots - taken)
            if here > 0:
                self._taken[(side, px_ticks)] = taken + here
                order.execute(here, px_ticks)
                done.append(Execution(order, here, px_ticks, is_taker=True))
        return done

    def rest(self, order: VenueOrder) -> list[Execution]:
        """Put an order behind everything displayed at its price, and behind what stands before an older one of ours.

        In `classic` a crossing one fills at once.
        """
        resting = self._resting[order.side]
        shown = self.book.lots_at(order.side, order.px_ticks) * PARTS
        order.ahead = max([shown, *(older.ahead for older in resting if older.px_ticks == order.px_ticks)])
        order.spared = order.ahead - shown
        self._traded.setdefault((order.side, order.px_ticks), 0)
        place = len(resting)
        while place and is_better(order.side, order.px_ticks, resting[place - 1].px_ticks):
            place -= 1
        resting.insert(place, order)
        if self._model is FillModel.CLASSIC and self.crosses(order):
            done = [self._executed(order, order.leaves_lots)]
            self._forget_filled(order.side)
            return done
        return []

    def remove(self, order: VenueOrder) -> None:
        """Take an order out of the book; nothing happens when it is not in it."""
        resting = self._resting[order.side]
        if order in resting:
            resting.remove(order)
            self._forget_level(order.side, order.px_ticks)

    # --- matching

    def _executed(self, order: VenueOrder, lots: int) -> Execution:
        order.execute(lots, order.px_ticks)
        return Execution(order, lots, order.px_ticks, is_taker=False)

    def _trade_at(self, level: list[VenueOrder], left_lots: int, trade: Trade) -> list[Execution]:
        """A trade at our price of which `left_lots` passed our better orders."""
        if self._model is FillModel.PESSIMISTIC:
            return []
        done: list[Execution] = []
        whole, left = trade.qty_lots * PARTS, left_lots * PARTS
        """`left`: what the trade still has for us and those before us; an older one of ours uses its part up."""
        for order in level:
            if order.arrived_ns > trade.ts_event_ns:
                break
            order.spared += whole - left
            before, order.ahead = order.ahead, max(0, order.ahead - left)
            reached = left if self._model is FillModel.OPTIMISTIC else left - before
            lots = min(order.leaves_lots, max(0, reached) // PARTS)
            if lots:
                left -= lots * PARTS
                done.append(self._executed(order, lots))
        return done

    def _note_levels(self, side: Side, levels: tuple[tuple[int, int], ...]) -> None:
        resting, taken = self._resting[side], self._taken
        prices = {order.px_ticks for order in resting} if resting else ()
        for px_ticks, lots in levels:
            if px_ticks in prices:
                self._level_changed(side, px_ticks, self.book.lots_at(side, px_ticks), lots)
            if taken and (side, px_ticks) in taken:
                self._still_taken(side, px_ticks, taken[(side, px_ticks)], lots)

    def _level_changed(self, side: Side, px_ticks: int, before_lots: int, after_lots: int) -> None:
        """Judge what a new displayed quantity at our price means for our places in its queue."""
        left = max(0, before_lots - self._traded.get((side, px_ticks), 0)) * PARTS
        self._traded[(side, px_ticks)] = 0
        after = after_lots * PARTS
        settings = self._settings
        for order in self._resting[side]:
            if order.px_ticks != px_ticks:
                continue
            gone = left - after
            if gone > 0:
                behind = max(0, left + order.spared - order.ahead)
                order.ahead -= cancelled_ahead(settings.queue_model, settings.queue_exponent, gone, order.ahead, behind)
            order.ahead = min(order.ahead, after + order.spared)

    def _still_taken(self, side: Side, px_ticks: int, taken: int, after_lots: int) -> None:
        if after_lots >= taken:
            return
        if after_lots:
            self._taken[(side, px_ticks)] = after_lots
        else:
            del self._taken[(side, px_ticks)]

    def _after_book(self, now_ns: int) -> list[Execution]:
        """A book that reached our prices has met our orders; `classic` looks at them besides."""
        done: list[Execution] = []
        for side in (Side.BUY, Side.SELL):
            resting = self._resting[side]
            if resting:
                done += self._classic(side, now_ns) if self._model is FillModel.CLASSIC else self._crossed(side, now_ns)
        return done

    def _crossed(self, side: Side, now_ns: int) -> list[Execution]:
        """Others' orders displayed at or beyond our price would have met ours: at our price, at most what they show."""
        resting = self._resting[side]
        against = side.opposite
        best = self.book.bid_ticks if side is Side.SELL else self.book.ask_ticks
        if not best or is_better(side, best, resting[0].px_ticks):
            return []
        strictly = self._model is FillModel.PESSIMISTIC
        done: list[Execution] = []
        for order in resting:
            if is_better(side, best, order.px_ticks):
                break
            if order.arrived_ns > now_ns:
                continue
            for px_ticks, lots in self.book.each(against):
                reaches = not is_better(side, px_ticks, order.px_ticks) and not (
                    strictly and px_ticks == order.px_ticks
                )
                if not order.leaves_lots or not reaches:
                    break
                taken = self._taken.get((against, px_ticks), 0)
                here = min(order.leaves_lots, lots - taken)
                if here > 0:
                    self._taken[(against, px_ticks)] = taken + here
                    done.append(self._executed(order, here))
        self._forget_filled(side)
        return done

    def _classic(self, side: Side, now_ns: int) -> list[Execution]:
        done: list[Execution] = []
        best = self.book.bid_ticks if side is Side.BUY else self.book.ask_ticks
        for order in list(self._resting[side]):
            if now_ns - order.looked_ns < self._settings.look_ns and order.looked_ns:
                continue
            order.looked_ns = now_ns
            touches = bool(best) and not is_better(side, best, order.px_ticks)
            if self.crosses(order) or (touches and self._chance.happens(self._settings.touch_per_mille)):
                done.append(self._executed(order, order.leaves_lots))
        self._forget_filled(side)
        return done

    def _forget_filled(self, side: Side) -> None:
        for order in [order for order in self._resting[side] if not order.leaves_lots]:
            self.remove(order)

    def _forget_level(self, side: Side, px_ticks: int) -> None:
        if all(order.px_ticks != px_ticks for order in self._resting[side]):
            self._traded.pop((side, px_ticks), None)

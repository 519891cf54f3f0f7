"""Everything the venue keeps for one instrument: rules, mode, book, prices, trades, candles, funding."""

from __future__ import annotations

from perpmaker.exchange.core.book import Book
from perpmaker.exchange.core.candles import Candles
from perpmaker.exchange.core.day_stats import DayStats
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.history import History
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.prices import Prices
from perpmaker.exchange.core.triggers import Triggers
from perpmaker.exchange.core.types import (
    CandleType,
    FundingRate,
    InstrumentMode,
    Side,
    TickerView,
    Trade,
    TradePrinted,
    TriggerBy,
)

_HOUR_NS = 3_600 * 1_000_000_000


class Listing:
    def __init__(self, instrument: Instrument, index: int, floor: Floor) -> None:
        self.instrument = instrument
        self.index = index
        """Place in `Participant.lots`."""
        self.unit_nano = instrument.unit_nano
        self.mode = InstrumentMode.ACTIVE
        self.book = Book(instrument.name, floor.events)
        self.prices = Prices(instrument.start_px_nano, floor.now_ns)
        self.triggers = Triggers(instrument.tick_nano, floor.due)
        self.trades: History[Trade] = History(floor.limits.trades_kept, _trade_time)
        self.candles = {kind: Candles(instrument.name, floor.limits.candles_kept) for kind in CandleType}
        self.day = DayStats()
        self.funding: History[FundingRate] = History(floor.limits.history_rows, _funding_time)
        self.open_interest_lots = 0
        self.next_funding_ns = self.funding_time_after(floor.now_ns)
        self.last_trade: Trade | None = None
        self.moved_ns = floor.now_ns
        """When a price or a trade last changed."""
        self._floor = floor

    @property
    def is_trading(self) -> bool:
        return self.mode in {InstrumentMode.ACTIVE, InstrumentMode.REDUCE_ONLY}

    @property
    def mid_nano(self) -> int | None:
        bid, ask = self.book.best_bid_ticks, self.book.best_ask_ticks
        return None if bid is None or ask is None else (bid + ask) * self.instrument.tick_nano // 2

    def price_by(self, by: TriggerBy) -> int | None:
        """The price a trigger looks at, as it stands; None while there is none."""
        match by:
            case TriggerBy.INDEX:
                return self.prices.index_nano
            case TriggerBy.MARK:
                return self.prices.mark_nano
            case TriggerBy.MID:
                return self.mid_nano
        return None if self.last_trade is None else self.last_trade.px_ticks * self.instrument.tick_nano

    def funding_time_after(self, now_ns: int) -> int:
        interval = self.instrument.funding_interval_hours * _HOUR_NS
        return (now_ns // interval + 1) * interval

    def funding_rate_cb(self) -> int:
        """The rate for the running interval, as it stands."""
        rules = self.instrument
        return self.prices.funding_rate_cb(
            rules.funding_interval_hours, floor_cb=rules.funding_floor_cb, cap_cb=rules.funding_cap_cb
        )

    def set_index(self, index_nano: int) -> None:
        now_ns = self._floor.now_ns
        mid_nano = self.mid_nano
        self.prices.sample(index_nano, mid_nano, now_ns)
        self.candles[CandleType.INDEX].update(now_ns, index_nano)
        self.candles[CandleType.MARK].update(now_ns, self.prices.mark_nano)
        if mid_nano is not None:
            self.candles[CandleType.MID].update(now_ns, mid_nano)
        self._show_triggers(TriggerBy.INDEX, TriggerBy.MARK, TriggerBy.MID)
        self.moved_ns = now_ns
        self.book.announce_ticker()

    def hold_mark(self, px_nano: int | None) -> None:
        self.prices.hold_mark(px_nano)
        self.candles[CandleType.MARK].update(self._floor.now_ns, self.prices.mark_nano)
        self._show_triggers(TriggerBy.MARK)
        self.moved_ns = self._floor.now_ns
        self.book.announce_ticker()

    def print(self, taker_side: Side, px_ticks: int, lots: int, trade_id: str, *, is_rpi: bool) -> None:
        """Publish one execution."""
        now_ns = self._floor.now_ns
        trade = Trade(
            event_ns=now_ns,
            instrument=self.instrument.name,
            is_taker_buyer=taker_side is Side.BUY,
            qty_lots=lots,
            px_ticks=px_ticks,
            mark_nano=self.prices.mark_nano,
            index_nano=self.prices.index_nano,
            trade_id=trade_id,
            is_rpi=is_rpi,
        )
        self.record(trade)
        self._show_triggers(TriggerBy.LAST)
        self._floor.events.append(TradePrinted(trade))
        self.book.announce_ticker()

    def trade_again(self) -> None:
        """Let triggers see every price as it is after the market stood still."""
        self._show_triggers(*TriggerBy)

    def _show_triggers(self, *changed: TriggerBy) -> None:
        """Let triggers see prices that may have changed; on a market that stands still nothing fires."""
        if not self.triggers or not self.is_trading:
            return
        for by in changed:
            px_nano = self.price_by(by)
            if px_nano is not None:
                self.triggers.observe(by, px_nano)

    def record(self, trade: Trade) -> None:
        """Take a trade into history, statistics and candles."""
        side = Side.BUY if trade.is_taker_buyer else Side.SELL
        nano = trade.px_ticks * trade.qty_lots * self.unit_nano
        self.trades.append(trade)
        self.last_trade = trade
        self.day.add(trade.event_ns, side, trade.px_ticks, trade.qty_lots, nano)
        px_nano = trade.px_ticks * self.instrument.tick_nano
        self.candles[CandleType.TRADE].update(trade.event_ns, px_nano, lots=trade.qty_lots, nano=nano, trades=1)
        self.moved_ns = trade.event_ns

    def position_changed(self, before_lots: int, after_lots: int) -> None:
        """Keep open interest: the sum of all long positions."""
        self.open_interest_lots += max(after_lots, 0) - max(before_lots, 0)

    def ticker(self) -> TickerView:
        now_ns = self._floor.now_ns
        self.day.roll(now_ns)
        bid, ask = self.book.best(Side.BUY), self.book.best(Side.SELL)
        last, high_low = self.last_trade, self.day.high_low_ticks
        return TickerView(
            event_ns=now_ns if self.is_trading else self.moved_ns,
            instrument=self.instrument.name,
            mark_nano=self.prices.mark_nano,
            index_nano=self.prices.index_nano,
            last_px_ticks=last.px_ticks if last else None,
            last_lots=last.qty_lots if last else None,
            mid_nano=self.mid_nano,
            best_bid_ticks=bid.px_ticks if bid else None,
            best_bid_lots=bid.qty_lots if bid else None,
            best_ask_ticks=ask.px_ticks if ask else None,
            best_ask_lots=ask.qty_lots if ask else None,
            buy_volume_24h_lots=self.day.buy_lots,
            sell_volume_24h_lots=self.day.sell_lots,
            buy_volume_24h_nano=self.day.buy_nano,
            sell_volume_24h_nano=self.day.sell_nano,
            high_ticks=high_low[0] if high_low else None,
            low_ticks=high_low[1] if high_low else None,
            open_ticks=self.day.open_ticks,
            open_interest_lots=self.open_interest_lots,
            long_short_ratio_e4=self._long_short_ratio_e4(),
            funding_rate_cb=self.funding_rate_cb(),
            next_funding_ns=self.next_funding_ns,
        )

    def _long_short_ratio_e4(self) -> int:
        lots = [account.lots_in(self.instrument.name) for account in self._floor.accounts.values()]
        lots += [participant.lots[self.index] for participant in self._floor.participants]
        longs, shorts = sum(held > 0 for held in lots), sum(held < 0 for held in lots)
        return longs * 10_000 // max(shorts, 1)


def _trade_time(trade: Trade) -> int:
    return trade.event_ns


def _funding_time(rate: FundingRate) -> int:
    return rate.funding_ns

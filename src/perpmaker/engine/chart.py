"""Candles for the page: the venue's bars, and the one that is forming, from trades. Shown, never decided upon."""

from __future__ import annotations

from collections import deque
from typing import Final

from perpmaker.control.messages import CandleRow
from perpmaker.model.events import Bar, Trade
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.units import NS_PER_S

CANDLE_S: Final = 60
KEPT: Final = 500


class Chart:
    """One instrument's candles of a minute, the last one forming. The venue's own bar replaces ours when it comes."""

    def __init__(self, instrument: Instrument) -> None:
        self._tick, self._lot = float(instrument.tick), float(instrument.lot)
        self._rows: deque[CandleRow] = deque(maxlen=KEPT)
        self.last_px: str | None = None
        self.last_side: str | None = None

    def on_trade(self, trade: Trade, instrument: Instrument) -> None:
        """Take in a trade; one from before the last candle is the venue's bars' business."""
        if not trade.replayed:
            self.last_px, self.last_side = str(instrument.px(trade.px_ticks)), trade.aggressor.value
        px, qty = trade.px_ticks * self._tick, trade.qty_lots * self._lot
        open_s = trade.ts_event_ns // NS_PER_S // CANDLE_S * CANDLE_S
        last = self._rows[-1] if self._rows else None
        if last is not None and open_s < last.open_s:
            return
        if last is None or open_s > last.open_s:
            self._rows.append(CandleRow(open_s, px, px, px, px, qty))
        else:
            self._rows[-1] = CandleRow(
                open_s, last.open, max(last.high, px), min(last.low, px), px, round(last.volume + qty, 9)
            )

    def on_bar(self, bar: Bar) -> None:
        """Take in a finished bar of the venue, wherever it belongs."""
        if bar.interval_s != CANDLE_S:
            return
        row = CandleRow(bar.open_ns // NS_PER_S, bar.open, bar.high, bar.low, bar.close, bar.volume)
        if not self._rows or row.open_s > self._rows[-1].open_s:
            self._rows.append(row)
            return
        for place, there in enumerate(self._rows):
            if there.open_s == row.open_s:
                self._rows[place] = row
                return
            if there.open_s > row.open_s:
                if len(self._rows) < KEPT:
                    self._rows.insert(place, row)
                return

    def since(self, open_s: int) -> list[CandleRow]:
        """Return the candles that began at `open_s` or later."""
        newer: list[CandleRow] = []
        for row in reversed(self._rows):
            if row.open_s < open_s:
                break
            newer.append(row)
        newer.reverse()
        return newer


class Charts:
    """The candles of every instrument that is traded here."""

    def __init__(self) -> None:
        self._charts: dict[InstrumentId, Chart] = {}

    def on_event(self, event: Trade | Bar, instrument: Instrument | None) -> None:
        if instrument is None:
            return
        chart = self._charts.get(event.instrument)
        if chart is None:
            chart = self._charts[event.instrument] = Chart(instrument)
        if isinstance(event, Trade):
            chart.on_trade(event, instrument)
        else:
            chart.on_bar(event)

    def get(self, instrument: InstrumentId) -> Chart | None:
        return self._charts.get(instrument)

    def since(self, open_s: dict[str, int]) -> dict[str, list[CandleRow]]:
        return {name: chart.since(open_s.get(name, 0)) for name, chart in self._charts.items()}

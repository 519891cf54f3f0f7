"""What trading costs: the rate last seen in own fills, else the venue's schedule."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from perpmaker.engine.core.spec import FeeRates
from perpmaker.model.events import Fill
from perpmaker.model.ids import AccountId, InstrumentId


class Fees:
    """Fee rates as fractions of notional, > 0 is a cost; None while nothing is known."""

    def __init__(self, schedule: Mapping[InstrumentId, FeeRates]) -> None:
        self._schedule = schedule
        self._seen: dict[tuple[AccountId, InstrumentId, bool], Decimal] = {}

    def on_fill(self, fill: Fill) -> None:
        notional = fill.px * fill.qty
        if notional and not fill.is_liquidation:
            self._seen[(fill.account, fill.instrument, fill.is_taker)] = fill.fee / notional

    def maker(self, account: AccountId, instrument: InstrumentId) -> Decimal | None:
        seen = self._seen.get((account, instrument, False))
        listed = self._schedule.get(instrument)
        return seen if seen is not None else listed.maker if listed is not None else None

    def taker(self, account: AccountId, instrument: InstrumentId) -> Decimal | None:
        seen = self._seen.get((account, instrument, True))
        listed = self._schedule.get(instrument)
        return seen if seen is not None else listed.taker if listed is not None else None

"""What strategies and risk may know of an account."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from perpmaker.model.ids import InstrumentId


class Position(msgspec.Struct, frozen=True):
    """A position by average entry. `qty` signed, long > 0; `avg_entry_px` is 0 when flat. PnL in quote currency.

    `realized_pnl` excludes fees and funding; `fees` > 0 is a cost; `funding` > 0 was received.
    """

    instrument: InstrumentId
    qty: Decimal
    avg_entry_px: Decimal
    realized_pnl: Decimal
    fees: Decimal
    funding: Decimal

"""What changed between two readings of the instrument list. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from perpmaker.errors import DataError
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.venues.grvt import parse
from perpmaker.venues.grvt.objects import WireInstrument
from perpmaker.venues.grvt.routes import PERPETUAL


class Reading(msgspec.Struct, frozen=True):
    """One reading of the list: the perpetuals that can be read, and why others could not be."""

    instruments: dict[InstrumentId, Instrument]
    unreadable: dict[str, str]


class Difference(msgspec.Struct, frozen=True):
    listed: tuple[Instrument, ...]
    """New, or with changed rules."""
    delisted: tuple[InstrumentId, ...]


def read(rows: Iterable[WireInstrument]) -> Reading:
    """Parse each row by itself: one broken row must not hide the others. Raises DataError when nothing is left."""
    found: dict[InstrumentId, Instrument] = {}
    unreadable: dict[str, str] = {}
    for row in rows:
        if row.kind != PERPETUAL:
            continue
        try:
            instrument = parse.instrument(row)
        except DataError as error:
            unreadable[row.instrument] = str(error)
        else:
            found[instrument.instrument_id] = instrument
    if not found:
        raise DataError(f"the instrument list holds no perpetual that can be read ({len(unreadable)} cannot)")
    return Reading(found, unreadable)


def difference(before: Mapping[InstrumentId, Instrument], after: Reading) -> Difference:
    """Return what to announce. An instrument whose row became unreadable is neither changed nor gone."""
    listed = tuple(new for name, new in after.instruments.items() if before.get(name) != new)
    gone = tuple(name for name in before if name not in after.instruments and name not in after.unreadable)
    return Difference(listed, gone)

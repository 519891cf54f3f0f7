"""Sessions of a pair in the lab of two venues, and what its figures are compared with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from tests.unit.strategies.pair.two_venues import Crowd, Face, TwoVenues

from perpmaker.engine.records import Remembered
from perpmaker.strategies.pair import cross_maker
from perpmaker.strategies.pair.cross_maker import CrossMaker
from perpmaker.strategies.pair.holdings import Holdings
from perpmaker.strategies.pair.pair import Memo, Pair

D = Decimal


def pair(
    *, piece: str = "0.5", start: bool = True, crowd: bool = True, third: bool = False, **params: Any
) -> TwoVenues:
    """A pair of 0.5 at a time on the two venues, whose resting orders a crowd fills in pieces."""
    clip = str(params.get("clip", "0.5"))
    rig = TwoVenues({"mode": "alternate", "size": "0.5", **params}, third=third, clip=clip)
    if crowd:
        rig.on_step = Crowd(rig, piece=piece)
    return rig.start() if start else rig


def done(rig: TwoVenues, seconds: float = 300) -> TwoVenues:
    """Play until the pair is through."""
    return rig.until(lambda: rig.is_over, seconds)


def memo(rig: TwoVenues) -> Memo:
    """What the pair last asked to remember."""
    return msgspec.json.decode(_remembered(rig), type=Memo)


def holdings(rig: TwoVenues) -> Holdings:
    """What the pair, or the maker, last counted as its own."""
    of_maker = rig.kind == CrossMaker.kind
    return msgspec.json.decode(_remembered(rig), type=cross_maker.Memo if of_maker else Memo).holdings


def _remembered(rig: TwoVenues) -> str:
    return next(record.memo for record in reversed(rig.journal) if isinstance(record, Remembered))


def cash(face: Face) -> Decimal:
    """Sales less purchases."""
    return -sum((fill.side.sign * fill.qty * fill.px for fill in face.fills), D(0))


def assert_sums_are_the_venues(rig: TwoVenues, *, balance: bool = True) -> None:
    """Every figure of the session equals what the venues' own fills add up to, to the last decimal.

    `balance`: the engine's books of the accounts as well.
    """
    if (
        balance and rig.kind == Pair.kind
    ):  # a maker's buys and sells may be booked in another order than they were executed
        assert not rig.told("balance_drifted")
    for face in rig.faces.values():
        leg = holdings(rig).legs[face.instrument]
        assert leg.qty + leg.base_qty == face.position
        assert leg.cash == cash(face)
        assert leg.fees == sum((fill.fee for fill in face.fills), D(0))
        assert leg.volume == sum((fill.qty * fill.px for fill in face.fills), D(0))
        assert leg.fills == len(face.fills)

"""From an algorithm's description to the tactic that works it."""

from __future__ import annotations

from perpmaker.execution.algos.moves import Tactic
from perpmaker.execution.algos.resting import PegTactic, RestAtTouch, iceberg
from perpmaker.execution.algos.taking import PovTactic, SweepTactic, TwapTactic
from perpmaker.model.quote import Algorithm, Iceberg, Peg, Pov, Sweep, Twap


def tactic_of(algorithm: Algorithm) -> Tactic:
    """Return a tactic at its beginning; one made in the middle of a parent order goes on from what is proven."""
    match algorithm:
        case Sweep():
            return SweepTactic(algorithm)
        case Twap():
            return TwapTactic(algorithm)
        case Pov():
            return PovTactic(algorithm)
        case Iceberg():
            return iceberg(algorithm)
        case Peg():
            return PegTactic(algorithm, SweepTactic(algorithm.take))


def resting_leftover(algorithm: Algorithm) -> RestAtTouch | None:
    """Return what rests what a sweep left over, None unless its leftover policy says so."""
    sweep = algorithm.take if isinstance(algorithm, Peg) else algorithm
    if not isinstance(sweep, Sweep) or sweep.leftover != "rest":
        return None
    return RestAtTouch(
        duration_ms=sweep.rest_ms,
        display_qty=None,
        max_slippage_bps=sweep.max_slippage_bps,
        cap_from=sweep.cap_from,
        repeg_ms=500,
    )

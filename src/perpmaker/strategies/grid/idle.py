"""Keys of a grid that were changed though nothing reads them, because of what else was chosen."""

from __future__ import annotations

from collections.abc import Iterator

from perpmaker.strategies.grid.params import GridParams
from perpmaker.strategies.quoting.inert import Inert


def idle_keys(params: GridParams) -> tuple[Inert, ...]:
    """Return every key that differs from its default and is not read, with the reason; each once."""
    default, found = GridParams(instrument=params.instrument), dict[str, Inert]()
    for keys, reason in _not_read(params):
        for name in keys:
            if getattr(params, name) != getattr(default, name) and name not in found:
                found[name] = Inert(name, f"{name} is not read: {reason}")
    return tuple(found.values())


def _not_read(p: GridParams) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield keys and why they are not read."""
    if p.lower_px is not None:
        yield ("width_bps", "centre_px"), "lower_px and upper_px are given"
    if p.spacing == "volatility":
        yield ("width_bps",), "spacing volatility finds its own width"
    else:
        yield ("volatility_mult", "volatility_s"), f"spacing is {p.spacing}"
    if p.order_equity_frac is not None:
        yield ("order_notional",), "order_equity_frac is given"
    if p.mode == "neutral":
        yield ("seed", "reseed"), "a neutral grid is not seeded"
    if p.out_of_range == "hold":
        yield ("out_of_range_s",), "out_of_range is hold"

"""Groups of orders by size: the quantity in parts of what the book showed at arrival."""

from __future__ import annotations

from typing import Final

SIZES: Final = (0.01, 0.05, 0.2, 0.5, 1.0)
"""Upper bounds of the groups; above the last is a group of its own."""
UNKNOWN_SIZE: Final = "unknown"


def size_named(of_depth: float | None) -> str:
    """Return the name of the group of a size; None stands for an order that never met a book."""
    return UNKNOWN_SIZE if of_depth is None else _name(sum(of_depth > bound for bound in SIZES))


def size_names() -> list[str]:
    """Return all groups' names, smallest first, the unknown last."""
    return [*map(_name, range(len(SIZES) + 1)), UNKNOWN_SIZE]


def _name(place: int) -> str:
    low = f"{SIZES[place - 1]:.0%}" if place else "0%"
    return f"{low} to {SIZES[place]:.0%}" if place < len(SIZES) else f"above {low}"

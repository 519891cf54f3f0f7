"""What strategies say: wanted quotes, and wanted positions worked by an algorithm named by data."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec


class Quote(msgspec.Struct, frozen=True):
    """One wanted resting order of a ladder; execution rounds it outward to tick and lot.

    `px` quote currency per base unit (float from a model, or Decimal), `qty` base units. Two quotes of a side are told
    apart by `layer`: 0 is the innermost.
    """

    px: float | Decimal
    qty: Decimal
    layer: int = 0
    tolerance_bps: float = 0.0
    """An existing order of this layer stays when it is within this distance of `px` and its size still fits."""


class Sweep(msgspec.Struct, frozen=True, tag=True):
    """Take depth in capped limit IOC children until done, cap, `max_children` or deadline (REQUIREMENTS §6)."""

    max_slippage_bps: Decimal = Decimal(5)
    cap_from: Literal["touch", "mid"] = "touch"
    depth_haircut: float = 0.7
    max_children: int = 20
    child_timeout_ms: int = 1000
    deadline_ms: int = 20_000


Algorithm = Sweep
"""Every algorithm a strategy can name; `execution/algos` works them. A union as more are added."""

"""What strategies say: wanted quotes, and wanted positions worked by an algorithm named by data.

An algorithm is its parameters; `execution/algos` works them. `algorithm_named` makes one from words, for configuration and
command line; what is wrong with them is said in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec

from perpmaker.model.ranges import alert, between, check, positive, share, slippage


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
    rpi: bool = False
    """Only retail flow may take it (TimeInForce.RPI), where the venue has that; it is not in the public book."""


CapFrom = Literal["touch", "mid"]
Leftover = Literal["hold", "rest", "unwind"]
"""What becomes of what could not be done: nothing; it rests at the touch; the other leg is undone (a pair's business)."""

_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS


class Sweep(msgspec.Struct, frozen=True, tag="sweep"):
    """Take depth in capped limit IOC children until done, cap, `max_children` or deadline (REQUIREMENTS §6).

    Each child asks for all that remains at the smallest price whose visible depth times `depth_haircut` covers it, never
    beyond `max_slippage_bps` from the arrival price. The defaults are the preset `smart`.
    """

    max_slippage_bps: Decimal = Decimal(5)
    cap_from: CapFrom = "touch"
    """Arrival price the cap counts from: on a wide book a cap from mid would never trade."""
    depth_haircut: Decimal = Decimal("0.7")
    """Share of the visible depth that is believed in."""
    depth_levels: int = 50
    max_children: int = 20
    aim_children: int = 5
    """About so many children are aimed at: what comes back into the book is let gather for as long as the deadline allows.
    As many as `max_children`: every bit is taken as soon as it is worth a child."""
    child_timeout_ms: int = 1000
    """A child without an end after this is cancelled; the next one waits until its fate is proven all the same."""
    deadline_ms: int = 0
    """0: from the quantity against the visible depth inside the cap, between 5 and 20 s."""
    patience_ms: int | None = None
    """How long to wait while nothing is offered inside the cap; None: until the deadline."""
    stale_patience_ms: int = 0
    """How long a book that must not be traded on is borne; 0: it stops the sweep at once."""
    first_child_offset_ticks: int = 0
    """Ticks worse than the covering price, of the first child; never beyond the cap."""
    retry_offset_ticks: int = 0
    """Ticks worse for every further child ..."""
    max_offset_ticks: int = 2
    """... up to this many."""
    first_child_haircut: Decimal | None = None
    """As `depth_haircut`, for the first child alone; None: the same."""
    chunk_qty: Decimal | None = None
    """Largest quantity of a child, base units; None: all that remains."""
    leftover: Leftover = "hold"
    rest_ms: int = 60_000
    """With leftover `rest`: how long what is left rests at the touch."""
    alert_slippage_bps: Decimal | None = None

    def __post_init__(self) -> None:
        check(
            self,
            [
                *slippage(self.max_slippage_bps),
                *share("depth_haircut", self.depth_haircut),
                *([] if self.first_child_haircut is None else share("first_child_haircut", self.first_child_haircut)),
                *between("depth_levels", self.depth_levels, 1, 1000),
                *between("max_children", self.max_children, 1, 1000),
                *between("aim_children", self.aim_children, 1, 1000),
                *between("child_timeout_ms", self.child_timeout_ms, 100, 60_000),
                *between("deadline_ms", self.deadline_ms, 0, _HOUR_MS),
                *([] if self.patience_ms is None else between("patience_ms", self.patience_ms, 0, _HOUR_MS)),
                *between("stale_patience_ms", self.stale_patience_ms, 0, 60_000),
                *between("first_child_offset_ticks", self.first_child_offset_ticks, 0, 1000),
                *between("retry_offset_ticks", self.retry_offset_ticks, 0, 1000),
                *between("max_offset_ticks", self.max_offset_ticks, 0, 1000),
                *([] if self.chunk_qty is None else positive("chunk_qty", self.chunk_qty)),
                *between("rest_ms", self.rest_ms, 1000, _DAY_MS),
                *alert(self.alert_slippage_bps),
            ],
        )


class Twap(msgspec.Struct, frozen=True, tag="twap"):
    """Take equal slices over `duration_ms`; a slice that finds too little is caught up by the ones after it.

    Each slice is a capped limit IOC child: at most `slice_slippage_bps` from the touch it meets and at most
    `max_slippage_bps` from the arrival price.
    """

    duration_ms: int = 600_000
    slices: int = 20
    max_slippage_bps: Decimal = Decimal(50)
    cap_from: CapFrom = "touch"
    slice_slippage_bps: Decimal = Decimal(5)
    depth_haircut: Decimal = Decimal("0.7")
    depth_levels: int = 50
    child_timeout_ms: int = 1000
    alert_slippage_bps: Decimal | None = None

    def __post_init__(self) -> None:
        check(
            self,
            [
                *between("duration_ms", self.duration_ms, 1000, _DAY_MS),
                *between("slices", self.slices, 1, 10_000),
                *slippage(self.max_slippage_bps),
                *slippage(self.slice_slippage_bps, "slice_slippage_bps"),
                *share("depth_haircut", self.depth_haircut),
                *between("depth_levels", self.depth_levels, 1, 1000),
                *between("child_timeout_ms", self.child_timeout_ms, 100, 60_000),
                *alert(self.alert_slippage_bps),
                *([] if self.duration_ms >= 200 * self.slices else ["slices must be at least 200 ms apart"]),
            ],
        )


class Pov(msgspec.Struct, frozen=True, tag="pov"):
    """Take part in the volume: stay at `participation` of what others trade while it works, by capped IOC children."""

    participation: Decimal = Decimal("0.1")
    """Our fills as a fraction of the public volume since the start, our own included."""
    duration_ms: int = 3_600_000
    max_slippage_bps: Decimal = Decimal(50)
    cap_from: CapFrom = "touch"
    child_slippage_bps: Decimal = Decimal(5)
    """From the touch a child meets."""
    depth_haircut: Decimal = Decimal("0.7")
    depth_levels: int = 50
    child_timeout_ms: int = 1000
    alert_slippage_bps: Decimal | None = None

    def __post_init__(self) -> None:
        check(
            self,
            [
                *share("participation", self.participation),
                *between("duration_ms", self.duration_ms, 1000, _DAY_MS),
                *slippage(self.max_slippage_bps),
                *slippage(self.child_slippage_bps, "child_slippage_bps"),
                *share("depth_haircut", self.depth_haircut),
                *between("depth_levels", self.depth_levels, 1, 1000),
                *between("child_timeout_ms", self.child_timeout_ms, 100, 60_000),
                *alert(self.alert_slippage_bps),
            ],
        )


class Iceberg(msgspec.Struct, frozen=True, tag="iceberg"):
    """Rest post-only at the touch, never beyond the cap, showing at most `display_qty` at a time."""

    display_qty: Decimal
    """Base units."""
    limit_px: Decimal | None = None
    """Never worse than this; None: the cap from arrival alone."""
    max_slippage_bps: Decimal = Decimal(20)
    cap_from: CapFrom = "touch"
    duration_ms: int = 3_600_000
    repeg_ms: int = 500
    """A resting child stays at least this long before it follows the touch."""
    alert_slippage_bps: Decimal | None = None

    def __post_init__(self) -> None:
        check(
            self,
            [
                *positive("display_qty", self.display_qty),
                *([] if self.limit_px is None else positive("limit_px", self.limit_px)),
                *slippage(self.max_slippage_bps),
                *between("duration_ms", self.duration_ms, 1000, _DAY_MS),
                *between("repeg_ms", self.repeg_ms, 100, 60_000),
                *alert(self.alert_slippage_bps),
            ],
        )


class Peg(msgspec.Struct, frozen=True, tag="peg"):
    """Rest post-only at the touch for `maker_ms`, then take what is left by `take`. One arrival price for both."""

    maker_ms: int = 30_000
    display_qty: Decimal | None = None
    """Shown at a time, base units; None: all that remains."""
    repeg_ms: int = 500
    max_slippage_bps: Decimal = Decimal(20)
    """How far the resting price may follow the market from arrival; `take` has a cap of its own."""
    cap_from: CapFrom = "touch"
    take: Sweep = Sweep()
    alert_slippage_bps: Decimal | None = None

    def __post_init__(self) -> None:
        check(
            self,
            [
                *between("maker_ms", self.maker_ms, 0, _DAY_MS),
                *([] if self.display_qty is None else positive("display_qty", self.display_qty)),
                *between("repeg_ms", self.repeg_ms, 100, 60_000),
                *slippage(self.max_slippage_bps),
                *alert(self.alert_slippage_bps),
            ],
        )


Algorithm = Sweep | Twap | Pov | Iceberg | Peg
"""Every algorithm a strategy or a person can name."""

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "smart": {},
    "iterative": {
        "max_children": 3,
        "retry_offset_ticks": 1,
        "max_offset_ticks": 2,
        "child_timeout_ms": 1000,
        "first_child_haircut": Decimal(1),
    },
    "chunked": {"depth_haircut": Decimal(1)},
}
"""Presets of `sweep`. iterative: child 1 priced where the depth covers everything, one tick worse per retry up to 2.
chunked: plain capped children of a fixed size, `chunk_qty`, which has no default."""

_NAMED: Final[Mapping[str, type[Algorithm]]] = {
    "sweep": Sweep,
    "twap": Twap,
    "pov": Pov,
    "iceberg": Iceberg,
    "peg": Peg,
}
ALGORITHM_NAMES: Final = (*_NAMED, *PRESETS)


def sweep(preset: str = "smart", **changes: Any) -> Sweep:
    """Return a sweep by its preset, with changes; ValueError says what is wrong with them."""
    if preset not in PRESETS:
        raise ValueError(f"sweep has no preset {preset!r}; it has {', '.join(PRESETS)}")
    made = Sweep(**{**PRESETS[preset], **changes})
    if preset == "chunked" and made.chunk_qty is None:
        raise ValueError("preset chunked needs chunk_qty, the size of a child in base units")
    return made


def algorithm_named(name: str, parameters: Mapping[str, object]) -> Algorithm:
    """Return the algorithm of this name with parameters as text or values; ValueError is a sentence for people.

    A preset of `sweep` may stand for the name, or be given as the parameter `preset`. Parameters of `peg`'s sweep are
    named with `take_` before them.
    """
    given = dict(parameters)
    preset = str(given.pop("preset", name if name in PRESETS else "smart"))
    kind = Sweep if name in PRESETS else _NAMED.get(name)
    if kind is None:
        raise ValueError(f"there is no algorithm {name!r}; there are {', '.join(ALGORITHM_NAMES)}")
    if kind is not Sweep and "preset" in parameters:
        raise ValueError(f"{name} has no presets")
    if kind is Peg:
        take = {key.removeprefix("take_"): given.pop(key) for key in list(given) if key.startswith("take_")}
        given["take"] = sweep(**_typed(Sweep, take))
        return Peg(**_typed(Peg, given))
    typed = _typed(kind, given)
    return sweep(preset, **typed) if kind is Sweep else kind(**typed)


def name_of(algorithm: Algorithm) -> str:
    """Return the algorithm's name."""
    return str(algorithm.__struct_config__.tag)


def _typed(kind: type[Algorithm], given: Mapping[str, object]) -> dict[str, Any]:
    """Convert values, most of them text, to the types of `kind`'s fields."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    typed: dict[str, Any] = {}
    for key, value in given.items():
        field = fields.get(key)
        if field is None:
            known = ", ".join(fields)
            raise ValueError(f"{kind.__struct_config__.tag} has no parameter {key!r}; it has {known}")
        try:
            typed[key] = msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"{key} = {value!r}: {error}") from None
    missing = [field.name for field in fields.values() if field.required and field.name not in typed]
    if missing:
        raise ValueError(f"{kind.__struct_config__.tag} needs {', '.join(missing)}")
    return typed

"""One side of the ladder: layers, boost, what is pulled, what only retail flow may take, what cools down."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, overload

import msgspec

from perpmaker.model.order import OrderState, OrderView, Side
from perpmaker.model.quote import Quote
from perpmaker.strategies.quoting.inventory import Inventory
from perpmaker.strategies.quoting.ladder import SideWish, VenueRules, side_quotes
from perpmaker.strategies.quoting.markouts import RPI_LAYERS
from perpmaker.strategies.quoting.params import QuotingParams
from perpmaker.strategies.quoting.tags import quote_place

NAMES: Final = {Side.BUY: "bids", Side.SELL: "asks"}
_GOING: Final = (OrderState.CANCEL_SENT, OrderState.UNKNOWN)


class SideLayout(msgspec.Struct, frozen=True):
    """What one side is made of now. Prices in quote units, sizes in base units."""

    side: Side
    first_px: float
    touch_px: float
    """The most aggressive price that still rests."""
    mid: float
    fair: float
    qtys: Sequence[float]
    spacing_bps: float
    tolerance_bps: float
    reduce_only: bool
    boost_bps: Sequence[float]
    """Distances from mid of extra orders, each of the innermost size; they never stand nearer than `boost_limit_px`."""
    boost_limit_px: float
    order_qty: float


def side_of_ladder(
    layout: SideLayout,
    held: Inventory,
    params: QuotingParams,
    rules: VenueRules,
    is_pulled: Callable[[int], bool] | None,
) -> tuple[list[Quote], list[str]]:
    """Return the quotes of a side, the ladder's innermost first, and why any are missing.

    `is_pulled` says of a layer whether it may not be quoted now; None: none is.
    """
    side, sign, name = layout.side, layout.side.sign, NAMES[layout.side]
    wish = SideWish(
        side=side,
        first_px=layout.first_px,
        touch_px=layout.touch_px,
        far_px=layout.fair * (1 - sign * params.max_distance_bps / 1e4),
        spacing=layout.fair * layout.spacing_bps / 1e4,
        qtys=layout.qtys,
        room_notional=held.room_notional(side),
        mark_px=held.mark_px,
        tolerance_bps=layout.tolerance_bps,
        room_qty=held.reducing_qty(side) if layout.reduce_only else math.inf,
    )
    quotes, missing = side_quotes(wish, rules)
    if layout.boost_bps and not layout.reduce_only:
        quotes += _boost(wish, quotes, layout, params.layers, rules)
    reasons = [f"{name}: {missing}"] if missing else []
    quotes, beyond = _inside_bounds(quotes, side, params)
    if beyond:
        reasons.append(f"{name}: {beyond}")
    pulled = [quote.layer for quote in quotes if is_pulled(quote.layer)] if is_pulled else []
    if pulled:
        quotes = [quote for quote in quotes if quote.layer not in pulled]
        reasons.append(f"{name}: {_layers(pulled)} pulled, the fills lose")
    return _with_retail(quotes, params.rpi_share, rules), reasons


def no_nearer(quotes: Sequence[Quote], side: Side, orders: Sequence[OrderView]) -> list[Quote]:
    """Return the quotes of a side that cools down: what rests may stay or move away from the market, nothing is new."""
    sign, resting_px = side.sign, _resting_px(orders, side)
    return [
        msgspec.structs.replace(quote, px=sign * min(sign * float(quote.px), sign * resting_px[quote.layer]))
        for quote in quotes
        if quote.layer in resting_px
    ]


def whole_or_kept(
    bids: Sequence[Quote], asks: Sequence[Quote], orders: Sequence[OrderView]
) -> tuple[Sequence[Quote], Sequence[Quote]]:
    """Return the ladder without tolerances as soon as one order has left its own, or one is missing or too many."""
    standing = {
        place: float(order.px)
        for order in orders
        if order.px is not None and order.state not in _GOING and (place := quote_place(order.tag)) is not None
    }
    wanted = {(side, quote.layer): quote for side, quotes in ((Side.BUY, bids), (Side.SELL, asks)) for quote in quotes}
    if standing.keys() == wanted.keys() and all(
        abs(px - float(wanted[place].px)) <= wanted[place].tolerance_bps * px / 1e4 for place, px in standing.items()
    ):
        return bids, asks
    return _exact(bids), _exact(asks)


def _exact(quotes: Sequence[Quote]) -> list[Quote]:
    return [msgspec.structs.replace(quote, tolerance_bps=0.0) for quote in quotes]


class Shown(Sequence[str]):
    """Quotes as people read them, "59988.3 x 0.005"; made only when somebody reads, since they change with every book."""

    def __init__(self, quotes: Sequence[Quote]) -> None:
        self._quotes = quotes

    def __len__(self) -> int:
        return len(self._quotes)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [_said(quote) for quote in self._quotes[place]]
        return _said(self._quotes[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self))


def _said(quote: Quote) -> str:
    return f"{quote.px:.8g} x {quote.qty}{' rpi' if quote.rpi else ''}"


def _boost(wish: SideWish, ladder: Sequence[Quote], layout: SideLayout, layers: int, rules: VenueRules) -> list[Quote]:
    """Return the extra orders of a signal, as layers of their own behind the ladder's; the cap counts them too."""
    sign = wish.side.sign
    room = wish.room_notional - sum(float(quote.qty) * max(float(quote.px), wish.mark_px) for quote in ladder)
    made: list[Quote] = []
    for extra, distance_bps in enumerate(layout.boost_bps):
        wanted_px = layout.mid * (1 - sign * distance_bps / 1e4)
        one = msgspec.structs.replace(
            wish,
            first_px=sign * min(sign * wanted_px, sign * layout.boost_limit_px),
            qtys=(layout.order_qty,),
            room_notional=room,
        )
        quotes, _ = side_quotes(one, rules)
        for quote in quotes:
            made.append(msgspec.structs.replace(quote, layer=layers + extra))
            room -= float(quote.qty) * max(float(quote.px), wish.mark_px)
    return made


def _inside_bounds(quotes: list[Quote], side: Side, params: QuotingParams) -> tuple[list[Quote], str]:
    """Leave out bids above the ceiling and asks below the floor."""
    bound = params.price_ceiling if side is Side.BUY else params.price_floor
    if bound is None:
        return quotes, ""
    inside = [quote for quote in quotes if side.sign * (bound - float(quote.px)) >= 0]
    if len(inside) == len(quotes):
        return quotes, ""
    word = f"above price_ceiling {bound:g}" if side is Side.BUY else f"below price_floor {bound:g}"
    return inside, f"{_layers([quote.layer for quote in quotes if quote not in inside])} {word}"


def _with_retail(quotes: list[Quote], share: float, rules: VenueRules) -> list[Quote]:
    """Split each quote into its displayed and its retail part; a part that the venue would not take joins the other."""
    if not share:
        return quotes
    split: list[Quote] = []
    for quote in quotes:
        least = rules.least_lots(float(quote.px))
        lots = rules.lots_for(float(quote.qty))
        retail = rules.lots_for(float(quote.qty) * share)
        if retail < least:
            retail = 0
        elif lots - retail < least:
            retail = lots
        if retail < lots:
            split.append(msgspec.structs.replace(quote, qty=rules.lot * (lots - retail)))
        if retail:
            layer = quote.layer + RPI_LAYERS
            split.append(msgspec.structs.replace(quote, qty=rules.lot * retail, layer=layer, rpi=True))
    return split


def _resting_px(orders: Sequence[OrderView], side: Side) -> Mapping[int, float]:
    """Return the prices of a side's whole quotes by their layers. One that was partly filled is left out."""
    found: dict[int, float] = {}
    for order in orders:
        place = quote_place(order.tag)
        if place is None or place[0] is not side or order.px is None or order.cum_qty or order.state in _GOING:
            continue
        found[place[1]] = float(order.px)
    return found


def _layers(numbers: Sequence[int]) -> str:
    return f"layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"

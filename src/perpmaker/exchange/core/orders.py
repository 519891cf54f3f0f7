"""A client's order while it is alive, and its order ids."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from perpmaker.exchange.core.amounts import div_half_even
from perpmaker.exchange.core.book import Order
from perpmaker.exchange.core.types import (
    UNASSIGNED_ORDER_ID,
    OrderRejectReason,
    OrderState,
    OrderStatus,
    OrderTerms,
    OrderView,
    TimeInForce,
)

if TYPE_CHECKING:
    from perpmaker.exchange.core.accounts import Account
    from perpmaker.exchange.core.listing import Listing
    from perpmaker.exchange.core.timers import Timer

CLIENT = -1
"""The `participant` of a client's order."""
_DIGEST_BYTES = 16
_encode = msgspec.msgpack.Encoder().encode


class ClientOrder(Order):
    """`qty = cum + leaves + trimmed` while it is active; `trimmed_lots` is what reduce-only took away."""

    __slots__ = (
        "account",
        "cost_tick_lots",
        "fired_ns",
        "listing",
        "number",
        "order_id",
        "reason",
        "status",
        "terms",
        "timer",
        "trimmed_lots",
        "update_ns",
    )

    def __init__(self, account: Account, listing: Listing, terms: OrderTerms) -> None:
        rpi = terms.time_in_force is TimeInForce.RETAIL_PRICE_IMPROVEMENT
        super().__init__(CLIENT, terms.side, terms.px_ticks, terms.qty_lots, rpi=rpi)
        self.account = account
        self.listing = listing
        self.terms = terms
        self.number = 0
        self.order_id = UNASSIGNED_ORDER_ID
        self.status = OrderStatus.PENDING
        self.reason = OrderRejectReason.UNSPECIFIED
        self.cost_tick_lots = 0
        self.trimmed_lots = 0
        self.update_ns = terms.create_ns
        self.fired_ns = 0
        """When its trigger fired."""
        self.timer: Timer | None = None
        """While pending, and after its trigger fired: its release from the wait. While open: its expiry."""

    @property
    def avg_px_nano(self) -> int:
        if not self.cum_lots:
            return 0
        return div_half_even(self.cost_tick_lots * self.listing.instrument.tick_nano, self.cum_lots)

    @property
    def is_active(self) -> bool:
        return self.status is OrderStatus.PENDING or self.status is OrderStatus.OPEN

    @property
    def awaits_price(self) -> bool:
        """Whether it is OPEN without being in the book, as its trigger did not fire yet."""
        return self.terms.trigger is not None and not self.fired_ns and self.status is OrderStatus.OPEN

    def view(self) -> OrderView:
        state = OrderState(
            status=self.status,
            reason=self.reason,
            book_lots=self.leaves_lots if self.is_active else 0,
            traded_lots=self.cum_lots,
            avg_px_nano=self.avg_px_nano,
            update_ns=self.update_ns,
            fired_ns=self.fired_ns,
        )
        return OrderView(self.order_id, self.terms, state)


def order_id_text(asset_id: int, signature_s: str, number: int) -> str:
    """Build an id as seen live: 0x0101, kind, base, quote, the last three bytes of signature.s, a growing number."""
    kind, base, quote = asset_id & 0xFF, asset_id >> 8 & 0xFF, asset_id >> 16 & 0xFF
    try:
        tail = int(signature_s[-6:], 16)
    except ValueError:
        tail = 0
    return f"0x0101{kind:02x}{base:02x}{quote:02x}{tail:06x}{number:016x}"


def order_id_number(order_id: str | None) -> int | None:
    """Return the number an order id stands for; None for the ways of saying "no id" (absent, 0x00, 0, empty)."""
    if not order_id:
        return None
    try:
        return int(order_id, 16) or None
    except ValueError:
        return -1


def payload_of(terms: OrderTerms) -> bytes:
    """Return a digest of what the client signed (PROTOCOL 12); the client order id is not part of it."""
    signature = terms.signature
    signed = (
        signature.signer.lower(),
        signature.nonce,
        signature.expiration_ns,
        terms.instrument,
        int(terms.side),
        terms.qty_lots,
        terms.px_ticks,
        terms.is_market,
        int(terms.time_in_force),
        terms.post_only,
        terms.reduce_only,
        terms.builder,
        terms.builder_fee_cb,
    )
    return blake2b(_encode(signed), digest_size=_DIGEST_BYTES).digest()

"""An order into the signed bytes that the venue gets: whole numbers once, and both the signature and the text from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import ConfigError, DataError
from perpmaker.model.ids import InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side, TimeInForce
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.objects import LegRequest, MetadataRequest, OrderRequest, SignatureRequest
from perpmaker.venues.grvt.signing import (
    MAX_U32,
    PRICE_DECIMALS,
    OrderHasher,
    SignedTif,
    Signer,
    leg_hash,
    leg_head,
)

MAX_LIFE_S: Final = 30 * 86_400
"""The venue refuses a signature that expires later than 30 days from now."""
_TIFS: Final[Mapping[TimeInForce, SignedTif]] = MappingProxyType(
    {
        TimeInForce.GTT: SignedTif.GOOD_TILL_TIME,
        TimeInForce.AON: SignedTif.ALL_OR_NONE,
        TimeInForce.IOC: SignedTif.IMMEDIATE_OR_CANCEL,
        TimeInForce.FOK: SignedTif.FILL_OR_KILL,
        TimeInForce.RPI: SignedTif.RETAIL_PRICE_IMPROVEMENT,
    }
)
_IMMEDIATE: Final = (TimeInForce.IOC, TimeInForce.FOK)


class Nonces:
    """Signature nonces: a 32-bit counter from a seed that differs between lives of the process. Never the clock.

    The venue drops a payload that repeats another one with its nonce; a counter makes that impossible within four thousand
    million orders.
    """

    def __init__(self, seed: int) -> None:
        self._last = seed & MAX_U32

    def next(self) -> int:
        self._last = (self._last + 1) & MAX_U32
        return self._last


class Lives(msgspec.Struct, frozen=True):
    """How long a signature is good where the order does not say: a second dead-man switch."""

    resting_s: float = 90.0
    immediate_s: float = 10.0

    def check(self) -> None:
        for name, seconds in (("resting_s", self.resting_s), ("immediate_s", self.immediate_s)):
            if not 1 <= seconds <= MAX_LIFE_S:
                raise ConfigError(f"signature life {name} must be from 1 s to 30 days, not {seconds}")


class SignedOrder(msgspec.Struct, frozen=True):
    """An order with its expiration filled in, and the bytes that stand for it on the wire."""

    order: NewOrder
    body: bytes


class OrderWriter:
    """Signs orders of one sub account. Refuses, with DataError, what cannot be written exactly."""

    def __init__(
        self,
        *,
        signer: Signer,
        sub_account_id: str,
        chain_id: int,
        codec: Codec,
        clock: Clock,
        nonce_seed: int,
        lives: Lives,
    ) -> None:
        lives.check()
        self._signer = signer
        self._sub_account_id = sub_account_id
        self._hasher = OrderHasher(_sub_account(sub_account_id))
        self._chain_id = str(chain_id)
        self._codec = codec
        self._clock = clock
        self._nonces = Nonces(nonce_seed)
        self._lives = lives
        self._scales: dict[InstrumentId, tuple[Instrument, _Scale]] = {}
        self._order = codec.form(OrderRequest)
        self._leg = codec.form(LegRequest)
        self._signature = codec.form(SignatureRequest)
        self._metadata = codec.form(MetadataRequest)

    def write(self, order: NewOrder, instrument: Instrument) -> SignedOrder:
        """Return the signed order; the signature covers the very numbers that the JSON shows."""
        scale = self._scale(instrument)
        lots = self._lots(order, instrument)
        ticks = 0 if order.px is None else _units(instrument.to_ticks, order.px)
        if order.px is not None and ticks <= 0:
            raise DataError(f"{instrument.symbol}: a limit price must be above zero, not {order.px}")
        if order.post_only and order.tif in _IMMEDIATE:
            raise DataError(f"post-only cannot be combined with {order.tif.value}")
        post_only = (
            order.post_only and order.tif is not TimeInForce.RPI
        )  # which implies it, and refuses the flag (2032)
        is_buy = order.side is Side.BUY
        tif = _TIFS[order.tif]
        nonce = self._nonces.next()
        expire_ns = self._expire_ns(order)
        leg = leg_hash(scale.leg_head, lots * scale.per_lot, ticks * scale.per_tick, is_buy)
        is_market = order.px is None
        signed = self._signer.sign(
            self._hasher.hash(is_market, tif, post_only, order.reduce_only, leg, nonce, expire_ns)
        )
        request = self._order(
            sub_account_id=self._sub_account_id,
            is_market=is_market,
            time_in_force=tif.name,
            post_only=post_only,
            reduce_only=order.reduce_only,
            legs=[
                self._leg(
                    instrument=instrument.symbol,
                    size=_text(instrument.qty(lots)),
                    limit_price=None if order.px is None else _text(instrument.px(ticks)),
                    is_buying_asset=is_buy,
                )
            ],
            signature=self._signature(
                signer=signed.signer,
                r=signed.r,
                s=signed.s,
                v=signed.v,
                expiration=str(expire_ns),
                nonce=nonce,
                chain_id=self._chain_id,
            ),
            metadata=self._metadata(client_order_id=str(order.client_order_id)),
        )
        return SignedOrder(_expiring(order, expire_ns), self._codec.encode(request))

    def _lots(self, order: NewOrder, instrument: Instrument) -> int:
        lots = _units(instrument.to_lots, order.qty)
        if lots <= 0:
            raise DataError(f"{instrument.symbol}: a quantity must be above zero, not {order.qty}")
        return lots

    def _expire_ns(self, order: NewOrder) -> int:
        now_ns = self._clock.now_ns()
        if not order.expire_ns:
            life_s = self._lives.immediate_s if order.tif in _IMMEDIATE or order.px is None else self._lives.resting_s
            return now_ns + int(life_s * NS_PER_S)
        if not now_ns < order.expire_ns <= now_ns + MAX_LIFE_S * NS_PER_S:
            raise DataError("an order's expiration must lie ahead, and at most 30 days")
        return order.expire_ns

    def _scale(self, instrument: Instrument) -> _Scale:
        known = self._scales.get(instrument.instrument_id)
        if known is None or known[0] is not instrument:
            known = self._scales[instrument.instrument_id] = (instrument, _Scale.of(instrument))
        return known[1]


class _Scale(msgspec.Struct, frozen=True):
    """What the asset, one lot and one tick are inside a signature."""

    leg_head: bytes
    per_lot: int
    per_tick: int

    @classmethod
    def of(cls, instrument: Instrument) -> _Scale:
        try:
            asset_id = int(instrument.venue_asset_id, 16)
        except ValueError:
            raise DataError(f"{instrument.symbol}: asset id {instrument.venue_asset_id!r} is not hexadecimal") from None
        return cls(
            leg_head=leg_head(asset_id),
            per_lot=_whole(instrument.lot.scaleb(instrument.qty_decimals), instrument),
            per_tick=_whole(instrument.tick.scaleb(PRICE_DECIMALS), instrument),
        )


def _whole(value: Decimal, instrument: Instrument) -> int:
    if value != value.to_integral_value():
        raise DataError(f"{instrument.symbol}: tick or lot is finer than what a signature can say")
    return int(value)


def _units(convert: Callable[[Decimal], int], value: Decimal) -> int:
    try:
        return convert(value)
    except ValueError as error:
        raise DataError(str(error)) from None


def _text(value: Decimal) -> str:
    """Plain digits, never an exponent."""
    return f"{value:f}"


def _expiring(order: NewOrder, expire_ns: int) -> NewOrder:
    return order if order.expire_ns == expire_ns else msgspec.structs.replace(order, expire_ns=expire_ns)


def _sub_account(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 64):
        raise ConfigError(f"sub account id {text!r} is not a 64-bit number")
    return int(text)

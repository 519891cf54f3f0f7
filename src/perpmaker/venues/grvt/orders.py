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
from perpmaker.model.order import NewOrder, Side, TimeInForce, Trigger
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.objects import (
    LegRequest,
    MetadataRequest,
    OrderRequest,
    PriceTriggerRequest,
    SignatureRequest,
    TriggerRequest,
)
from perpmaker.venues.grvt.signing import (
    MAX_U32,
    PRICE_DECIMALS,
    OrderHasher,
    SignedTif,
    Signer,
    leg_hash,
    leg_head,
    u64_word,
)

MAX_LIFE_S: Final = 30 * 86_400
"""The venue refuses a signature that expires later than 30 days from now."""
REMEMBERED_NUMBERS: Final = 1024

Written = tuple[bytes, str]
"""A number as a signed word, and as text."""
_SPREAD: Final = 0x9E3779B1
"""An odd number near 2**32 over the golden ratio: successive multiples lie far apart (Knuth, TAOCP 6.4)."""
_NO_PRICE: Final[tuple[bytes, str | None]] = (bytes(32), None)

_TIFS: Final[Mapping[TimeInForce, tuple[int, str]]] = MappingProxyType(
    {
        tif: (int(signed), signed.name)
        for tif, signed in (
            (TimeInForce.GTT, SignedTif.GOOD_TILL_TIME),
            (TimeInForce.AON, SignedTif.ALL_OR_NONE),
            (TimeInForce.IOC, SignedTif.IMMEDIATE_OR_CANCEL),
            (TimeInForce.FOK, SignedTif.FILL_OR_KILL),
            (TimeInForce.RPI, SignedTif.RETAIL_PRICE_IMPROVEMENT),
        )
    }
)
_IMMEDIATE: Final = (TimeInForce.IOC, TimeInForce.FOK)


class Nonces:
    """Signature nonces: a 32-bit counter from a seed that differs between lives of the process. Never the clock.

    The venue drops a payload that repeats another one with its nonce; a counter makes that impossible within four thousand
    million orders.
    """

    def __init__(self, seed: int) -> None:
        """The bits of `seed` above the 32nd, where the boot epoch stands, are spread over the whole counter."""
        self._last = (seed + (seed >> 32) * _SPREAD) & MAX_U32

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
        self._rules: dict[InstrumentId, _Rules] = {}
        self._order = codec.form(OrderRequest)
        self._leg = codec.form(LegRequest)
        self._signature = codec.form(SignatureRequest)
        self._metadata = codec.form(MetadataRequest)
        self._trigger = codec.form(TriggerRequest)
        self._price_trigger = codec.form(PriceTriggerRequest)

    def write(self, order: NewOrder, instrument: Instrument) -> SignedOrder:
        """Return the signed order; the signature covers the very numbers that the JSON shows."""
        rules = self._rules_of(instrument)
        size_word, size = rules.qty(order.qty)
        px_word, px = _NO_PRICE if order.px is None else rules.px(order.px)
        if order.post_only and order.tif in _IMMEDIATE:
            raise DataError(f"post-only cannot be combined with {order.tif.value}")
        post_only = order.post_only and order.tif is not TimeInForce.RPI  # RPI implies it, and refuses the flag (2032)
        is_buy = order.side is Side.BUY
        is_market = order.px is None
        tif, tif_name = _TIFS[order.tif]
        nonce = self._nonces.next()
        expire_ns = self._expire_ns(order)
        leg = leg_hash(rules.leg_head, size_word, px_word, is_buy)
        signed = self._signer.sign(
            self._hasher.hash(is_market, tif, post_only, order.reduce_only, leg, nonce, expire_ns)
        )
        request = self._order(
            sub_account_id=self._sub_account_id,
            is_market=is_market,
            time_in_force=tif_name,
            post_only=post_only,
            reduce_only=order.reduce_only,
            legs=[
                self._leg(instrument=instrument.symbol, size=size, limit_price=px, is_buying_asset=is_buy),
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
            metadata=self._metadata(client_order_id=str(order.client_order_id), trigger=self._waits_for(order, rules)),
        )
        return SignedOrder(_expiring(order, expire_ns), self._codec.encode(request))

    def _waits_for(self, order: NewOrder, rules: _Rules) -> TriggerRequest | None:
        """Return the trigger as it travels. It is not signed; its price is exact all the same."""
        waits_for: Trigger | None = order.trigger
        if waits_for is None:
            return None
        _, px = rules.px(waits_for.px)
        return self._trigger(
            trigger_type=waits_for.kind.name,
            tpsl=self._price_trigger(trigger_by=waits_for.by.name, trigger_price=px),
        )

    def _expire_ns(self, order: NewOrder) -> int:
        now_ns = self._clock.now_ns()
        if not order.expire_ns:
            life_s = self._lives.immediate_s if order.tif in _IMMEDIATE or order.px is None else self._lives.resting_s
            return now_ns + int(life_s * NS_PER_S)
        if not now_ns < order.expire_ns <= now_ns + MAX_LIFE_S * NS_PER_S:
            raise DataError("an order's expiration must lie ahead, and at most 30 days")
        return order.expire_ns

    def _rules_of(self, instrument: Instrument) -> _Rules:
        known = self._rules.get(instrument.instrument_id)
        if known is None or known.instrument is not instrument:
            known = self._rules[instrument.instrument_id] = _Rules(instrument)
        return known


class _Rules:
    """An instrument's prices and quantities as they are signed and as they are printed.

    A number is worked out once for a while: quotes come back to the same prices and sizes.
    """

    __slots__ = ("_per_lot", "_per_tick", "_pxs", "_qtys", "instrument", "leg_head")

    def __init__(self, instrument: Instrument) -> None:
        try:
            asset_id = int(instrument.venue_asset_id, 16)
        except ValueError:
            raise DataError(f"{instrument.symbol}: asset id {instrument.venue_asset_id!r} is not hexadecimal") from None
        self.instrument = instrument
        self.leg_head = leg_head(asset_id)
        self._per_lot = _whole(instrument.lot.scaleb(instrument.qty_decimals), instrument)
        self._per_tick = _whole(instrument.tick.scaleb(PRICE_DECIMALS), instrument)
        self._pxs: dict[Decimal, Written] = {}
        self._qtys: dict[Decimal, Written] = {}

    def px(self, px: Decimal) -> Written:
        try:
            known = self._pxs.get(px)
        except TypeError:  # a signalling NaN cannot even be looked up
            known = None
        if known is None:
            known = _written(self.instrument.to_ticks, px, self._per_tick, f"{self.instrument.symbol} price")
            _remember(self._pxs, px, known)
        return known

    def qty(self, qty: Decimal) -> Written:
        try:
            known = self._qtys.get(qty)
        except TypeError:
            known = None
        if known is None:
            known = _written(self.instrument.to_lots, qty, self._per_lot, f"{self.instrument.symbol} quantity")
            _remember(self._qtys, qty, known)
        return known


def _written(convert: Callable[[Decimal], int], value: Decimal, per_step: int, what: str) -> Written:
    """Raises DataError unless `value` is an exact multiple above zero; the text has plain digits, never an exponent."""
    try:
        steps = convert(value)
    except ValueError as error:
        raise DataError(str(error)) from None
    if steps <= 0:
        raise DataError(f"{what}: it must be above zero, not {value}")
    return u64_word(steps * per_step), f"{value:f}"


def _remember(known: dict[Decimal, Written], value: Decimal, written: Written) -> None:
    if len(known) >= REMEMBERED_NUMBERS:
        known.clear()
    known[value] = written


def _whole(value: Decimal, instrument: Instrument) -> int:
    if value != value.to_integral_value():
        raise DataError(f"{instrument.symbol}: tick or lot is finer than what a signature can say")
    return int(value)


def _expiring(order: NewOrder, expire_ns: int) -> NewOrder:
    return order if order.expire_ns == expire_ns else msgspec.structs.replace(order, expire_ns=expire_ns)


def _sub_account(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 1 << 64):
        raise ConfigError(f"sub account id {text!r} is not a 64-bit number")
    return int(text)

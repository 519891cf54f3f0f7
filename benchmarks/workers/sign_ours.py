"""Our way from an order to the bytes of a create request, and the bare curve as the floor."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import coincurve
import msgspec
from turns import serve

from perpmaker.clock import WallClock
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.orders import Lives, OrderWriter
from perpmaker.venues.grvt.routes import CREATE_ORDER, CreateRequest
from perpmaker.venues.grvt.signing import Signer
from perpmaker.venues.secret import Secret

KEY = hashlib.sha256(b"benchmark").hexdigest()
INSTRUMENT = Instrument(
    instrument_id=InstrumentId("BTC_USDT_Perp"),
    symbol="BTC_USDT_Perp",
    exchange="grvt",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_qty=Decimal("0.001"),
    min_notional=Decimal(100),
    venue_asset_id="0x030501",
)


def main() -> None:
    codec = Codec()
    writer = OrderWriter(
        signer=Signer(Secret(KEY), 326),
        sub_account_id="1234567890123456",
        chain_id=326,
        codec=codec,
        clock=WallClock(),
        nonce_seed=1,
        lives=Lives(),
    )
    form, encode = codec.form(CreateRequest), codec.encode
    orders = [
        NewOrder(
            client_order_id=ClientOrderId((1 << 63) + at),
            account=AccountId("main"),
            strategy=StrategyId("benchmark"),
            instrument=INSTRUMENT.instrument_id,
            side=Side.BUY,
            px=Decimal("60000.0") + at * INSTRUMENT.tick,
            qty=Decimal("0.010"),
            post_only=True,
        )
        for at in range(1000)
    ]

    def create(number: int) -> bytes:
        """The same steps, in the same order, as the gateway takes (Creates._send, GrvtSocket.request)."""
        signed = writer.write(orders[number % 1000], INSTRUMENT)
        params = encode(form(order=msgspec.Raw(signed.body)))
        return codec.request_head(CREATE_ORDER.method) + params + codec.request_tail(number)

    key = coincurve.PrivateKey(bytes.fromhex(KEY))
    digests = [hashlib.sha256(str(at).encode()).digest() for at in range(1000)]

    def curve(number: int) -> bytes:
        return key.sign_recoverable(digests[number % 1000], hasher=None)

    serve({"create": create, "curve": curve}, sample=create(1).decode())


main()

"""Numbers survive the wire exactly, and the signature covers the numbers that the text shows."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given, settings
from hypothesis import strategies as st

from perpmaker.clock import ManualClock
from perpmaker.errors import DataError
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side, TimeInForce
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.numbers import Steps
from perpmaker.venues.grvt.objects import OrderRequest
from perpmaker.venues.grvt.orders import Lives, OrderWriter
from perpmaker.venues.grvt.signing import SignedTif, Signer
from perpmaker.venues.secret import Secret

KEY = "0x" + "22" * 32
STEPS = st.sampled_from(
    [Decimal(text) for text in ("0.1", "0.01", "0.5", "1", "5", "0.001", "0.00025", "0.000000001", "10")]
)
TYPES = {
    "EIP712Domain": [
        {"name": "name", "type": "string"},
        {"name": "version", "type": "string"},
        {"name": "chainId", "type": "uint256"},
    ],
    "Order": [
        {"name": "subAccountID", "type": "uint64"},
        {"name": "isMarket", "type": "bool"},
        {"name": "timeInForce", "type": "uint8"},
        {"name": "postOnly", "type": "bool"},
        {"name": "reduceOnly", "type": "bool"},
        {"name": "legs", "type": "OrderLeg[]"},
        {"name": "nonce", "type": "uint32"},
        {"name": "expiration", "type": "int64"},
    ],
    "OrderLeg": [
        {"name": "assetID", "type": "uint256"},
        {"name": "contractSize", "type": "uint64"},
        {"name": "limitPrice", "type": "uint64"},
        {"name": "isBuyingContract", "type": "bool"},
    ],
}


@given(STEPS, st.integers(0, 10**12), st.integers(0, 6))
def test_every_multiple_is_read_back_exactly_however_many_zeros_it_is_printed_with(
    step: Decimal, steps: int, zeros: int
) -> None:
    text = f"{step * steps:f}"
    padded = text + (("" if "." in text else ".") + "0" * zeros if zeros else "")
    assert Steps(step, "x")[padded] == steps


@given(STEPS, st.decimals(min_value=0, max_value=10**9, places=9))
def test_a_text_is_read_exactly_or_refused(step: Decimal, value: Decimal) -> None:
    try:
        steps = Steps(step, "x")[f"{value:f}"]
    except DataError:
        assert value % step != 0
    else:
        assert steps * step == value


@settings(max_examples=150, deadline=None)
@given(
    tick=st.sampled_from(["0.1", "0.01", "0.5", "0.00001"]),
    lot=st.sampled_from(["0.001", "0.01", "0.1", "1", "10"]),
    decimals=st.sampled_from([9, 8, 6]),
    ticks=st.integers(1, 10**7),
    lots=st.integers(1, 10**6),
    side=st.sampled_from(list(Side)),
    tif=st.sampled_from(list(TimeInForce)),
    reduce_only=st.booleans(),
    market=st.booleans(),
    sub_account=st.integers(0, 2**64 - 1),
    nonce_seed=st.integers(0, 2**40),
)
def test_an_independent_implementation_recovers_our_signer_from_the_text_we_send(
    tick: str,
    lot: str,
    decimals: int,
    ticks: int,
    lots: int,
    side: Side,
    tif: TimeInForce,
    reduce_only: bool,
    market: bool,
    sub_account: int,
    nonce_seed: int,
) -> None:
    """eth-account rebuilds the typed data from the JSON alone, with decimal arithmetic, and recovers the signer."""
    instrument = Instrument(
        InstrumentId("X_USDT_Perp"), "X_USDT_Perp", "grvt", "X", "USDT", Decimal(tick), Decimal(lot), Decimal(lot),
        Decimal(1), venue_asset_id="0x030501", qty_decimals=decimals,
    )  # fmt: skip
    signer = Signer(Secret(KEY), 326)
    writer = OrderWriter(
        signer=signer, sub_account_id=str(sub_account), chain_id=326, codec=Codec(), clock=ManualClock(),
        nonce_seed=nonce_seed, lives=Lives(),
    )  # fmt: skip
    order = NewOrder(
        client_order_id=ClientOrderId(1),
        account=AccountId("a"),
        strategy=StrategyId("s"),
        instrument=instrument.instrument_id,
        side=side,
        px=None if market else instrument.px(ticks),
        qty=instrument.qty(lots),
        tif=tif,
        reduce_only=reduce_only,
    )
    sent = msgspec.json.decode(writer.write(order, instrument).body, type=OrderRequest)
    leg, signature = sent.legs[0], sent.signature
    assert Decimal(leg.size) == order.qty
    assert leg.limit_price is None if market else Decimal(str(leg.limit_price)) == order.px
    typed = {
        "types": TYPES,
        "primaryType": "Order",
        "domain": {"name": "GRVT Exchange", "version": "0", "chainId": 326},
        "message": {
            "subAccountID": int(sent.sub_account_id),
            "isMarket": sent.is_market,
            "timeInForce": int(SignedTif[sent.time_in_force]),
            "postOnly": sent.post_only,
            "reduceOnly": sent.reduce_only,
            "legs": [
                {
                    "assetID": 0x030501,
                    "contractSize": int(Decimal(leg.size) * 10**decimals),
                    "limitPrice": int(Decimal(leg.limit_price or 0) * 10**9),
                    "isBuyingContract": leg.is_buying_asset,
                }
            ],
            "nonce": signature.nonce,
            "expiration": int(signature.expiration),
        },
    }
    vrs = (signature.v, int(signature.r, 16), int(signature.s, 16))
    assert Account.recover_message(encode_typed_data(full_message=typed), vrs=vrs) == signer.address

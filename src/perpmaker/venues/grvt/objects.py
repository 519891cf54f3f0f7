"""GRVT's objects as they travel: the members that perpmaker reads or writes, and no others (unknown ones are ignored).

Protocol page §7 (May 2026). Numbers stay texts here; `parse` makes them exact. Members that live messages were seen
without have a default. Requests name every member they send.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from perpmaker.venues.grvt.lite import lite

NO_ORDER_ID: Final = "0x00"
"""What the venue prints until its engine has given an order an id."""


# What the venue says about the market


@lite("i ih b q k bd ts ms mn mp fi")
class WireInstrument(Struct, frozen=True):
    instrument: str
    instrument_hash: str
    base: str
    quote: str
    kind: str
    base_decimals: int
    tick_size: str
    min_size: str
    min_notional: str
    max_position_size: str | None = None
    funding_interval_hours: int | None = None


@lite("p s")
class WireLevel(Struct, frozen=True, gc=False):
    price: str
    size: str


@lite("et i b a")
class WireBook(Struct, frozen=True, gc=False):
    event_time: str
    instrument: str
    bids: list[WireLevel]
    asks: list[WireLevel]


@lite("et i it s p ti v")
class WireTrade(Struct, frozen=True, gc=False):
    event_time: str
    instrument: str
    is_taker_buyer: bool
    size: str
    price: str
    trade_id: str
    venue: str = "ORDERBOOK"


@lite("et i mp ip lp bb bb1 ba ba1 fr2 nf")
class WireTicker(Struct, frozen=True, gc=False):
    """Ticker and mini ticker, complete or changes: an absent member is unchanged, "0" is zero, "" is now null."""

    event_time: str
    instrument: str
    mark_price: str | None = None
    index_price: str | None = None
    last_price: str | None = None
    best_bid_price: str | None = None
    best_bid_size: str | None = None
    best_ask_price: str | None = None
    best_ask_size: str | None = None
    funding_rate: str | None = None
    """Percentage points for the current interval."""
    next_funding_time: str | None = None


@lite("ot ct o h l c vb t i")
class WireCandle(Struct, frozen=True, gc=False):
    open_time: str
    close_time: str
    open: str
    high: str
    low: str
    close: str
    volume_b: str
    trades: int
    instrument: str


@lite("i fr ft mp fi")
class WireFundingRate(Struct, frozen=True, gc=False):
    instrument: str
    funding_rate: str
    """Percentage points per interval."""
    funding_time: str
    mark_price: str
    funding_interval_hours: int = 0
    """0 in old rows."""


@lite("t nf nc mm im ml")
class WireRiskBracket(Struct, frozen=True, gc=False):
    tier: int
    notional_floor: str
    notional_cap: str | None = None
    maintenance_margin_rate: str = ""
    initial_margin_rate: str = ""
    max_leverage: int = 0


@lite("i s bd")
class WireCurrency(Struct, frozen=True, gc=False):
    id: int
    symbol: str
    balance_decimals: int


# What the venue says about our orders and account


@lite("i s ib lp")
class WireLeg(Struct, frozen=True, gc=False):
    instrument: str
    size: str
    is_buying_asset: bool
    limit_price: str | None = None


@lite("tb tp")
class WirePriceTrigger(Struct, frozen=True, gc=False):
    trigger_by: str | None = "UNSPECIFIED"
    trigger_price: str | None = "0"


@lite("tt t")
class WireTrigger(Struct, frozen=True, gc=False):
    """Live messages of plain orders carry one too: UNSPECIFIED, at "0.0"."""

    trigger_type: str | None = "UNSPECIFIED"
    tpsl: WirePriceTrigger | None = None


@lite("co ct t")
class WireMetadata(Struct, frozen=True, gc=False):
    client_order_id: str
    create_time: str = "0"
    trigger: WireTrigger | None = None


@lite("s rr ts ut af")
class WireOrderState(Struct, frozen=True):
    status: str
    reject_reason: str = "UNSPECIFIED"
    traded_size: list[str] = []
    update_time: str = "0"
    avg_fill_price: list[str] = []


@lite("sa l m s1 oi ro")
class WireOrder(Struct, frozen=True):
    sub_account_id: str
    legs: list[WireLeg]
    metadata: WireMetadata
    state: WireOrderState
    order_id: str = NO_ORDER_ID
    reduce_only: bool = False


@lite("co os oi")
class WireStateChange(Struct, frozen=True):
    """Stream v1.state. It does not say which instrument it is about."""

    client_order_id: str
    order_state: WireOrderState
    order_id: str = NO_ORDER_ID


@lite("co cs r")
class WireCancelOutcome(Struct, frozen=True, gc=False):
    """Stream v1.cancel: what became of a cancel's time-to-live."""

    client_order_id: str
    cancel_status: str
    reason: str = "UNSPECIFIED"


@lite("et sa i ib it s p rp f ti co oi mp fc il ir1")
class WireFill(Struct, frozen=True, gc=False):
    event_time: str
    sub_account_id: str
    instrument: str
    is_buyer: bool
    is_taker: bool
    size: str
    price: str
    realized_pnl: str
    fee: str
    """Negative = rebate, as in the model."""
    trade_id: str
    client_order_id: str
    order_id: str = NO_ORDER_ID
    mark_price: str | None = None
    fee_currency: str = ""
    """Live messages lack it: then it is the quote currency."""
    is_liquidation: bool = False
    is_rpi: bool = False


@lite("et sa i s ep mp up l mt")
class WirePosition(Struct, frozen=True, gc=False):
    event_time: str
    sub_account_id: str
    instrument: str
    size: str
    entry_price: str
    mark_price: str
    unrealized_pnl: str
    leverage: str | None = None
    margin_type: str | None = None


@lite("c b")
class WireSpotBalance(Struct, frozen=True, gc=False):
    currency: str
    balance: str


@lite("et sa sc up te im mm ab sb")
class WireSubAccount(Struct, frozen=True):
    event_time: str
    sub_account_id: str
    settle_currency: str
    unrealized_pnl: str
    total_equity: str
    initial_margin: str
    maintenance_margin: str
    available_balance: str
    spot_balances: list[WireSpotBalance]


@lite("et i c a ti")
class WireFundingPayment(Struct, frozen=True, gc=False):
    event_time: str
    instrument: str
    currency: str
    amount: str
    """Positive = paid by us; the model's sign is the other one."""
    tx_id: str


@lite("i l ml ml1 mt")
class WireLeverage(Struct, frozen=True, gc=False):
    instrument: str
    leverage: str
    min_leverage: str
    max_leverage: str
    margin_type: str = ""


@lite("t ft fm")
class WireTier(Struct, frozen=True, gc=False):
    tier: int
    futures_taker_fee: int
    """Centibeeps: hundredths of a basis point."""
    futures_maker_fee: int


@lite("a")
class WireAck(Struct, frozen=True, gc=False):
    ack: bool


# Money moving in and out: streams only, the client has no route that could move it


@lite("th ta c nt")
class WireDeposit(Struct, frozen=True, gc=False):
    tx_hash: str
    to_account_id: str
    currency: str
    num_tokens: str


@lite("ti fs ts c nt et")
class WireTransfer(Struct, frozen=True, gc=False):
    tx_id: str
    from_sub_account_id: str
    to_sub_account_id: str
    currency: str
    num_tokens: str
    event_time: str


@lite("fa c nt")
class WireWithdrawal(Struct, frozen=True, gc=False):
    from_account_id: str
    currency: str
    num_tokens: str


# What we say


@lite("i s lp ib")
class LegRequest(Struct, frozen=True, gc=False):
    instrument: str
    size: str
    limit_price: str | None
    """null for a market order."""
    is_buying_asset: bool


@lite("s r s1 v e n ci")
class SignatureRequest(Struct, frozen=True, gc=False):
    signer: str
    r: str
    s: str
    v: int
    expiration: str
    nonce: int
    chain_id: str


@lite("tb tp cp is")
class PriceTriggerRequest(Struct, frozen=True, gc=False):
    trigger_by: str
    trigger_price: str
    close_position: bool = False
    """Position-linked ones come from the venue's own web and mobile clients alone (2117)."""
    is_split_position: bool = False


@lite("tt t")
class TriggerRequest(Struct, frozen=True, gc=False):
    trigger_type: str
    tpsl: PriceTriggerRequest


@lite("co t")
class MetadataRequest(Struct, frozen=True, gc=False, omit_defaults=True):
    client_order_id: str
    trigger: TriggerRequest | None = None
    """Not signed. Absent for an order that acts on arrival."""


@lite("sa im ti po ro l s m")
class OrderRequest(Struct, frozen=True):
    """An order as created. No builder, no broker, no referral: those members do not exist here."""

    sub_account_id: str
    is_market: bool
    time_in_force: str
    post_only: bool
    reduce_only: bool
    legs: list[LegRequest]
    signature: SignatureRequest
    metadata: MetadataRequest


# Envelopes


@lite("c m s")
class WireError(Struct, frozen=True, gc=False):
    code: int
    message: str = ""
    status: int = 0


@lite("r e i m s s1 sn f ps c")
class Incoming(Struct, frozen=True):
    """Whatever a JSON-RPC socket can send: an answer, an error without one, or a frame of a stream.

    `jsonrpc` and `method` are not relied on: the one captured answer to a create had neither (protocol page §10.6).
    """

    result: msgspec.Raw = msgspec.Raw(b"")
    error: WireError | None = None
    id: int | None = None
    method: str | None = None
    stream: str | int | None = None
    """In the lite encoding a bare error's status stands under the same key."""
    selector: str = ""
    sequence_number: str | int = ""
    feed: msgspec.Raw = msgspec.Raw(b"")
    prev_sequence_number: str | int = ""
    code: int | None = None


@lite("s s1 sn f ps")
class BookFrame(Struct, frozen=True, gc=False):
    """A frame of book changes, read in one go; an `Incoming` whose feed has been read."""

    stream: str
    selector: str
    sequence_number: str | int
    feed: WireBook
    prev_sequence_number: str | int


@lite("s s1 u ns fs ls")
class SubscribeResult(Struct, frozen=True):
    stream: str = ""
    subs: list[str] = []
    unsubs: list[str] = []
    num_snapshots: list[int] = []
    first_sequence_number: list[str | int] = []
    latest_sequence_number: list[str | int] = []


@lite("s s1")
class SubscribeParams(Struct, frozen=True):
    stream: str
    selectors: list[str]

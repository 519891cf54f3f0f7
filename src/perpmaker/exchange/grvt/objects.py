"""Every object of the protocol page (§7) as a table: full name, lite name, type. Both encodings are made from it.

A line is `full_name lite_name type`. Types: `str`; `dec`, a decimal in natural units, as a string; `u64`, `i64` and `ns`
(UTC nanoseconds), integers as decimal strings; `hex` and `addr`, 0x strings; `int` and `bool`, JSON numbers and
booleans; the name of an enum or of another object; `[]` makes a list. After the type, `?` marks a member that may be
absent, `+` one that clients may leave out but the venue always sends.
"""

from __future__ import annotations

from typing import Final

OBJECTS: Final = """
Order
    order_id oi hex?
    sub_account_id sa u64
    is_market im bool?
    time_in_force ti TimeInForce
    post_only po bool?
    reduce_only ro bool?
    legs l OrderLeg[]
    signature s Signature
    metadata m OrderMetadata
    state s1 OrderState?
    builder b addr+
    builder_fee bf dec+

OrderLeg
    instrument i str
    size s dec
    limit_price lp dec?
    is_buying_asset ib bool

Signature
    signer s hex
    r r str
    s s1 str
    v v int
    expiration e ns
    nonce n int
    chain_id ci u64+

OrderMetadata
    client_order_id co u64+
    create_time ct ns?
    trigger t TriggerOrderMetadata?
    broker b broker?

TriggerOrderMetadata
    trigger_type tt TriggerType
    tpsl t TPSLOrderMetadata+

TPSLOrderMetadata
    trigger_by tb TriggerBy+
    trigger_price tp dec+
    close_position cp bool+
    is_split_position is bool+

OrderState
    status s OrderStatus
    reject_reason rr OrderRejectReason
    book_size bs dec[]
    traded_size ts dec[]
    update_time ut ns
    avg_fill_price af dec[]

OrderStateFeed
    order_id oi hex
    client_order_id co u64
    order_state os OrderState

CancelStatusFeed
    sub_account_id sa u64
    client_order_id co u64
    order_id oi hex
    reason r OrderRejectReason
    update_time ut ns?
    cancel_status cs CancelStatus

Fill
    event_time et ns
    sub_account_id sa u64
    instrument i str
    is_buyer ib bool
    is_taker it bool
    size s dec
    price p dec
    mark_price mp dec?
    index_price ip dec
    interest_rate ir dec
    forward_price fp dec?
    realized_pnl rp dec
    fee f dec
    fee_rate fr dec
    trade_id ti str
    order_id oi hex
    venue v Venue
    is_liquidation il bool
    client_order_id co u64
    signer s1 hex
    broker b broker?
    is_rpi ir1 bool
    builder b1 addr
    builder_fee_rate bf dec
    builder_fee bf1 dec
    fee_currency fc str
    repayment_scenario - str

Positions
    event_time et ns
    sub_account_id sa u64
    instrument i str
    size s dec
    notional n dec
    entry_price ep dec
    exit_price ep1 dec
    mark_price mp dec
    unrealized_pnl up dec
    realized_pnl rp dec
    total_pnl tp dec
    roi r dec
    quote_index_price qi dec
    est_liquidation_price el dec
    leverage l dec
    cumulative_fee cf dec
    cumulative_realized_funding_payment cr dec
    margin_type mt PositionMarginType
    isolated_balance ib dec?
    isolated_im ii dec?
    isolated_mm im dec?

InstrumentDisplay
    instrument i str
    instrument_hash ih hex
    base b str
    quote q str
    kind k Kind
    venues v Venue[]
    settlement_period sp1 InstrumentSettlementPeriod?
    base_decimals bd int
    quote_decimals qd int
    tick_size ts dec
    min_size ms dec
    create_time ct ns
    max_position_size mp dec?
    funding_interval_hours fi int?
    adjusted_funding_rate_cap af dec?
    adjusted_funding_rate_floor af1 dec?
    min_notional mn dec

MiniTicker
    event_time et ns?
    instrument i str?
    mark_price mp dec?
    index_price ip dec?
    last_price lp dec?
    last_size ls dec?
    mid_price mp1 dec?
    best_bid_price bb dec?
    best_bid_size bb1 dec?
    best_ask_price ba dec?
    best_ask_size ba1 dec?

Ticker
    event_time et ns?
    instrument i str?
    mark_price mp dec?
    index_price ip dec?
    last_price lp dec?
    last_size ls dec?
    mid_price mp1 dec?
    best_bid_price bb dec?
    best_bid_size bb1 dec?
    best_ask_price ba dec?
    best_ask_size ba1 dec?
    funding_rate_8h_curr fr dec?
    funding_rate_8h_avg fr1 dec?
    interest_rate ir dec?
    forward_price fp dec?
    buy_volume_24h_b bv dec?
    sell_volume_24h_b sv dec?
    buy_volume_24h_q bv1 dec?
    sell_volume_24h_q sv1 dec?
    high_price hp dec?
    low_price lp1 dec?
    open_price op dec?
    open_interest oi dec?
    long_short_ratio ls1 dec?
    funding_rate fr2 dec?
    next_funding_time nf ns?

OrderbookLevels
    event_time et ns
    instrument i str
    bids b OrderbookLevel[]
    asks a OrderbookLevel[]

OrderbookLevel
    price p dec
    size s dec
    num_orders no int

Trade
    event_time et ns
    instrument i str
    is_taker_buyer it bool
    size s dec
    price p dec
    mark_price mp dec?
    index_price ip dec
    interest_rate ir dec
    forward_price fp dec?
    trade_id ti str
    venue v Venue
    is_rpi ir1 bool

Candlestick
    open_time ot ns
    close_time ct ns
    open o dec
    close c dec
    high h dec
    low l dec
    volume_b vb dec
    volume_q vq dec
    trades t int
    instrument i str

ApiFundingRate
    instrument i str
    funding_rate fr dec
    funding_time ft ns
    mark_price mp dec
    funding_rate_8_h_avg fr1 dec
    funding_interval_hours fi int

SubAccount
    event_time et ns
    sub_account_id sa u64
    margin_type mt MarginType
    settle_currency sc str
    unrealized_pnl up dec
    total_equity te dec
    initial_margin im dec
    maintenance_margin mm dec
    available_balance ab dec
    spot_balances sb SpotBalance[]
    positions p Positions[]
    settle_index_price si dec
    is_vault iv bool?
    vault_im_additions vi dec?
    derisk_margin dm dec
    derisk_to_maintenance_margin_ratio dt dec
    total_cross_equity tc dec
    cross_unrealized_pnl cu dec
    sub_account_mode sa1 SubAccountMode
    margin_balance mb dec

SpotBalance
    currency c str
    balance b dec
    index_price ip dec
    entry_price ep dec
    realized_pnl rp dec
    unrealized_pnl up dec
    available_to_transfer at dec

FundingPayment
    event_time et ns
    sub_account_id sa u64
    instrument i str
    currency c str
    amount a dec
    tx_id ti u64

RiskBracket
    tier t int
    notional_floor nf dec
    notional_cap nc dec?
    maintenance_margin_rate mm dec
    initial_margin_rate im dec
    max_leverage ml int
    cumulative_maintenance_amount cm dec

InitialLeverageResult
    instrument i str
    leverage l dec
    min_leverage ml dec
    max_leverage ml1 dec
    margin_type mt PositionMarginType

CurrencyDetail
    id i int
    symbol s str
    balance_decimals bd int
    quantity_multiplier qm u64

ClientTier
    tier t int
    futures_taker_fee ft int
    futures_maker_fee fm int
    options_taker_fee ot int
    options_maker_fee om int
    spot_taker_fee st int
    spot_maker_fee sm int
    spot_borrow_configs - str[]

ApiPositionHistory
    sub_account_id sa u64
    instrument i str
    open_time ot i64
    status s PositionCloseStatus
    is_long il bool
    margin_type mt PositionMarginType
    close_time ct i64?
    entry_price ep dec
    exit_price ep1 dec
    position_close_mark_price pc dec?
    realized_pnl rp dec
    cumulative_fee cf dec
    cumulative_realized_funding_payment cr dec
    closed_volume_base cv dec
    closed_volume_quote cv1 dec
    max_open_interest_base mo dec
    max_open_interest_quote mo1 dec
    cumulative_initial_margin ci dec
    max_initial_margin mi dec
    leverage l dec
    unrealized_pnl up dec?

Ack
    ack a bool

ApiTransferAck
    ack a bool
    tx_id ti u64

ApiAuthorizedBuilder
    builder_account_id ba addr
    max_futures_fee_rate mf dec
    max_spot_fee_rate ms dec

AggregatedAccountSummary
    main_account_id ma addr
    total_equity te dec
    spot_balances sb SpotBalance[]
    vault_investments vi VaultInvestment[]
    total_sub_account_balance ts dec
    total_sub_account_equity ts1 dec
    total_vault_investments_balance tv dec
    total_sub_account_available_balance ts2 dec
    total_usd_notional_invested tu dec

FundingAccountSummary
    main_account_id ma addr
    total_equity te dec
    spot_balances sb SpotBalance[]
    vault_investments vi VaultInvestment[]
    total_cash_balance tc dec
    total_spot_asset_balance ts dec

VaultInvestment
    vault_id vi u64
    num_lp_tokens nl dec
    share_price sp dec
    usd_notional_invested un dec

SpotSubAccount
    event_time et ns
    sub_account_id sa u64
    total_equity te dec
    spot_balances sb SpotBalance[]

SupportedAsset
    asset_id ai int
    asset_code ac str
    balance_decimals bd int

FuturesWalletAssets
    mode m SubAccountMode
    supported_assets sa SupportedAsset[]

Deposit
    tx_hash th hex
    to_account_id ta addr
    currency c str
    num_tokens nt dec

TransferHistory
    tx_id ti u64
    from_account_id fa addr
    from_sub_account_id fs u64
    to_account_id ta addr
    to_sub_account_id ts u64
    currency c str
    num_tokens nt dec
    signature s Signature
    event_time et ns
    transfer_type tt TransferType
    transfer_metadata tm str
    from_wallet_type fw WalletType
    to_wallet_type tw WalletType

Withdrawal
    from_account_id fa addr
    to_eth_address te addr
    currency c str
    num_tokens nt dec
    signature s Signature

StreamReference
    stream s str
    selectors s1 str[]
"""

"""Every RPC of the protocol page (§5, §6) as a table; REST and the WebSocket RPCs are both driven by it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from perpmaker.exchange.grvt.objects import OBJECTS
from perpmaker.exchange.grvt.schema import Schema, Shape, parse_member, parse_table


class Gateway(enum.Enum):
    MARKET = "market"
    """No login needed."""
    TRADING = "trading"
    """Needs a session."""


class Route(msgspec.Struct, frozen=True):
    """One RPC. `path` is what follows `/full/` or `/lite/`, and the method of its WebSocket form."""

    path: str
    gateway: Gateway
    request: Shape
    reply: Shape
    served: bool
    """False: the route exists at the venue and is answered with 1001 here."""

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


MACROS: Final[Mapping[str, tuple[str, ...]]] = {
    "filters": ("kind k Kind[]?", "base b str[]?", "quote q str[]?"),
    "times": ("start_time st i64?", "end_time et i64?", "limit l int?", "cursor c str?"),
}

TABLE: Final = """
market v1/instrument
    > instrument i str
    < result r InstrumentDisplay
market v1/all_instruments
    > is_active ia bool?
    < result r InstrumentDisplay[]
market v1/instruments
    > *filters
    > is_active ia bool?
    > limit l int?
    < result r InstrumentDisplay[]
market v1/currency
    < result r CurrencyDetail[]
market v1/supported_assets
    < funding f SupportedAsset[]
    < spot s SupportedAsset[]
    < futures f1 FuturesWalletAssets[]
market v1/margin_rules
    > instrument i str
    < instrument i str
    < max_position_size mp dec
    < risk_brackets rb RiskBracket[]
market v1/mini
    > instrument i str
    < result r MiniTicker
market v1/ticker
    > instrument i str
    < result r Ticker
market v1/book
    > instrument i str
    > depth d int
    < result r OrderbookLevels
market v1/trade
    > instrument i str
    > limit l int
    < result r Trade[]
market v1/trade_history
    > instrument i str
    > *times
    < result r Trade[]
    < next n str
market v1/kline
    > instrument i str
    > interval i1 CandlestickInterval
    > type t CandlestickType
    > *times
    < result r Candlestick[]
    < next n str
market v1/funding
    > instrument i str
    > *times
    > agg_type at FundingRateAggregationType?
    < result r ApiFundingRate[]
    < next n str
trading v1/create_order
    > order o Order
    < result r Order
trading v1/cancel_order
    > sub_account_id sa u64
    > order_id oi hex?
    > client_order_id co u64?
    > time_to_live_ms tt u64?
    < result r Ack
trading v1/cancel_all_orders
    > sub_account_id sa u64
    > *filters
    > instrument - str?
    < result r Ack
trading v1/order
    > sub_account_id sa u64
    > order_id oi hex?
    > client_order_id co u64?
    < result r Order
trading v1/open_orders
    > sub_account_id sa u64
    > *filters
    < result r Order[]
trading v1/order_history
    > sub_account_id sa u64
    > *filters
    > *times
    < result r Order[]
    < next n str
trading v1/cancel_on_disconnect
    > sub_account_id sa u64
    > countdown_time|countdown_time_ms ct u64?
    < result r Ack
trading v2/bulk_orders
    > sub_account_id sa u64
    > orders o Order[]?
    > order_i_ds|order_ids oi hex[]?
    > client_order_i_ds|client_order_ids co u64[]?
    > time_to_live_ms tt u64?
    < orders o Order[]
    < cancel_acks ca Ack[]
trading v1/fill_history
    > sub_account_id sa u64
    > *filters
    > instrument - str?
    > *times
    < result r Fill[]
    < next n str
trading v1/funding_payment_history
    > sub_account_id sa u64
    > instrument i str?
    > *filters
    > *times
    < result r FundingPayment[]
    < next n str
trading v1/positions
    > sub_account_id sa u64
    > *filters
    < result r Positions[]
trading v1/position_history
    > sub_account_id sa u64
    > *filters
    > *times
    > status s PositionCloseStatus[]?
    > is_long il bool?
    > is_short is bool?
    > margin_type mt PositionMarginType[]?
    < result r ApiPositionHistory[]
    < next n str
trading v1/set_position_config
    > sub_account_id sa u64
    > instrument i str
    > margin_type mt PositionMarginType
    > leverage l dec
    > signature s Signature
    < ack a bool
trading v1/get_position_margin_limits
    > sub_account_id sa u64
    > instrument i str
    < instrument i str
    < max_addable_amount ma dec
    < max_removable_amount mr dec
trading v1/account_summary
    > sub_account_id sa u64
    < result r SubAccount
trading v1/spot_account_summary
    > sub_account_id sa u64
    < result r SpotSubAccount
trading v1/account_history
    > sub_account_id sa u64
    > *times
    < result r SubAccount[]
    < next n str
trading v1/aggregated_account_summary
    < result r AggregatedAccountSummary
trading v1/funding_account_summary
    < result r FundingAccountSummary
    < tier t ClientTier
trading v1/get_sub_accounts
    < sub_account_ids sa u64[]
trading v1/get_all_initial_leverage
    > sub_account_id sa u64
    < results r InitialLeverageResult[]
trading v1/set_initial_leverage
    > sub_account_id sa u64
    > instrument i str
    > leverage l dec
    < success s bool
trading v1/get_authorized_builders
    < results r ApiAuthorizedBuilder[]
trading v1/authorize_builder
    > main_account_id ma addr
    > builder_account_id ba addr
    > max_futures_fee_rate mf dec
    > max_spot_fee_rate ms dec
    > signature s Signature
    < result r ApiTransferAck
refused v1/set_sub_account_mode
refused v1/add_position_margin
refused v1/set_derisk_mm_ratio
refused v1/deposit_history
refused v1/transfer
refused v1/transfer_history
refused v1/withdrawal
refused v1/withdrawal_history
refused v1/builder_fill_history
refused v1/vault_invest
refused v1/vault_burn_tokens
refused v1/vault_redeem
refused v1/vault_redeem_cancel
refused v1/vault_view_redemption_queue
refused v1/vault_investor_summary
refused v1/vault_manager_investor_history
"""
"""`>` members of the request, `<` of the reply, in the form of `objects`; `a|b` is a second spelling clients use, lite
name `-` a member that only exists in the full encoding. `authorize_builder` has no published lite names; its own follow
the rule of the other routes."""


def parse_routes(text: str) -> dict[str, Route]:
    """Read the table; keys are paths."""
    routes: dict[str, Route] = {}
    head, sides = "", {">": [""], "<": [""]}
    for line in [*text.strip().splitlines(), "end end"]:
        mark, _, rest = line.strip().partition(" ")
        if mark in sides:
            sides[mark] += MACROS[rest[1:]] if rest.startswith("*") else [rest]
            continue
        if head:
            kind, path = head.split()
            request, reply = (tuple(parse_member(row) for row in sides[side] if row) for side in "><")
            gateway = Gateway.MARKET if kind == "market" else Gateway.TRADING
            routes[path] = Route(path=path, gateway=gateway, request=request, reply=reply, served=kind != "refused")
        head, sides = line, {">": [], "<": []}
    return routes


ROUTES: Final = parse_routes(TABLE)
SCHEMA: Final = Schema(parse_table(OBJECTS))

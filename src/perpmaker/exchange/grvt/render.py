"""The core's views as messages of the protocol: full names, decimals and 64-bit integers as strings (protocol page §2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from perpmaker.exchange.core.amounts import decimal_text, percent_text
from perpmaker.exchange.core.book import BookChanges
from perpmaker.exchange.core.instruments import Instrument, RiskBracket
from perpmaker.exchange.core.types import (
    AccountView,
    BookLevel,
    BookSnapshot,
    CancelStatusUpdated,
    Candle,
    Fill,
    FundingPayment,
    FundingRate,
    LeverageView,
    OrderState,
    OrderView,
    PositionHistoryRow,
    PositionView,
    Side,
    TickerView,
    Trade,
    Trigger,
)
from perpmaker.exchange.grvt.schema import Message

ZERO: Final = "0.0"
INDEX_OF_QUOTE: Final = "1.0"
"""USD price of the settle currency; the exchange keeps USDT at one dollar."""
UNTRIGGERED: Final = {
    "trigger_type": "UNSPECIFIED",
    "tpsl": {
        "trigger_by": "UNSPECIFIED",
        "trigger_price": ZERO,
        "close_position": False,
        "is_split_position": False,
    },
}


def order_message(view: OrderView, instrument: Instrument) -> Message:
    terms = view.terms
    signature = terms.signature
    return {
        "order_id": view.order_id,
        "sub_account_id": str(terms.sub_account_id),
        "is_market": terms.is_market,
        "time_in_force": terms.time_in_force.name,
        "post_only": terms.post_only,
        "reduce_only": terms.reduce_only,
        "legs": [
            {
                "instrument": terms.instrument,
                "size": instrument.qty_text(terms.qty_lots),
                "limit_price": instrument.px_text(terms.px_ticks),
                "is_buying_asset": terms.side is Side.BUY,
            }
        ],
        "signature": {
            "signer": signature.signer,
            "r": signature.r,
            "s": signature.s,
            "v": signature.v,
            "expiration": str(signature.expiration_ns),
            "nonce": signature.nonce,
            "chain_id": signature.chain_id,
        },
        "metadata": {
            "client_order_id": str(terms.client_order_id),
            "create_time": str(terms.create_ns),
            "trigger": UNTRIGGERED if terms.trigger is None else trigger_message(terms.trigger, instrument),
            "broker": terms.broker,
        },
        "state": order_state_message(view.state, instrument),
        "builder": terms.builder,
        "builder_fee": percent_text(terms.builder_fee_cb),
    }


def trigger_message(trigger: Trigger, instrument: Instrument) -> Message:
    return {
        "trigger_type": trigger.kind.name,
        "tpsl": {
            "trigger_by": trigger.by.name,
            "trigger_price": instrument.px_text(trigger.px_ticks),
            "close_position": False,
            "is_split_position": False,
        },
    }


def order_state_message(state: OrderState, instrument: Instrument) -> Message:
    return {
        "status": state.status.name,
        "reject_reason": state.reason.name,
        "book_size": [instrument.qty_text(state.book_lots)],
        "traded_size": [instrument.qty_text(state.traded_lots)],
        "update_time": str(state.update_ns),
        "avg_fill_price": [decimal_text(state.avg_px_nano)],
    }


def state_feed_message(view: OrderView, instrument: Instrument) -> Message:
    return {
        "order_id": view.order_id,
        "client_order_id": str(view.terms.client_order_id),
        "order_state": order_state_message(view.state, instrument),
    }


def cancel_status_message(event: CancelStatusUpdated) -> Message:
    return {
        "sub_account_id": str(event.sub_account_id),
        "client_order_id": str(event.client_order_id),
        "order_id": "0x00",
        "reason": event.reason.name,
        "update_time": str(event.event_ns),
        "cancel_status": event.status.name,
    }


def fill_message(fill: Fill, instrument: Instrument) -> Message:
    return {
        "event_time": str(fill.event_ns),
        "sub_account_id": str(fill.sub_account_id),
        "instrument": fill.instrument,
        "is_buyer": fill.side is Side.BUY,
        "is_taker": fill.is_taker,
        "size": instrument.qty_text(fill.qty_lots),
        "price": instrument.px_text(fill.px_ticks),
        "mark_price": decimal_text(fill.mark_nano),
        "index_price": decimal_text(fill.index_nano),
        "interest_rate": ZERO,
        "forward_price": ZERO,
        "realized_pnl": decimal_text(fill.realized_pnl_nano),
        "fee": decimal_text(fill.fee_nano),
        "fee_rate": percent_text(fill.fee_rate_cb),
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "venue": "ORDERBOOK",
        "is_liquidation": False,
        "client_order_id": str(fill.client_order_id),
        "signer": fill.signer,
        "broker": fill.broker,
        "is_rpi": fill.is_rpi,
        "builder": fill.builder,
        "builder_fee_rate": percent_text(fill.builder_fee_rate_cb),
        "builder_fee": decimal_text(fill.builder_fee_nano),
        "fee_currency": instrument.quote,
        "repayment_scenario": "UNSPECIFIED",  # newer than the protocol page; public clients ask for it
    }


def position_message(view: PositionView, instrument: Instrument) -> Message:
    return {
        "event_time": str(view.event_ns),
        "sub_account_id": str(view.sub_account_id),
        "instrument": view.instrument,
        "size": instrument.qty_text(view.qty_lots),
        "notional": decimal_text(view.notional_nano),
        "entry_price": decimal_text(view.entry_px_nano),
        "exit_price": decimal_text(view.exit_px_nano),
        "mark_price": decimal_text(view.mark_nano),
        "unrealized_pnl": decimal_text(view.unrealized_pnl_nano),
        "realized_pnl": decimal_text(view.realized_pnl_nano),
        "total_pnl": decimal_text(view.total_pnl_nano),
        "roi": percent_text(view.roi_cb),
        "quote_index_price": INDEX_OF_QUOTE,
        "est_liquidation_price": decimal_text(view.est_liquidation_px_nano),
        "leverage": decimal_text(view.leverage_e6, 6),
        "cumulative_fee": decimal_text(view.cumulative_fee_nano),
        "cumulative_realized_funding_payment": decimal_text(view.cumulative_funding_nano),
        "margin_type": view.margin_type.name,
    }


def position_history_message(row: PositionHistoryRow, instrument: Instrument) -> Message:
    message = {
        "sub_account_id": str(row.sub_account_id),
        "instrument": row.instrument,
        "open_time": str(row.open_ns),
        "status": row.status.name,
        "is_long": row.is_long,
        "margin_type": row.margin_type.name,
        "close_time": str(row.close_ns),
        "entry_price": decimal_text(row.entry_px_nano),
        "exit_price": decimal_text(row.exit_px_nano),
        "realized_pnl": decimal_text(row.realized_pnl_nano),
        "cumulative_fee": decimal_text(row.cumulative_fee_nano),
        "cumulative_realized_funding_payment": decimal_text(row.cumulative_funding_nano),
        "closed_volume_base": instrument.qty_text(row.closed_lots),
        "closed_volume_quote": decimal_text(row.closed_quote_nano),
        "max_open_interest_base": instrument.qty_text(row.max_lots),
        "max_open_interest_quote": decimal_text(row.max_notional_nano),
        "cumulative_initial_margin": decimal_text(row.cumulative_initial_margin_nano),
        "max_initial_margin": decimal_text(row.max_initial_margin_nano),
        "leverage": decimal_text(row.leverage_e6, 6),
    }
    if row.close_mark_nano is not None:
        message["position_close_mark_price"] = decimal_text(row.close_mark_nano)
    if row.unrealized_pnl_nano is not None:
        message["unrealized_pnl"] = decimal_text(row.unrealized_pnl_nano)
    return message


def sub_account_message(view: AccountView, positions: list[Message]) -> Message:
    equity = decimal_text(view.total_equity_nano)
    return {
        "event_time": str(view.event_ns),
        "sub_account_id": str(view.sub_account_id),
        "margin_type": "SIMPLE_CROSS_MARGIN",
        "settle_currency": view.settle_currency,
        "unrealized_pnl": decimal_text(view.unrealized_pnl_nano),
        "total_equity": equity,
        "initial_margin": decimal_text(view.initial_margin_nano),
        "maintenance_margin": decimal_text(view.maintenance_margin_nano),
        "available_balance": decimal_text(view.available_nano),
        "spot_balances": [spot_balance_message(view)],
        "positions": positions,
        "settle_index_price": INDEX_OF_QUOTE,
        "is_vault": False,
        "derisk_margin": decimal_text(view.maintenance_margin_nano),
        "derisk_to_maintenance_margin_ratio": "1.0",
        "total_cross_equity": equity,
        "cross_unrealized_pnl": decimal_text(view.unrealized_pnl_nano),
        "sub_account_mode": "SINGLE_ASSET_MODE",
        "margin_balance": equity,
    }


def spot_balance_message(view: AccountView) -> Message:
    return {
        "currency": view.settle_currency,
        "balance": decimal_text(view.balance_nano),
        "index_price": INDEX_OF_QUOTE,
        "entry_price": INDEX_OF_QUOTE,
        "realized_pnl": ZERO,
        "unrealized_pnl": ZERO,
        "available_to_transfer": decimal_text(max(0, min(view.balance_nano, view.available_nano))),
    }


def funding_payment_message(payment: FundingPayment) -> Message:
    return {
        "event_time": str(payment.event_ns),
        "sub_account_id": str(payment.sub_account_id),
        "instrument": payment.instrument,
        "currency": payment.currency,
        "amount": decimal_text(payment.amount_nano),
        "tx_id": str(payment.tx_id),
    }


def leverage_message(view: LeverageView) -> Message:
    return {
        "instrument": view.instrument,
        "leverage": decimal_text(view.leverage_e6, 6),
        "min_leverage": decimal_text(view.min_leverage_e6, 6),
        "max_leverage": decimal_text(view.max_leverage_e6, 6),
        "margin_type": view.margin_type.name,
    }


def instrument_message(instrument: Instrument) -> Message:
    return {
        "instrument": instrument.name,
        "instrument_hash": instrument.hash_text,
        "base": instrument.base,
        "quote": instrument.quote,
        "kind": instrument.kind.name,
        "venues": ["ORDERBOOK"],
        "settlement_period": "PERPETUAL",
        "base_decimals": instrument.base_decimals,
        "quote_decimals": instrument.quote_decimals,
        "tick_size": decimal_text(instrument.tick_nano),
        "min_size": decimal_text(instrument.lot_nano),
        "create_time": str(instrument.create_ns),
        "max_position_size": instrument.qty_text(instrument.max_position_lots),
        "funding_interval_hours": instrument.funding_interval_hours,
        "adjusted_funding_rate_cap": percent_text(instrument.funding_cap_cb),
        "adjusted_funding_rate_floor": percent_text(instrument.funding_floor_cb),
        "min_notional": decimal_text(instrument.min_notional_nano),
    }


def risk_bracket_message(bracket: RiskBracket) -> Message:
    message: Message = {
        "tier": bracket.tier,
        "notional_floor": decimal_text(bracket.floor_nano),
        "maintenance_margin_rate": decimal_text(bracket.maintenance_rate_cb, 6),
        "initial_margin_rate": decimal_text(bracket.initial_rate_cb, 6),
        "max_leverage": bracket.max_leverage,
        "cumulative_maintenance_amount": decimal_text(bracket.cumulative_nano),
    }
    if bracket.cap_nano is not None:
        message["notional_cap"] = decimal_text(bracket.cap_nano)
    return message


def mini_ticker_message(view: TickerView, instrument: Instrument) -> Message:
    """All members; one without a value yet is 0, as `""` (now null) means something in delta streams only."""

    def px(ticks: int | None) -> str:
        return ZERO if ticks is None else instrument.px_text(ticks)

    def qty(lots: int | None) -> str:
        return ZERO if lots is None else instrument.qty_text(lots)

    return {
        "event_time": str(view.event_ns),
        "instrument": view.instrument,
        "mark_price": decimal_text(view.mark_nano),
        "index_price": decimal_text(view.index_nano),
        "last_price": px(view.last_px_ticks),
        "last_size": qty(view.last_lots),
        "mid_price": ZERO if view.mid_nano is None else decimal_text(view.mid_nano),
        "best_bid_price": px(view.best_bid_ticks),
        "best_bid_size": qty(view.best_bid_lots),
        "best_ask_price": px(view.best_ask_ticks),
        "best_ask_size": qty(view.best_ask_lots),
    }


def ticker_message(view: TickerView, instrument: Instrument) -> Message:
    funding = percent_text(view.funding_rate_cb)
    last = ZERO if view.last_px_ticks is None else instrument.px_text(view.last_px_ticks)

    def day(ticks: int | None) -> str:
        return last if ticks is None else instrument.px_text(ticks)

    return mini_ticker_message(view, instrument) | {
        "funding_rate_8h_curr": funding,
        "funding_rate_8h_avg": funding,
        "interest_rate": ZERO,
        "forward_price": ZERO,
        "buy_volume_24h_b": instrument.qty_text(view.buy_volume_24h_lots),
        "sell_volume_24h_b": instrument.qty_text(view.sell_volume_24h_lots),
        "buy_volume_24h_q": decimal_text(view.buy_volume_24h_nano),
        "sell_volume_24h_q": decimal_text(view.sell_volume_24h_nano),
        "high_price": day(view.high_ticks),
        "low_price": day(view.low_ticks),
        "open_price": day(view.open_ticks),
        "open_interest": instrument.qty_text(view.open_interest_lots),
        "long_short_ratio": decimal_text(view.long_short_ratio_e4, 4),
        "funding_rate": funding,
        "next_funding_time": str(view.next_funding_ns),
    }


def book_message(book: BookSnapshot | BookChanges, instrument: Instrument, event_ns: int) -> Message:
    return {
        "event_time": str(event_ns),
        "instrument": instrument.name,
        "bids": level_messages(book.bids, instrument),
        "asks": level_messages(book.asks, instrument),
    }


def level_messages(levels: Sequence[BookLevel], instrument: Instrument) -> list[Message]:
    """Levels as given; one that is gone has size "0" (protocol page §10.4)."""
    return [
        {
            "price": instrument.px_text(level.px_ticks),
            "size": instrument.qty_text(level.qty_lots) if level.qty_lots else "0",
            "num_orders": level.num_orders,
        }
        for level in levels
    ]


def trade_message(trade: Trade, instrument: Instrument) -> Message:
    return {
        "event_time": str(trade.event_ns),
        "instrument": trade.instrument,
        "is_taker_buyer": trade.is_taker_buyer,
        "size": instrument.qty_text(trade.qty_lots),
        "price": instrument.px_text(trade.px_ticks),
        "mark_price": decimal_text(trade.mark_nano),
        "index_price": decimal_text(trade.index_nano),
        "interest_rate": ZERO,
        "forward_price": ZERO,
        "trade_id": trade.trade_id,
        "venue": "ORDERBOOK",
        "is_rpi": trade.is_rpi,
    }


def candle_message(candle: Candle, instrument: Instrument) -> Message:
    return {
        "open_time": str(candle.open_ns),
        "close_time": str(candle.close_ns),
        "open": decimal_text(candle.open_nano),
        "close": decimal_text(candle.close_nano),
        "high": decimal_text(candle.high_nano),
        "low": decimal_text(candle.low_nano),
        "volume_b": instrument.qty_text(candle.volume_lots),
        "volume_q": decimal_text(candle.volume_nano),
        "trades": candle.trades,
        "instrument": candle.instrument,
    }


def funding_rate_message(rate: FundingRate) -> Message:
    percent = percent_text(rate.rate_cb)
    return {
        "instrument": rate.instrument,
        "funding_rate": percent,
        "funding_time": str(rate.funding_ns),
        "mark_price": decimal_text(rate.mark_nano),
        "funding_rate_8_h_avg": percent,
        "funding_interval_hours": rate.interval_hours,
    }

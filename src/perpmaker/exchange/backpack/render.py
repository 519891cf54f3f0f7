"""The core's views as this venue's messages: decimals as text, rates as fractions (protocol page §2, §4, §5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from perpmaker.exchange.backpack.requests import SELF_TRADES, client_id_of
from perpmaker.exchange.core.amounts import decimal_text, div_half_even
from perpmaker.exchange.core.fees import RATE_ONE_CB
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.types import (
    NANO,
    AccountView,
    BookLevel,
    Candle,
    Fill,
    FundingPayment,
    FundingRate,
    Kind,
    OrderRejectReason,
    OrderStatus,
    OrderView,
    PositionView,
    Side,
    TickerView,
    TimeInForce,
    Trade,
)
from perpmaker.model.units import NS_PER_MS

Message = dict[str, Any]
ZERO: Final = "0"
US_NS: Final = 1_000
_TIF: Final = {
    TimeInForce.GOOD_TILL_TIME: "GTC",
    TimeInForce.IMMEDIATE_OR_CANCEL: "IOC",
    TimeInForce.FILL_OR_KILL: "FOK",
}
_STP: Final = {value: name for name, value in SELF_TRADES.items()}
_ENDED_BY_ITSELF: Final = frozenset(
    {
        OrderRejectReason.IOC_CANCEL,
        OrderRejectReason.FOK_CANCEL,
        OrderRejectReason.MARKET_CANCEL,
        OrderRejectReason.EXPIRED,
    }
)


def side_text(side: Side) -> str:
    return "Bid" if side is Side.BUY else "Ask"


def fraction_text(rate_cb: int) -> str:
    """A rate in centibeeps as a fraction: 125 is "0.000125"."""
    return decimal_text(rate_cb, 6)


def iso_text(time_ns: int) -> str:
    """A time as histories print it: ISO, in milliseconds, no zone, UTC."""
    return _at(time_ns).isoformat(timespec="milliseconds")


def status_text(view: OrderView) -> str:
    """An order that ended by its own terms expired, any other that ended unfilled was cancelled [guess]."""
    match view.state.status:
        case OrderStatus.FILLED:
            return "Filled"
        case OrderStatus.CANCELLED | OrderStatus.REJECTED:
            return "Expired" if view.state.reason in _ENDED_BY_ITSELF else "Cancelled"
    return "PartiallyFilled" if view.state.traded_lots else "New"


def order_message(view: OrderView, instrument: Instrument, *, created_iso: bool = False) -> Message:
    terms, state = view.terms, view.state
    created = iso_text(terms.create_ns) if created_iso else terms.create_ns // NS_PER_MS
    return {
        "id": view.order_id,
        "clientId": client_id_of(terms.client_order_id),
        "symbol": terms.instrument,
        "side": side_text(terms.side),
        "orderType": "Market" if terms.is_market else "Limit",
        "price": None if terms.is_market else instrument.px_text(terms.px_ticks),
        "quantity": instrument.qty_text(terms.qty_lots),
        "executedQuantity": instrument.qty_text(state.traded_lots),
        "executedQuoteQuantity": decimal_text(instrument.notional_nano(state.avg_px_nano, state.traded_lots)),
        "status": status_text(view),
        "timeInForce": _TIF[terms.time_in_force],
        "postOnly": terms.post_only,
        "reduceOnly": terms.reduce_only,
        "selfTradePrevention": _STP[terms.self_trade],
        "createdAt": created,
        "triggerPrice": None,
        "triggerQuantity": None,
        "systemOrderType": None,
    }


def fill_message(fill: Fill, instrument: Instrument) -> Message:
    return {
        "tradeId": int(fill.trade_id),
        "orderId": fill.order_id,
        "clientId": client_id_of(fill.client_order_id),
        "symbol": fill.instrument,
        "side": side_text(fill.side),
        "price": instrument.px_text(fill.px_ticks),
        "quantity": instrument.qty_text(fill.qty_lots),
        "fee": decimal_text(fill.fee_nano),
        "feeSymbol": instrument.quote,
        "isMaker": not fill.is_taker,
        "timestamp": iso_text(fill.event_ns),
        "systemOrderType": None,
    }


def position_message(view: PositionView, instrument: Instrument) -> Message:
    function = margin_functions(instrument)
    return {
        "symbol": view.instrument,
        "netQuantity": instrument.qty_text(view.qty_lots),
        "netExposureQuantity": instrument.qty_text(abs(view.qty_lots)),
        "netExposureNotional": decimal_text(abs(view.notional_nano)),
        "netCost": decimal_text(instrument.notional_nano(view.entry_px_nano, view.qty_lots)),
        "entryPrice": decimal_text(view.entry_px_nano),
        "breakEvenPrice": decimal_text(break_even_nano(view, instrument)),
        "markPrice": decimal_text(view.mark_nano),
        "pnlRealized": decimal_text(view.realized_pnl_nano),
        "pnlUnrealized": decimal_text(view.unrealized_pnl_nano),
        "cumulativeFundingPayment": decimal_text(-view.cumulative_funding_nano),
        "cumulativeInterest": ZERO,
        "estLiquidationPrice": decimal_text(view.est_liquidation_px_nano),
        "imf": initial_fraction(view),
        "mmf": fraction_text(instrument.brackets[0].maintenance_rate_cb),
        **function,
        "positionId": position_id(view, instrument),
        "userId": view.sub_account_id,
        "subaccountId": None,
    }


def break_even_nano(view: PositionView, instrument: Instrument) -> int:
    """The price at which closing leaves nothing gained or lost since the position was opened, before closing fees."""
    if not view.qty_lots:
        return 0
    owed = view.cumulative_fee_nano + view.cumulative_funding_nano - view.realized_pnl_nano
    side = 1 if view.qty_lots > 0 else -1
    return view.entry_px_nano + side * div_half_even(owed * NANO, abs(view.qty_lots) * instrument.lot_nano)


def initial_fraction(view: PositionView) -> str:
    return decimal_text(div_half_even(RATE_ONE_CB * 1_000_000, view.leverage_e6), 6)


def position_id(view: PositionView, instrument: Instrument) -> str:
    return str(view.sub_account_id * 1_000 + instrument.asset_id)


def capital_message(view: AccountView) -> Message:
    """`available` and `locked` add up to the balance; locked is what positions and orders need."""
    locked = min(view.initial_margin_nano, max(view.balance_nano, 0))
    return {
        view.settle_currency: {
            "available": decimal_text(view.balance_nano - locked),
            "locked": decimal_text(locked),
            "staked": ZERO,
        }
    }


def collateral_message(view: AccountView) -> Message:
    equity = decimal_text(view.total_equity_nano)
    notional = sum(abs(position.notional_nano) for position in view.positions)
    return {
        "netEquity": equity,
        "netEquityAvailable": decimal_text(max(0, view.available_nano)),
        "netEquityLocked": decimal_text(view.initial_margin_nano),
        "netExposureFutures": decimal_text(notional),
        "assetsValue": decimal_text(view.balance_nano),
        "borrowLiability": ZERO,
        "liabilitiesValue": ZERO,
        "pnlUnrealized": decimal_text(view.unrealized_pnl_nano),
        "unsettledEquity": ZERO,
        "imf": _share(view.initial_margin_nano, notional),
        "mmf": _share(view.maintenance_margin_nano, notional),
        "marginFraction": _share(view.total_equity_nano, notional) if notional else None,
        "collateral": [
            {
                "symbol": view.settle_currency,
                "assetMarkPrice": "1",
                "totalQuantity": decimal_text(view.balance_nano),
                "balanceNotional": decimal_text(view.balance_nano),
                "collateralWeight": "1",
                "collateralValue": decimal_text(view.balance_nano),
                "openOrderQuantity": ZERO,
                "lendQuantity": ZERO,
                "availableQuantity": decimal_text(max(0, view.available_nano)),
            }
        ],
    }


def funding_payment_message(payment: FundingPayment, rate: FundingRate | None) -> Message:
    """`quantity` is what the account received, below zero what it paid [guess]."""
    return {
        "symbol": payment.instrument,
        "fundingRate": ZERO if rate is None else fraction_text(rate.rate_cb),
        "quantity": decimal_text(-payment.amount_nano),
        "intervalEndTimestamp": iso_text(payment.event_ns),
        "userId": payment.sub_account_id,
        "subaccountId": None,
    }


def market_message(instrument: Instrument, *, is_open: bool) -> Message:
    tick, is_perp = decimal_text(instrument.tick_nano), instrument.kind is Kind.PERPETUAL
    return {
        "symbol": instrument.name,
        "baseSymbol": instrument.base,
        "quoteSymbol": instrument.quote,
        "marketType": "PERP" if is_perp else "SPOT",
        "orderBookState": "Open" if is_open else "Closed",
        "visible": True,
        "createdAt": iso_text(instrument.create_ns),
        "filters": {
            "price": {
                "tickSize": tick,
                "minPrice": tick,
                "maxPrice": None,
                "minMultiplier": None,
                "maxMultiplier": None,
                "minImpactMultiplier": None,
                "maxImpactMultiplier": None,
                "meanMarkPriceBand": None,
                "meanPremiumBand": None,
            },
            "quantity": {
                "minQuantity": instrument.qty_text(instrument.min_lots),
                "maxQuantity": None,
                "stepSize": decimal_text(instrument.lot_nano),
            },
        },
        "fundingInterval": instrument.funding_interval_hours * 3_600_000 if is_perp else None,
        "fundingRateLowerBound": fraction_text(instrument.funding_floor_cb) if is_perp else None,
        "fundingRateUpperBound": fraction_text(instrument.funding_cap_cb) if is_perp else None,
        "openInterestLimit": instrument.qty_text(instrument.max_position_lots) if is_perp else None,
        **(margin_functions(instrument) if is_perp else {"imfFunction": None, "mmfFunction": None}),
    }


def margin_functions(instrument: Instrument) -> Message:
    """One rate for every size: the square root has no weight."""
    bracket = instrument.brackets[0]
    return {
        "imfFunction": {"type": "sqrt", "base": fraction_text(bracket.initial_rate_cb), "factor": ZERO},
        "mmfFunction": {"type": "sqrt", "base": fraction_text(bracket.maintenance_rate_cb), "factor": ZERO},
    }


def ticker_message(view: TickerView, instrument: Instrument, trades: int) -> Message:
    last = view.last_px_ticks or 0
    first = view.open_ticks or last
    change = last - first
    return {
        "symbol": view.instrument,
        "firstPrice": instrument.px_text(first),
        "lastPrice": instrument.px_text(last),
        "high": instrument.px_text(view.high_ticks or last),
        "low": instrument.px_text(view.low_ticks or last),
        "priceChange": instrument.px_text(change),
        "priceChangePercent": decimal_text(div_half_even(change * 1_000_000, first) if first else 0, 6),
        "volume": instrument.qty_text(view.buy_volume_24h_lots + view.sell_volume_24h_lots),
        "quoteVolume": decimal_text(view.buy_volume_24h_nano + view.sell_volume_24h_nano),
        "trades": str(trades),
    }


def mark_message(view: TickerView) -> Message:
    return {
        "symbol": view.instrument,
        "fundingRate": fraction_text(view.funding_rate_cb),
        "indexPrice": decimal_text(view.index_nano),
        "markPrice": decimal_text(view.mark_nano),
        "nextFundingTimestamp": view.next_funding_ns // NS_PER_MS,
    }


def funding_rate_message(rate: FundingRate) -> Message:
    return {
        "symbol": rate.instrument,
        "fundingRate": fraction_text(rate.rate_cb),
        "intervalEndTimestamp": iso_text(rate.funding_ns),
    }


def trade_message(trade: Trade, instrument: Instrument) -> Message:
    return {
        "id": int(trade.trade_id),
        "price": instrument.px_text(trade.px_ticks),
        "quantity": instrument.qty_text(trade.qty_lots),
        "quoteQuantity": decimal_text(trade.px_ticks * trade.qty_lots * instrument.unit_nano),
        "timestamp": trade.event_ns // NS_PER_MS,
        "isBuyerMaker": not trade.is_taker_buyer,
    }


def kline_message(candle: Candle, instrument: Instrument) -> Message:
    return {
        "start": clock_text(candle.open_ns),
        "end": clock_text(candle.close_ns),
        "open": decimal_text(candle.open_nano),
        "high": decimal_text(candle.high_nano),
        "low": decimal_text(candle.low_nano),
        "close": decimal_text(candle.close_nano),
        "volume": instrument.qty_text(candle.volume_lots),
        "quoteVolume": decimal_text(candle.volume_nano),
        "trades": str(candle.trades),
    }


def clock_text(time_ns: int) -> str:
    return _at(time_ns).strftime("%Y-%m-%d %H:%M:%S")


def level_pairs(levels: Sequence[BookLevel], instrument: Instrument) -> list[list[str]]:
    """Levels as given; one that is gone has the quantity "0"."""
    return [
        [instrument.px_text(level.px_ticks), instrument.qty_text(level.qty_lots) if level.qty_lots else ZERO]
        for level in levels
    ]


def _at(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // US_NS / 1e6, UTC).replace(tzinfo=None)


def _share(part_nano: int, whole_nano: int) -> str:
    return decimal_text(div_half_even(part_nano * RATE_ONE_CB, whole_nano), 6) if whole_nano else ZERO

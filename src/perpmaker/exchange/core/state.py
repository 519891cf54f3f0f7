"""The venue's memory outside the process: one JSON document, plus the events that came after it.

Events are enough to rebuild everything about clients, so a face that appends each private event to a file before it shows
it to anybody loses nothing to a kill: `restore_state` takes the last document and those events. Open orders are not
carried over; they end as cancelled with SYSTEM_FAILOVER, but for triggers that did not fire. Instrument modes are not
kept, nor is simulated flow: what it held against the clients is put on one carried-over participant, so that all
positions still sum to zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from perpmaker.errors import DataError
from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.listing import Listing
from perpmaker.exchange.core.orders import order_id_number, payload_of
from perpmaker.exchange.core.pieces import array_pieces, object_pieces, rows_pieces, struct_pieces
from perpmaker.exchange.core.positions import Position
from perpmaker.exchange.core.prices import PricesState
from perpmaker.exchange.core.types import (
    UNASSIGNED_ORDER_ID,
    AccountOpened,
    AccountView,
    Candle,
    CandleInterval,
    CandleType,
    DisconnectArmed,
    Event,
    FeeTier,
    FeeTierSet,
    Fill,
    FillReported,
    FundingPaid,
    FundingPayment,
    FundingRate,
    FundingSettled,
    LeverageSet,
    OrderRejectReason,
    OrderStatus,
    OrderUpdated,
    OrderView,
    PositionHistoryRow,
    Trade,
    TradePrinted,
    Violation,
    ViolationRecorded,
)

SCHEMA_VERSION = 1
_LAST_64_BITS = (1 << 64) - 1


class AccountState(msgspec.Struct, frozen=True):
    owner: str
    main_account: str
    sub_account_id: int
    fees: FeeTier
    leverage_e6: dict[str, int]
    deposits_nano: int
    balance_nano: int
    realized_nano: int
    fees_nano: int
    builder_fees_nano: int
    funding_nano: int
    orders_accepted: int
    fills_dropped: int
    positions: dict[str, dict[str, int]]
    closed_orders: list[OrderView]
    fills: list[Fill]
    payments: list[FundingPayment]
    closed_positions: list[PositionHistoryRow]
    snapshots: list[AccountView]
    disconnect_due_ns: int = 0


class ListingState(msgspec.Struct, frozen=True):
    prices: PricesState
    last_trade: Trade | None
    trades: list[Trade]
    funding: list[FundingRate]
    candles: dict[CandleType, list[tuple[CandleInterval, list[Candle]]]]
    day: list[tuple[int, int, int, int, int, int, int, int]]


class VenueState(msgspec.Struct, frozen=True):
    schema_version: int
    now_ns: int
    orders_numbered: int
    executions_numbered: int
    payments_numbered: int
    fees_collected_nano: int
    funding_collected_nano: int
    accounts: list[AccountState]
    open_orders: list[OrderView]
    listings: dict[str, ListingState]
    violations: list[Violation]


def export_state(floor: Floor) -> Iterator[bytes]:
    """Write the document, piece by piece: it can be many times what lies still. Nothing may happen meanwhile."""
    accounts = floor.accounts.values()
    state = VenueState(
        schema_version=SCHEMA_VERSION,
        now_ns=floor.now_ns,
        orders_numbered=floor.orders_numbered,
        executions_numbered=floor.executions_numbered,
        payments_numbered=floor.payments_numbered,
        fees_collected_nano=floor.fees_collected_nano,
        funding_collected_nano=floor.funding_collected_nano,
        accounts=[],
        open_orders=[order.view() for account in accounts for order in account.active.values()],
        listings={},
        violations=list(floor.violations),
    )
    listings = ((name, _listing_pieces(listing)) for name, listing in floor.listings.items())
    return struct_pieces(
        state,
        {
            "accounts": array_pieces(_account_pieces(account) for account in accounts),
            "listings": object_pieces(listings),
        },
    )


def read_state(state: bytes) -> VenueState | None:
    """Decode a document; None for b"". What cannot be read is a DataError."""
    if not state:
        return None
    try:
        version = msgspec.json.decode(state, type=dict[str, msgspec.Raw]).get("schema_version")
        if version is None or bytes(version) != str(SCHEMA_VERSION).encode():
            raise DataError(f"state: schema_version is {version!r}, only {SCHEMA_VERSION} can be read")
        return msgspec.json.decode(state, type=VenueState)
    except msgspec.DecodeError as error:
        raise DataError(f"state: {error}") from error


def latest_ns(state: VenueState | None, events: Sequence[Event]) -> int:
    """Return the venue's time at the end of a document and the events after it."""
    times = [event.order.state.update_ns for event in events if isinstance(event, OrderUpdated)]
    times += [event.fill.event_ns for event in events if isinstance(event, FillReported)]
    times += [event.rate.funding_ns for event in events if isinstance(event, FundingSettled)]
    times += [event.trade.event_ns for event in events if isinstance(event, TradePrinted)]
    return max(times, default=0) if state is None else max((state.now_ns, *times))


def restore_state(floor: Floor, state: VenueState | None, events: Sequence[Event]) -> list[OrderView]:
    """Load a document and what happened after it into a fresh floor, and close what was left open.

    Return the orders that still wait for their price, oldest first: they are the engine's to resume.
    """
    open_orders: dict[tuple[int, int], OrderView] = {}
    if state is not None:
        _load(floor, state)
        open_orders = {(view.terms.sub_account_id, view.terms.client_order_id): view for view in state.open_orders}
    for event in events:
        apply_event(floor, event)
        if isinstance(event, OrderUpdated):
            _follow(floor, open_orders, event.order)
    waiting = {key: view for key, view in open_orders.items() if _awaits_price(view)}
    for key, view in open_orders.items():
        if key not in waiting:
            _fail_over(floor, view)
    resumed: list[OrderView] = []
    for view in waiting.values():
        if _lost_counterpart(view, waiting) or _lost_parent(floor, view):
            _fail_over(floor, view)
        else:
            resumed.append(_without_parent(floor, view))
    _carry_over(floor)
    return resumed


def apply_event(floor: Floor, event: Event) -> None:
    """Do to accounts and listings what the event says was done; order updates and views of a moment change nothing."""
    match event:
        case AccountOpened():
            account = Account(
                owner=event.owner,
                main_account=event.main_account,
                sub_account_id=event.sub_account_id,
                deposit_nano=event.deposit_nano,
                fees=event.fees,
                limits=floor.limits,
            )
            floor.accounts[event.sub_account_id] = account
        case FeeTierSet():
            floor.accounts[event.sub_account_id].fees = event.fees
        case DisconnectArmed():
            floor.accounts[event.sub_account_id].disconnect_due_ns = event.due_ns
        case LeverageSet():
            floor.accounts[event.sub_account_id].leverage_e6[event.instrument] = event.leverage_e6
        case FillReported(fill):
            _apply_fill(floor, fill)
        case FundingPaid(payment):
            floor.accounts[payment.sub_account_id].book_funding(payment)
            floor.payments_numbered = max(floor.payments_numbered, payment.tx_id)
            floor.funding_collected_nano += payment.amount_nano
        case FundingSettled(rate):
            floor.listings[rate.instrument].funding.append(rate)
        case TradePrinted(trade):
            floor.listings[trade.instrument].record(trade)
            floor.executions_numbered = max(floor.executions_numbered, int(trade.trade_id.split("-")[0]))
        case ViolationRecorded(violation):
            floor.violations.append(violation)
        case _:
            pass


def _apply_fill(floor: Floor, fill: Fill) -> None:
    account = floor.accounts[fill.sub_account_id]
    realized = account.book_execution(
        floor.listings[fill.instrument].instrument,
        fill.side,
        fill.qty_lots,
        fill.px_ticks,
        fee_nano=fill.fee_nano,
        builder_fee_nano=fill.builder_fee_nano,
        mark_nano=fill.mark_nano,
        now_ns=fill.event_ns,
    )
    if realized != fill.realized_pnl_nano:
        raise DataError(f"state: fill {fill.trade_id} realised {fill.realized_pnl_nano} nano, replayed {realized}")
    account.fills.append(fill)
    floor.executions_numbered = max(floor.executions_numbered, int(fill.trade_id.split("-")[0]))
    floor.fees_collected_nano += fill.fee_nano + fill.builder_fee_nano


def _follow(floor: Floor, open_orders: dict[tuple[int, int], OrderView], view: OrderView) -> None:
    """Keep track of which orders are active while events are applied."""
    account = floor.accounts[view.terms.sub_account_id]
    key = view.terms.sub_account_id, view.terms.client_order_id
    floor.orders_numbered = max(floor.orders_numbered, _order_count(view.order_id, plain=floor.limits.plain_ids))
    if key not in open_orders:
        account.orders_accepted += 1
        account.first_use(payload_of(view.terms))
    if view.state.status in {OrderStatus.PENDING, OrderStatus.OPEN}:
        open_orders[key] = view
    else:
        open_orders.pop(key, None)
        account.keep_closed_order(view)


def _order_count(order_id: str, *, plain: bool) -> int:
    """How many orders were numbered up to this one."""
    if plain:
        return int(order_id) if order_id != UNASSIGNED_ORDER_ID else 0
    return (order_id_number(order_id) or 0) & _LAST_64_BITS


def _awaits_price(view: OrderView) -> bool:
    return view.state.status is OrderStatus.OPEN and view.terms.trigger is not None and not view.state.fired_ns


def _lost_counterpart(view: OrderView, waiting: dict[tuple[int, int], OrderView]) -> bool:
    """Whether the other one of a pair is gone, its last event being all that was written before the kill."""
    trigger = view.terms.trigger
    if trigger is None or not trigger.counterpart:
        return False
    return (view.terms.sub_account_id, trigger.counterpart) not in waiting


def _lost_parent(floor: Floor, view: OrderView) -> bool:
    """Whether the order that a trigger waits for ended without a trade, at the latest by this restart."""
    trigger = view.terms.trigger
    if trigger is None or not trigger.parent:
        return False
    parent = floor.accounts[view.terms.sub_account_id].closed_order(number=None, client_order_id=trigger.parent)
    return parent is None or not parent.state.traded_lots


def _without_parent(floor: Floor, view: OrderView) -> OrderView:
    """The same order, which looks at its price from now on; told if it did not before."""
    trigger = view.terms.trigger
    if trigger is None or not trigger.parent:
        return view
    terms = msgspec.structs.replace(view.terms, trigger=msgspec.structs.replace(trigger, parent=0))
    woken = OrderView(view.order_id, terms, msgspec.structs.replace(view.state, update_ns=floor.now_ns))
    floor.events.append(OrderUpdated(woken))
    return woken


def _fail_over(floor: Floor, view: OrderView) -> None:
    ended = msgspec.structs.replace(
        view.state,
        status=OrderStatus.CANCELLED,
        reason=OrderRejectReason.SYSTEM_FAILOVER,
        book_lots=0,
        update_ns=floor.now_ns,
    )
    closed = OrderView(view.order_id, view.terms, ended)
    floor.accounts[view.terms.sub_account_id].keep_closed_order(closed)
    floor.events.append(OrderUpdated(closed))


def _carry_over(floor: Floor) -> None:
    """Give the first participant the other side of everything the clients did."""
    carried = floor.participants[0]
    accounts = floor.accounts.values()
    for name, listing in floor.listings.items():
        lots = [account.lots_in(name) for account in accounts]
        carried.lots[listing.index] = -sum(lots)
        listing.open_interest_lots = sum(max(held, 0) for held in (*lots, -sum(lots)))
    entered = sum(position.cost_nano for account in accounts for position in account.positions.values())
    carried.cash_nano = entered - sum(account.realized_nano for account in accounts)


def _load(floor: Floor, state: VenueState) -> None:
    floor.orders_numbered = state.orders_numbered
    floor.executions_numbered = state.executions_numbered
    floor.payments_numbered = state.payments_numbered
    floor.fees_collected_nano = state.fees_collected_nano
    floor.funding_collected_nano = state.funding_collected_nano
    floor.violations.extend(state.violations)
    for saved in state.accounts:
        floor.accounts[saved.sub_account_id] = _account(floor, saved)
    for view in state.open_orders:
        floor.accounts[view.terms.sub_account_id].first_use(payload_of(view.terms))
    for name, market in state.listings.items():
        if name not in floor.listings:
            raise DataError(f"state: instrument {name} is no longer listed; start without --state or list it")
        _load_listing(floor.listings[name], market)


def _account(floor: Floor, saved: AccountState) -> Account:
    account = Account(
        owner=saved.owner,
        main_account=saved.main_account,
        sub_account_id=saved.sub_account_id,
        deposit_nano=saved.deposits_nano,
        fees=saved.fees,
        limits=floor.limits,
    )
    account.leverage_e6.update(saved.leverage_e6)
    account.balance_nano = saved.balance_nano
    account.realized_nano = saved.realized_nano
    account.fees_nano = saved.fees_nano
    account.builder_fees_nano = saved.builder_fees_nano
    account.funding_nano = saved.funding_nano
    account.orders_accepted = saved.orders_accepted
    account.disconnect_due_ns = saved.disconnect_due_ns
    for name, numbers in saved.positions.items():
        if name not in floor.listings:
            raise DataError(f"state: instrument {name} is no longer listed; start without --state or list it")
        account.positions[name] = Position.from_numbers(floor.listings[name].instrument, numbers)
    for view in saved.closed_orders:
        account.keep_closed_order(view)
        account.first_use(payload_of(view.terms))
    account.fills.load(saved.fills, dropped=saved.fills_dropped)
    account.payments.load(saved.payments)
    account.closed_positions.load(saved.closed_positions)
    account.snapshots.load(saved.snapshots)
    return account


def _load_listing(listing: Listing, saved: ListingState) -> None:
    listing.prices.load(saved.prices)
    listing.last_trade = saved.last_trade
    listing.trades.load(saved.trades)
    listing.funding.load(saved.funding)
    listing.day.load(saved.day)
    for kind, rows in saved.candles.items():
        listing.candles[kind].load(rows)


def _account_pieces(account: Account) -> Iterator[bytes]:
    state = AccountState(
        owner=account.owner,
        main_account=account.main_account,
        sub_account_id=account.sub_account_id,
        fees=account.fees,
        leverage_e6=dict(account.leverage_e6),
        deposits_nano=account.deposits_nano,
        balance_nano=account.balance_nano,
        realized_nano=account.realized_nano,
        fees_nano=account.fees_nano,
        builder_fees_nano=account.builder_fees_nano,
        funding_nano=account.funding_nano,
        orders_accepted=account.orders_accepted,
        fills_dropped=account.fills.total - len(account.fills),
        positions={name: position.numbers() for name, position in account.positions.items()},
        closed_orders=[],
        fills=[],
        payments=[],
        closed_positions=[],
        snapshots=[],
        disconnect_due_ns=account.disconnect_due_ns,
    )
    return struct_pieces(
        state,
        {
            "closed_orders": rows_pieces(account.closed_orders.blocks()),
            "fills": rows_pieces(account.fills.blocks()),
            "payments": rows_pieces(account.payments.blocks()),
            "closed_positions": rows_pieces(account.closed_positions.blocks()),
            "snapshots": rows_pieces(account.snapshots.blocks()),
        },
    )


def _listing_pieces(listing: Listing) -> Iterator[bytes]:
    state = ListingState(
        prices=listing.prices.export(),
        last_trade=listing.last_trade,
        trades=[],
        funding=list(listing.funding),
        candles={},
        day=listing.day.rows(),
    )
    candles = (
        (str(kind.value), rows_pieces([row] for row in candles.rows())) for kind, candles in listing.candles.items()
    )
    return struct_pieces(state, {"trades": rows_pieces(listing.trades.blocks()), "candles": object_pieces(candles)})

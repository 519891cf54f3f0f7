"""The exchange's own books as others may audit them: every number a decimal string in natural units."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from perpmaker.exchange.core.accounts import Account
from perpmaker.exchange.core.amounts import decimal_text
from perpmaker.exchange.core.floor import Floor
from perpmaker.exchange.core.instruments import Instrument
from perpmaker.exchange.core.orders import ClientOrder
from perpmaker.exchange.core.pieces import Pieces, array_pieces, rows_pieces, struct_pieces
from perpmaker.exchange.core.positions import Position
from perpmaker.exchange.core.types import Fill, Violation
from perpmaker.exchange.core.views import settle_currency


class LedgerPosition(msgspec.Struct, frozen=True):
    instrument: str
    qty: str
    """Signed, long > 0."""
    entry_px: str
    entry_cost: str
    """Signed as `qty`; exact where `entry_px` is rounded to nine places."""
    realized_pnl: str
    fees: str
    funding: str
    """Positive = paid."""


class LedgerOrder(msgspec.Struct, frozen=True):
    order_id: str
    client_order_id: str
    instrument: str
    side: str
    px: str
    qty: str
    leaves_qty: str
    cum_qty: str
    status: str
    post_only: bool
    reduce_only: bool
    create_ns: str
    awaits: str
    """The price it waits for, outside the book: "STOP_LOSS MARK 59000.0"; "" once it fired and for plain orders."""


class LedgerFill(msgspec.Struct, frozen=True):
    trade_id: str
    order_id: str
    client_order_id: str
    instrument: str
    side: str
    px: str
    qty: str
    fee: str
    builder_fee: str
    realized_pnl: str
    is_taker: bool
    event_ns: str


class LedgerFunding(msgspec.Struct, frozen=True):
    tx_id: str
    instrument: str
    amount: str
    """Positive = paid."""
    event_ns: str


class LedgerViolation(msgspec.Struct, frozen=True):
    reason: str
    instrument: str
    px: str
    event_ns: str
    incoming_order_id: str
    incoming_sub_account_id: str
    incoming_client_order_id: str
    resting_order_id: str
    resting_sub_account_id: str
    resting_client_order_id: str


class LedgerAccount(msgspec.Struct, frozen=True):
    owner: str
    main_account: str
    sub_account_id: str
    currency: str
    deposits: str
    balance: str
    """Deposits + realised PnL - fees - builder fees - funding paid."""
    realized_pnl: str
    fees: str
    builder_fees: str
    funding: str
    """Paid, net."""
    fills_total: int
    """All ever, also those no longer listed."""
    orders_total: int
    positions: tuple[LedgerPosition, ...]
    open_orders: tuple[LedgerOrder, ...]
    """Pending ones included."""
    fills: tuple[LedgerFill, ...]
    """Oldest first."""
    funding_payments: tuple[LedgerFunding, ...]


class Ledger(msgspec.Struct, frozen=True):
    now_ns: str
    accounts: tuple[LedgerAccount, ...]
    violations: tuple[LedgerViolation, ...]


def build_ledger(floor: Floor) -> Ledger:
    """Write the books out as they are now."""
    instruments = _instruments(floor)
    accounts = tuple(
        msgspec.structs.replace(
            _without_fills(account, settle_currency(floor)),
            fills=tuple(_fill(fill, instruments[fill.instrument]) for fill in account.fills),
        )
        for account in floor.accounts.values()
    )
    return Ledger(str(floor.now_ns), accounts, _violations(floor))


def ledger_pieces(floor: Floor) -> dict[str, Pieces]:
    """The members of the ledger as JSON. What they say is of now, however late they are read: fills are written last."""
    instruments, currency = _instruments(floor), settle_currency(floor)

    def written(blocks: Iterator[list[Fill]]) -> Iterator[bytes]:
        return rows_pieces([_fill(fill, instruments[fill.instrument]) for fill in block] for block in blocks)

    accounts = [(_without_fills(account, currency), account.fills.blocks()) for account in floor.accounts.values()]
    return {
        "now_ns": (msgspec.json.encode(str(floor.now_ns)),),
        "accounts": array_pieces(struct_pieces(account, {"fills": written(blocks)}) for account, blocks in accounts),
        "violations": (msgspec.json.encode(_violations(floor)),),
    }


def _instruments(floor: Floor) -> dict[str, Instrument]:
    return {name: listing.instrument for name, listing in floor.listings.items()}


def _violations(floor: Floor) -> tuple[LedgerViolation, ...]:
    return tuple(_violation(row, floor.listings[row.instrument].instrument) for row in floor.violations)


def _without_fills(account: Account, currency: str) -> LedgerAccount:
    return LedgerAccount(
        owner=account.owner,
        main_account=account.main_account,
        sub_account_id=str(account.sub_account_id),
        currency=currency,
        deposits=decimal_text(account.deposits_nano),
        balance=decimal_text(account.balance_nano),
        realized_pnl=decimal_text(account.realized_nano),
        fees=decimal_text(account.fees_nano),
        builder_fees=decimal_text(account.builder_fees_nano),
        funding=decimal_text(account.funding_nano),
        fills_total=account.fills.total,
        orders_total=account.orders_accepted,
        positions=tuple(_position(position) for position in account.positions.values() if position.lots),
        open_orders=tuple(_order(order) for order in account.active.values()),
        fills=(),
        funding_payments=tuple(
            LedgerFunding(str(paid.tx_id), paid.instrument, decimal_text(paid.amount_nano), str(paid.event_ns))
            for paid in account.payments
        ),
    )


def _position(position: Position) -> LedgerPosition:
    return LedgerPosition(
        instrument=position.instrument.name,
        qty=position.instrument.qty_text(position.lots),
        entry_px=decimal_text(position.entry_px_nano),
        entry_cost=decimal_text(position.cost_nano),
        realized_pnl=decimal_text(position.realized_nano),
        fees=decimal_text(position.fees_nano),
        funding=decimal_text(position.funding_nano),
    )


def _order(order: ClientOrder) -> LedgerOrder:
    terms, rules = order.terms, order.listing.instrument
    waits_for = terms.trigger if order.awaits_price else None
    awaits = ""
    if waits_for is not None:
        awaits = f"{waits_for.kind.name} {waits_for.by.name} {rules.px_text(waits_for.px_ticks)}"
    return LedgerOrder(
        order_id=order.order_id,
        client_order_id=str(terms.client_order_id),
        instrument=terms.instrument,
        side=terms.side.name,
        px=rules.px_text(terms.px_ticks),
        qty=rules.qty_text(terms.qty_lots),
        leaves_qty=rules.qty_text(order.leaves_lots),
        cum_qty=rules.qty_text(order.cum_lots),
        status=order.status.name,
        post_only=terms.post_only,
        reduce_only=terms.reduce_only,
        create_ns=str(terms.create_ns),
        awaits=awaits,
    )


def _fill(fill: Fill, rules: Instrument) -> LedgerFill:
    return LedgerFill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        client_order_id=str(fill.client_order_id),
        instrument=fill.instrument,
        side=fill.side.name,
        px=rules.px_text(fill.px_ticks),
        qty=rules.qty_text(fill.qty_lots),
        fee=decimal_text(fill.fee_nano),
        builder_fee=decimal_text(fill.builder_fee_nano),
        realized_pnl=decimal_text(fill.realized_pnl_nano),
        is_taker=fill.is_taker,
        event_ns=str(fill.event_ns),
    )


def _violation(violation: Violation, rules: Instrument) -> LedgerViolation:
    return LedgerViolation(
        reason=violation.reason.name,
        instrument=violation.instrument,
        px=rules.px_text(violation.px_ticks),
        event_ns=str(violation.event_ns),
        incoming_order_id=violation.incoming_order_id,
        incoming_sub_account_id=str(violation.incoming_sub_account_id),
        incoming_client_order_id=str(violation.incoming_client_order_id),
        resting_order_id=violation.resting_order_id,
        resting_sub_account_id=str(violation.resting_sub_account_id),
        resting_client_order_id=str(violation.resting_client_order_id),
    )

"""The exchange's own books as others may audit them: every number a decimal string in natural units."""

from __future__ import annotations

import msgspec


class LedgerPosition(msgspec.Struct, frozen=True):
    instrument: str
    qty: str
    """Signed, long > 0."""
    entry_px: str
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


class LedgerFill(msgspec.Struct, frozen=True):
    trade_id: str
    order_id: str
    client_order_id: str
    instrument: str
    side: str
    px: str
    qty: str
    fee: str
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
    """Deposits + realised PnL - fees - funding paid."""
    realized_pnl: str
    fees: str
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

"""One complete pass over an account, every list to its end, or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from perpmaker.clock import Clock
from perpmaker.errors import DataError
from perpmaker.model.events import AccountSnapshot, Source, VenueStatus
from perpmaker.model.ids import AccountId
from perpmaker.venues.grvt import parse
from perpmaker.venues.grvt.rest import Rest
from perpmaker.venues.grvt.routes import (
    ACCOUNT_SUMMARY,
    FILL_HISTORY,
    FUNDING_PAYMENTS,
    OPEN_ORDERS,
    POSITIONS,
    HistoryRequest,
    OfSubAccount,
    OnlySubAccount,
)

T = TypeVar("T")


async def read_snapshot(
    rest: Rest, account: AccountId, sub_account_id: str, fills_since_ns: int, clock: Clock
) -> AccountSnapshot:
    """Read open orders, positions, fills, funding and money; raises VenueError or DataError if any part fails.

    Everything is read after `ts_asked_ns`. Pages that shift while they are read can repeat a row, never lose one: they go
    back in time and new rows come in front, so what comes later reaches us by the stream. Repeated rows are dropped.
    """
    asked_ns = clock.now_ns()
    form = rest.codec.form
    everything = form(OfSubAccount)(sub_account_id=sub_account_id)
    since = form(HistoryRequest)(sub_account_id=sub_account_id, start_time=str(fills_since_ns))
    orders, positions, fills, funding, summary = await asyncio.gather(
        rest.call(OPEN_ORDERS, everything),
        rest.call(POSITIONS, everything),
        rest.pages(FILL_HISTORY, since),
        rest.pages(FUNDING_PAYMENTS, since),
        rest.call(ACCOUNT_SUMMARY, form(OnlySubAccount)(sub_account_id=sub_account_id)),
    )
    now_ns = clock.now_ns()
    money = parse.account(summary.result)
    if summary.result.sub_account_id != sub_account_id:
        raise DataError("the account summary is about another sub account")
    read_fills = [parse.fill(row, account, Source.HISTORY, now_ns) for row in fills]
    read_funding = [parse.funding_paid(row, account, now_ns) for row in funding]
    return AccountSnapshot(
        account=account,
        open_orders=tuple(
            parse.order_report(row, account, Source.SNAPSHOT, now_ns, unknown_as=VenueStatus.OPEN)
            for row in orders.result
            if len(row.legs) <= 1  # an order of several legs is negotiated away from the order book, by hand
        ),
        positions=tuple(parse.position_report(row, account, Source.SNAPSHOT, now_ns) for row in positions.result),
        fills=tuple(_oldest_first(read_fills, lambda fill: (fill.trade_id, fill.side), lambda fill: fill.ts_event_ns)),
        funding=tuple(_oldest_first(read_funding, lambda paid: paid.payment_id, lambda paid: paid.ts_event_ns)),
        balance=money.balance,
        equity=money.equity,
        available=money.available,
        currency=money.currency,
        fills_since_ns=fills_since_ns,
        ts_asked_ns=asked_ns,
        ts_event_ns=money.ts_event_ns,
        ts_recv_ns=now_ns,
    )


def _oldest_first(rows: list[T], key: Callable[[T], object], at_ns: Callable[[T], int]) -> list[T]:
    """Drop rows that a shifted page repeated, and sort by venue time.

    The venue lists newest first, so rows of one instant (the fills of one taker) are turned round as well: what is realised
    depends on their order.
    """
    unique = {key(row): row for row in rows}
    if any(unique[key(row)] != row for row in rows):
        raise DataError("two rows of one id say different things")
    listed = list(unique.values())
    listed.reverse()
    return sorted(listed, key=at_ns)

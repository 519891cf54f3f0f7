"""Reading an account through ccxt: single orders, and one complete pass over everything, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import DataError, VenueError
from perpmaker.model.events import (
    AccountSnapshot,
    Fill,
    FundingPaid,
    Leverage,
    OrderReport,
    PositionReport,
    Source,
    VenueStatus,
)
from perpmaker.model.ids import AccountId, ClientOrderId, TradeId, VenueOrderId
from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_MS
from perpmaker.venues.ccxt import numbers
from perpmaker.venues.ccxt.library import CallFailed, call
from perpmaker.venues.ccxt.listing import Listed
from perpmaker.venues.ccxt.quirks import Call, Quirks
from perpmaker.venues.ccxt.verdicts import Verdict

PAGE: Final = 1000
PAGES: Final = 100
ZERO: Final = Decimal(0)
_STATUSES: Final = {
    "open": VenueStatus.OPEN,
    "closed": VenueStatus.FILLED,
    "canceled": VenueStatus.CANCELED,
    "canceling": VenueStatus.OPEN,
    "expired": VenueStatus.EXPIRED,
    "rejected": VenueStatus.REJECTED,
}
_LIVE: Final = (VenueStatus.OPEN, VenueStatus.PENDING)


class NoSuchOrder(VenueError):
    """The venue says that it knows no such order."""


class Account:
    """Reads one account. Every method raises VenueError or DataError: a failed read is not an empty one."""

    def __init__(self, client: Any, quirks: Quirks, account: AccountId, clock: Clock) -> None:
        self._client = client
        self._quirks = quirks
        self._account = account
        self._clock = clock
        self._listed: dict[str, Listed] = {}

    def know(self, listed: Mapping[Any, Listed]) -> None:
        """Take over the markets as read."""
        self._listed = {one.symbol: one for one in listed.values()}

    def by_market_id(self, market_id: str) -> Listed | None:
        return next((one for one in self._listed.values() if one.market_id == market_id), None)

    async def order(self, listed: Listed, client_order_id: ClientOrderId, venue_id: VenueOrderId | None) -> OrderReport:
        """Ask about one order: among the live ones, then in history; raises NoSuchOrder when it is in neither."""
        asked_ns = self._clock.now_ns()
        by_client = self._quirks.query_by_client_id
        try:
            if by_client is not None:
                answer = await self._ask_by(by_client, listed, client_order_id)
                row = self._client.parse_order(answer, self._client.market(listed.symbol))
            elif venue_id is not None:
                row = await self._ask("fetch_order", venue_id, listed.symbol)
            else:
                row = await self._find(await self._ask("fetch_open_orders", listed.symbol), client_order_id)
        except NoSuchOrder:
            row = await self._past(listed, client_order_id, venue_id)
        report = self.report(row, Source.QUERY)
        return report if report.ts_event_ns >= asked_ns else _at(report, asked_ns)

    async def open_orders(self) -> list[OrderReport]:
        return [self.report(row, Source.SNAPSHOT) for row in await self._ask("fetch_open_orders")]

    async def live_markets(self) -> set[str]:
        """Return ccxt's symbols of the markets on which orders rest."""
        return {str(row["symbol"]) for row in await self._ask("fetch_open_orders")}

    async def snapshot(self, fills_since_ns: int) -> AccountSnapshot:
        """Read everything. What explains is read after what it explains: fills last, so that no position lacks its fill."""
        asked_ns = self._clock.now_ns()
        orders = await self.open_orders()
        positions = [self.position(row) for row in await self._ask("fetch_positions")]
        balance, equity, available, currency = await self._money(positions)
        funding = await self._funding(fills_since_ns)
        fills = await self._fills(fills_since_ns)
        now_ns = self._clock.now_ns()
        return AccountSnapshot(
            account=self._account,
            open_orders=tuple(orders),
            positions=tuple(p for p in positions if p is not None),
            fills=tuple(fills),
            funding=tuple(funding),
            balance=balance,
            equity=equity,
            available=available,
            currency=currency,
            fills_since_ns=fills_since_ns,
            ts_asked_ns=asked_ns,
            ts_event_ns=now_ns,
            ts_recv_ns=now_ns,
        )

    # --- rows of ccxt's unified form

    def report(self, row: Any, source: Source) -> OrderReport:
        """Read an order; ccxt's "closed" is filled, which it is only when nothing is left of it."""
        listed = self._of(row)
        now_ns = self._clock.now_ns()
        filled = listed.qty(numbers.optional(row.get("filled"), "filled") or ZERO)
        amount = numbers.optional(row.get("amount"), "amount")
        qty = None if amount is None else listed.qty(amount)
        stated = self._status(row)
        if stated is VenueStatus.FILLED and qty is not None and filled < qty:
            stated = VenueStatus.CANCELED
        at_ms = row.get("lastUpdateTimestamp") or row.get("timestamp")
        average = numbers.optional(row.get("average"), "average")
        return OrderReport(
            account=self._account,
            client_order_id=ClientOrderId(numbers.client_id(row.get("clientOrderId"))),
            venue_order_id=VenueOrderId(numbers.text(row.get("id"), "id")),
            instrument=listed.instrument.instrument_id,
            status=stated,
            cum_qty=filled,
            avg_px=average if filled else None,
            reason=str((row.get("info") or {}).get("expiryReason") or "") if stated not in _LIVE else "",
            source=source,
            ts_event_ns=now_ns if at_ms is None else numbers.ns_of_ms(at_ms, "timestamp"),
            ts_recv_ns=now_ns,
            side=_side(row),
            px=numbers.optional(row.get("price"), "price"),
            qty=qty,
            reduce_only=row.get("reduceOnly") is True,
        )

    def fill(self, row: Any, source: Source) -> Fill:
        listed, fee, info = self._of(row), row.get("fee") or {}, row.get("info") or {}
        return Fill(
            account=self._account,
            client_order_id=ClientOrderId(numbers.client_id(info.get("clientId", info.get("clientOrderId")))),
            venue_order_id=VenueOrderId(numbers.text(row.get("order"), "order")),
            trade_id=TradeId(str(row.get("id") or "")),
            instrument=listed.instrument.instrument_id,
            side=_side(row),
            px=numbers.exact(row.get("price"), "price"),
            qty=listed.qty(numbers.exact(row.get("amount"), "amount")),
            fee=numbers.exact(fee.get("cost"), "fee"),  # a fill without its fee cannot be booked
            fee_currency=str(fee.get("currency") or listed.instrument.quote),
            is_taker=row.get("takerOrMaker") != "maker",
            realized_pnl=ZERO,
            ts_event_ns=_row_ns(row),
            ts_recv_ns=self._clock.now_ns(),
            source=source,
            is_liquidation="LIQUIDAT" in str(info.get("systemOrderType") or "").upper(),
        )

    def position(self, row: Any, source: Source = Source.SNAPSHOT) -> PositionReport | None:
        """Read a position; None for one of a market that is not a listed perpetual."""
        listed = self._listed.get(str(row.get("symbol")))
        if listed is None:
            return None
        now_ns = self._clock.now_ns()
        if self._quirks.signed_quantity:
            qty = numbers.exact((row.get("info") or {}).get(self._quirks.signed_quantity), "quantity")
        else:
            held = listed.qty(numbers.optional(row.get("contracts"), "contracts") or ZERO)
            qty = -held if row.get("side") == "short" else held
        return PositionReport(
            account=self._account,
            instrument=listed.instrument.instrument_id,
            qty=qty,
            avg_entry_px=numbers.exact(row.get("entryPrice"), "entryPrice") if qty else None,
            mark_px=numbers.optional(row.get("markPrice"), "markPrice"),
            unrealized_pnl=numbers.optional(row.get("unrealizedPnl"), "unrealizedPnl") or ZERO,
            ts_event_ns=now_ns,
            ts_recv_ns=now_ns,
            source=source,
        )

    # --- inside

    async def _money(self, positions: list[PositionReport | None]) -> tuple[Decimal, Decimal, Decimal, str]:
        quirks = self._quirks
        answer = await self._ask("fetch_balance")
        currency = quirks.settle or next((one.instrument.quote for one in self._listed.values()), "USDT")
        purse = answer.get(currency) or {}
        balance = numbers.optional(purse.get("total"), "total") or ZERO
        if not quirks.equity_call:
            floating = sum((held.unrealized_pnl for held in positions if held is not None), ZERO)
            available = numbers.optional(purse.get("free"), "free") or ZERO
            return balance, balance + floating, available, currency
        told = await self._members(quirks.equity_call)
        total, free = quirks.equity_keys
        return balance, numbers.exact(told.get(total), total), numbers.exact(told.get(free), free), currency

    async def leverage(self) -> Leverage | None:
        """Return what the owner has set for the whole account, None where the venue has no such thing."""
        if not self._quirks.leverage_call:
            return None
        told = await self._members(self._quirks.leverage_call)
        return Leverage(numbers.exact(told.get(self._quirks.leverage_key), self._quirks.leverage_key))

    async def _fills(self, since_ns: int) -> list[Fill]:
        rows = await self._pages("fetch_my_trades", since_ns)
        found = {(fill.trade_id, fill.side): fill for fill in (self.fill(row, Source.HISTORY) for row in rows)}
        return sorted((fill for fill in found.values() if fill.ts_event_ns >= since_ns), key=_fill_order)

    async def _funding(self, since_ns: int) -> list[FundingPaid]:
        if not self._client.has.get("fetchFundingHistory"):
            return []
        found: dict[str, FundingPaid] = {}
        for row in await self._pages("fetch_funding_history", since_ns):
            listed, at_ns = self._of(row), _row_ns(row)
            payment_id = (
                f"{listed.market_id}:{at_ns // NS_PER_MS}"  # ccxt gives Backpack's the account's id: none of its own
            )
            if at_ns >= since_ns:
                found[payment_id] = FundingPaid(
                    account=self._account,
                    instrument=listed.instrument.instrument_id,
                    amount=numbers.exact(row.get("amount"), "amount"),
                    currency=str(row.get("code") or listed.instrument.quote),
                    payment_id=payment_id,
                    ts_event_ns=at_ns,
                    ts_recv_ns=self._clock.now_ns(),
                )
        return sorted(found.values(), key=lambda paid: paid.ts_event_ns)

    async def _pages(self, method: str, since_ns: int) -> list[Any]:
        """Read every page; rows of listed markets alone. Pages that shift repeat a row, and never lose one."""
        since_ms = since_ns // NS_PER_MS or None
        rows: list[Any] = []
        for page in range(PAGES):
            params = {"offset": page * PAGE} if page and self._quirks.pages_by_offset else {}
            got = await self._ask(method, None, since_ms, PAGE, params)
            rows += [row for row in got if str(row.get("symbol")) in self._listed]
            if len(got) < PAGE:
                return rows
            if not self._quirks.pages_by_offset:
                since_ms = max(_row_ns(row) for row in got) // NS_PER_MS
        raise DataError(f"{method}: more than {PAGES} pages since {since_ns}")

    async def _past(self, listed: Listed, client_order_id: ClientOrderId, venue_id: VenueOrderId | None) -> Any:
        history = self._quirks.history_of_orders
        if history is None:
            if not self._client.has.get("fetchClosedOrders"):
                raise NoSuchOrder("not among the live orders; the venue shows no others")
            return await self._find(await self._ask("fetch_closed_orders", listed.symbol), client_order_id)
        params = {history.symbol_key: listed.market_id, **dict(history.extra)}
        if venue_id is not None:
            params["orderId"] = venue_id
        answer = await self._ask(history.method, params)
        market = self._client.market(listed.symbol)
        return await self._find([self._client.parse_order(row, market) for row in answer], client_order_id)

    async def _find(self, rows: list[Any], client_order_id: ClientOrderId) -> Any:
        for row in rows:
            if numbers.client_id(row.get("clientOrderId")) == client_order_id:
                return row
        raise NoSuchOrder("the venue shows no such order")

    async def _ask_by(self, how: Call, listed: Listed, client_order_id: ClientOrderId) -> Any:
        return await self._ask(how.method, {how.symbol_key: listed.market_id, how.id_key: client_order_id})

    async def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return await call(self._client, method, *arguments)
        except CallFailed as error:
            if error.outcome.verdict is Verdict.NOT_FOUND:
                raise NoSuchOrder(str(error)) from None
            raise

    async def _members(self, method: str) -> dict[str, Any]:
        """Ask the venue's own call, of which ccxt knows no more than its name; DataError unless an object answers."""
        told = await self._ask(method)
        if not isinstance(told, dict):
            raise DataError(f"{method}: {str(told)[:40]!r} is no object")
        return told

    def _of(self, row: Any) -> Listed:
        listed = self._listed.get(str(row.get("symbol")))
        if listed is None:
            raise DataError(f"symbol: {row.get('symbol')!r} is not a listed perpetual")
        return listed

    def _status(self, row: Any) -> VenueStatus:
        found = _STATUSES.get(str(row.get("status")))
        if found is None:
            raise DataError(f"status: {row.get('status')!r} is not known")
        return found


def _side(row: Any) -> Side:
    try:
        return Side(row.get("side"))
    except ValueError:
        raise DataError(f"side: {row.get('side')!r} is not known") from None


def _row_ns(row: Any) -> int:
    """Return a row's time, to the microsecond where the venue's own text has it."""
    told = (row.get("info") or {}).get("timestamp")
    if isinstance(told, str) and "T" in told:
        return numbers.ns_of_iso(told, "timestamp")
    return numbers.ns_of_ms(row.get("timestamp"), "timestamp")


def _fill_order(fill: Fill) -> tuple[int, int, str]:
    """Oldest first; fills of one instant by their trade id, which counts up: what is realised depends on their order."""
    return fill.ts_event_ns, int(fill.trade_id) if fill.trade_id.isdigit() else 0, fill.trade_id


def _at(report: OrderReport, at_ns: int) -> OrderReport:
    """An answer states how things are when it is given, however long ago the order changed."""
    return msgspec.structs.replace(report, ts_event_ns=at_ns)

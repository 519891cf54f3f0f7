"""What the exchange itself knows of our account: its ledger, and every order it ever accepted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec
from tests.chaos.harness import Stack, http_json

PAGE: Final = 100
"""Orders asked for at once: few, so that asking does not make the exchange's heap larger, which a soak measures."""
ENDED: Final = ("FILLED", "REJECTED", "CANCELLED")


class VenueOrder(msgspec.Struct, frozen=True):
    """An order as the exchange has it. `create_ns`, `update_ns`: the exchange's time."""

    order_id: str
    client_order_id: int
    instrument: str
    side: str
    px: Decimal
    qty: Decimal
    post_only: bool
    status: str
    reason: str
    cum_qty: Decimal
    create_ns: int
    update_ns: int
    nonce: int
    waits: bool
    """Whether it waits, or waited, for a price."""

    @property
    def key(self) -> tuple[int, int, int]:
        """What no two orders share, also those that ended before they got an order id."""
        return self.client_order_id, self.nonce, self.create_ns


class VenueFill(msgspec.Struct, frozen=True):
    """An execution in the exchange's ledger."""

    trade_id: str
    client_order_id: int
    instrument: str
    side: str
    px: Decimal
    qty: Decimal
    fee: Decimal
    is_taker: bool
    event_ns: int


class Books(msgspec.Struct, frozen=True):
    """Our account in the exchange's ledger, as of one moment."""

    now_ns: int
    balance: Decimal
    deposits: Decimal
    fees: Decimal
    funding: Decimal
    """Paid, net."""
    positions: dict[str, Decimal]
    fills: tuple[VenueFill, ...]
    fills_total: int
    orders_total: int
    open_ids: frozenset[int]
    violations: tuple[Any, ...]


def read_books(stack: Stack) -> Books:
    ledger = stack.control("GET", "/ledger")
    ours = stack.credentials["sub_account_id"]
    row = next(account for account in ledger["accounts"] if account["sub_account_id"] == ours)
    return Books(
        now_ns=int(ledger["now_ns"]),
        balance=Decimal(row["balance"]),
        deposits=Decimal(row["deposits"]),
        fees=Decimal(row["fees"]) + Decimal(row["builder_fees"]),
        funding=Decimal(row["funding"]),
        positions={held["instrument"]: Decimal(held["qty"]) for held in row["positions"]},
        fills=tuple(_fill(fill) for fill in row["fills"]),
        fills_total=row["fills_total"],
        orders_total=row["orders_total"],
        open_ids=frozenset(int(order["client_order_id"]) for order in row["open_orders"]),
        violations=tuple(ledger["violations"]),
    )


class Audit:
    """Gathers every order of the account through the venue's own API, with a login of its own.

    The exchange forgets closed orders beyond 2,500; `collect` often enough and none is missed, which the ledger's total
    proves.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._orders: dict[tuple[int, int, int], VenueOrder] = {}
        self._session: dict[str, str] = {}
        self.logins = 0

    def collect(self) -> list[VenueOrder]:
        """Return every order known so far, in the order of their creation."""
        open_orders = self._call("open_orders", {})["result"]
        for wire in open_orders:
            self._note(_order(wire))
        cursor = ""
        while True:
            page = self._call("order_history", {"limit": PAGE, "cursor": cursor})
            news = sum(self._note(_order(wire)) for wire in page["result"])
            if not news or not page.get("next"):
                return sorted(self._orders.values(), key=lambda order: (order.create_ns, order.client_order_id))
            cursor = page["next"]

    def _note(self, order: VenueOrder) -> bool:
        """Remember an order; return whether that was news."""
        known = self._orders.get(order.key)
        self._orders[order.key] = order if known is None or known.status not in ENDED else known
        return self._orders[order.key] != known

    def _call(self, route: str, body: dict[str, Any]) -> Any:
        """Call a route of the venue, logging in anew where the session is over or the exchange another one."""
        venue, keys = self._stack.venue, self._stack.credentials
        url = f"{venue.urls['trades']}/full/v1/{route}"
        for _ in range(2):
            if self._session:
                ask = {"sub_account_id": keys["sub_account_id"], **body}
                status, _, answer = http_json("POST", url, ask, self._session)
                if status == 200:
                    return answer
            self._log_in(venue.urls["edge"], keys["api_key"])
        raise AssertionError(f"{route}: {answer}")

    def _log_in(self, edge: str, api_key: str) -> None:
        status, headers, body = http_json(
            "POST", f"{edge}/auth/api_key/login", {"api_key": api_key}, {"Cookie": "rm=true;"}
        )
        assert status == 200, body
        cookie = headers["Set-Cookie"].split(";")[0]
        self._session = {"Cookie": cookie, "X-Grvt-Account-Id": headers["X-Grvt-Account-Id"]}
        self.logins += 1


def _order(wire: Any) -> VenueOrder:
    leg, state = wire["legs"][0], wire["state"]
    return VenueOrder(
        order_id=wire["order_id"],
        client_order_id=int(wire["metadata"]["client_order_id"]),
        instrument=leg["instrument"],
        side="buy" if leg["is_buying_asset"] else "sell",
        px=Decimal(leg["limit_price"]),
        qty=Decimal(leg["size"]),
        post_only=wire["post_only"],
        status=state["status"],
        reason=state["reject_reason"],
        cum_qty=Decimal(state["traded_size"][0]),
        create_ns=int(wire["metadata"]["create_time"]),
        update_ns=int(state["update_time"]),
        nonce=int(wire["signature"]["nonce"]),
        waits=wire["metadata"].get("trigger", {}).get("trigger_type", "UNSPECIFIED") != "UNSPECIFIED",
    )


def _fill(row: Any) -> VenueFill:
    return VenueFill(
        trade_id=row["trade_id"],
        client_order_id=int(row["client_order_id"]),
        instrument=row["instrument"],
        side=row["side"].lower(),
        px=Decimal(row["px"]),
        qty=Decimal(row["qty"]),
        fee=Decimal(row["fee"]) + Decimal(row["builder_fee"]),
        is_taker=row["is_taker"],
        event_ns=int(row["event_ns"]),
    )

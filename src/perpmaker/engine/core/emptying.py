"""Cancelling everything and making sure: until the venue has shown an account without our orders twice."""

from __future__ import annotations

from typing import Final

from perpmaker.engine.core.desk import Desk
from perpmaker.engine.core.reconciling import Reconciling
from perpmaker.engine.core.world import World
from perpmaker.model.commands import Notice
from perpmaker.model.events import AccountSnapshot
from perpmaker.model.ids import AccountId
from perpmaker.model.units import NS_PER_MS, NS_PER_S

AGAIN_NS: Final = 2 * NS_PER_S
"""Orders still live after this are cancelled again."""
ASK_NS: Final = 500 * NS_PER_MS


class Emptying:
    """One account being emptied. Two reads `gap_ns` apart must show none of our orders, with none live in the table."""

    def __init__(self, account: AccountId, why: str, gap_ns: int, now_ns: int) -> None:
        self.account = account
        self.why = why
        self.began_ns = now_ns
        self.verified_ns = 0
        """When the second empty read came, 0 before."""
        self._gap_ns = gap_ns
        self._first_ns = 0
        self._cancelled_ns = now_ns
        self._asked_ns = 0

    def on_snapshot(self, snapshot: AccountSnapshot, shows_ours: bool, now_ns: int) -> None:
        """Take in a read of the account."""
        if snapshot.ts_asked_ns < self.began_ns or self.verified_ns:
            return
        if shows_ours:
            self._first_ns = 0
        elif not self._first_ns:
            self._first_ns = snapshot.ts_asked_ns
        elif snapshot.ts_asked_ns - self._first_ns >= self._gap_ns:
            self.verified_ns = now_ns

    def again_due(self, now_ns: int) -> bool:
        """Say whether live orders should be cancelled again now; counts as done."""
        if now_ns - self._cancelled_ns < AGAIN_NS:
            return False
        self._cancelled_ns = now_ns
        return True

    def read_due(self, now_ns: int) -> bool:
        """Say whether to ask for a read now; counts as asked."""
        not_yet = self._first_ns and now_ns < self._first_ns + self._gap_ns
        if self.verified_ns or not_yet or now_ns - self._asked_ns < ASK_NS:
            return False
        self._asked_ns = now_ns
        return True


class Emptyings:
    """The accounts being emptied, and those that have been."""

    def __init__(self, world: World, desk: Desk, reconciling: Reconciling) -> None:
        self._world = world
        self._desk = desk
        self._reconciling = reconciling
        self._under_way: dict[AccountId, Emptying] = {}

    def begin(self, account: AccountId, why: str, *, gap_ns: int, foreign_too: bool) -> None:
        """Cancel the account's orders and verify. Orders made by hand are touched only when `foreign_too`."""
        self._under_way[account] = Emptying(account, why, gap_ns, self._world.now_ns)
        if foreign_too or not self._desk.has_foreign(account):
            self._desk.cancel_all(account)
        else:
            self._desk.cancel_live(account, again=True, guards_too=True)
        self._world.out.timer(f"empty {account}", self._world.now_ns + ASK_NS // 5)

    def verified(self, account: AccountId) -> bool:
        """Return whether the last emptying of the account was verified."""
        emptying = self._under_way.get(account)
        return emptying is not None and emptying.verified_ns > 0

    def is_forgotten(self, account: AccountId) -> bool:
        """Whether trading goes on, so that nobody verifies any more what was begun."""
        return account not in self._under_way

    def forget(self) -> None:
        """Trading goes on: nothing is being emptied any more."""
        self._under_way.clear()

    def on_snapshot(self, snapshot: AccountSnapshot) -> None:
        emptying = self._under_way.get(snapshot.account)
        if emptying is None or emptying.verified_ns:
            return
        ours = self._live_own(snapshot.account) > 0 or any(
            (order := self._world.table.get(snapshot.account, report.client_order_id)) is not None and order.own
            for report in snapshot.open_orders
        )
        emptying.on_snapshot(snapshot, ours, self._world.now_ns)
        if emptying.verified_ns:
            took_ms = (emptying.verified_ns - emptying.began_ns) // NS_PER_MS
            fields = {"account": snapshot.account, "why": emptying.why, "took_ms": str(took_ms)}
            self._world.out.tell(Notice("info", "orders_verified_empty", fields, self._world.now_ns))

    def on_timer(self, key: str) -> bool:
        """Cancel again, read again; returns whether the timer was one of these."""
        if not key.startswith("empty "):
            return False
        account = AccountId(key.removeprefix("empty "))
        emptying = self._under_way.get(account)
        if emptying is None or emptying.verified_ns:
            return True
        world = self._world
        if self._live_own(account) and emptying.again_due(world.now_ns):
            self._desk.cancel_live(account, again=True, guards_too=True)
        if emptying.read_due(world.now_ns):
            self._reconciling.request_pass(account, emptying.why, revoke=False)
        world.out.timer(key, world.now_ns + ASK_NS // 5)
        return True

    def _live_own(self, account: AccountId) -> int:
        return sum(order.own for order in self._world.table.live(account))

"""What every client is put through on either venue; it runs in the clients' environment and knows the standard library.

A script says how its client does each step (`Steps`); `main` reads the exchange's ready line from the command line,
walks through the steps, and prints what the client saw, one JSON line a finding. The test compares that with the
exchange's books.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from typing import Any, Protocol

INSTRUMENT = "BTC_USDT_Perp"
QTY = Decimal("0.002")
FILL_S = 60.0
"""How long simulated flow may take to fill an order at the touch."""
REST_S = 8.0
"""An order that is not filled by then is moved to the new touch."""
STEP_S = 60.0
STEP = Decimal("0.5")
"""A step of price that both venues' ticks divide."""
BEHIND = 2 * STEP
"""How far behind the touch the order rests, so that it can be seen open before it is filled."""


class Steps(Protocol):
    """One client, its way of doing things. Orders are known by their client order ids, on Backpack by the venue's."""

    has_streams: bool
    streams_each_fill: bool
    """Whether none is passed over where several come at once."""

    async def start(self, line: dict[str, Any]) -> list[str]:
        """Log in and load the markets; return their instrument names."""
        ...

    async def balance(self) -> str: ...

    async def touch(self) -> tuple[str, str]:
        """Best bid and ask of the book."""
        ...

    async def place(self, side: str, qty: str, px: str | None, *, post_only: bool, reduce_only: bool) -> str:
        """Return the order's id, "" when the venue refused at once to let a post-only order take."""
        ...

    async def cancel(self, client_order_id: str) -> None: ...

    async def cancel_all(self) -> None: ...

    async def open_orders(self) -> list[str]: ...

    async def position(self) -> str: ...

    async def fills(self) -> list[dict[str, str]]:
        """All fills of the account: trade_id, px, qty, fee, client_order_id ("" where the client does not say)."""
        ...

    def streamed(self) -> dict[str, list[str]]:
        """What private streams said: client order ids of "orders", trade ids of "fills", and "positions"."""
        ...

    async def stop(self) -> None: ...


def main(steps: Steps) -> None:
    asyncio.run(walk(steps, json.loads(sys.argv[1])))


def say(finding: str, **values: Any) -> None:
    print(json.dumps({"finding": finding, **values}), flush=True)


async def walk(steps: Steps, line: dict[str, Any]) -> None:
    say("markets", names=await steps.start(line))
    say("start balance", usdt=await steps.balance())
    await cancel_one(steps)
    await cancel_all(steps)
    maker = await be_filled(steps)
    await until("the fill in the history", lambda: has_fill_of(steps, maker))
    if steps.has_streams:
        await until("the order in its stream", lambda: now(maker in steps.streamed()["orders"]))
        await until("the fill in its stream", lambda: now(bool(steps.streamed()["fills"])))
        await until("the position in its stream", lambda: now(bool(steps.streamed()["positions"])))
    taker = await steps.place("sell", str(QTY), None, post_only=False, reduce_only=True)
    await until("a flat position", lambda: is_flat(steps))
    await until("the closing fill", lambda: has_fill_of(steps, taker))
    if steps.has_streams:
        await until("the flat position in its stream", lambda: now(0 in map(Decimal, steps.streamed()["positions"])))
    if steps.has_streams and steps.streams_each_fill:
        await until("each fill in its stream", lambda: has_streamed_fills(steps))
    say("streams", **steps.streamed())
    say("end", usdt=await steps.balance(), fills=await steps.fills(), maker=maker, open=await steps.open_orders())
    await steps.stop()


async def cancel_one(steps: Steps) -> None:
    far = await far_px(steps)
    order = await steps.place("buy", str(QTY), str(far), post_only=True, reduce_only=False)
    await until("the resting order", lambda: is_open(steps, order))
    say("resting", client_order_id=order, px=str(far))
    await steps.cancel(order)
    await until("the end of the cancelled order", lambda: is_closed(steps, order))


async def cancel_all(steps: Steps) -> None:
    far = await far_px(steps)
    orders = [
        await steps.place("buy", str(QTY), str(far - STEP * step), post_only=False, reduce_only=False)
        for step in range(2)
    ]
    for order in orders:
        await until("both resting orders", lambda order=order: is_open(steps, order))
    await steps.cancel_all()
    for order in orders:
        await until("the end of all orders", lambda order=order: is_closed(steps, order))
    say("cancelled all", client_order_ids=orders)


async def be_filled(steps: Steps) -> str:
    """Rest behind the best bid until simulated flow fills an order seen open before; return its client order id."""
    deadline = time.monotonic() + FILL_S
    behind = BEHIND
    while time.monotonic() < deadline:
        bid, _ = await steps.touch()
        px = str(Decimal(bid) - behind)
        order = await steps.place("buy", str(QTY), px, post_only=True, reduce_only=False)
        if not order:
            continue  # the market came that far meanwhile
        seen_open = await is_open(steps, order)
        moved_at = time.monotonic() + REST_S
        while time.monotonic() < min(moved_at, deadline):
            if Decimal(await steps.position()) == QTY:
                break
            await asyncio.sleep(0.2)
        await steps.cancel_all()
        await until("the end of the order", lambda order=order: is_closed(steps, order))
        if Decimal(await steps.position()) == QTY and seen_open:
            say("filled", client_order_id=order, px=px)
            return order
        if Decimal(await steps.position()) != 0:  # filled in part, or faster than this client could look
            await steps.place("sell", await steps.position(), None, post_only=False, reduce_only=True)
            await until("a flat position", lambda: is_flat(steps))
            behind *= 2
    raise SystemExit(f"no fill of an order seen open within {FILL_S} s")


async def far_px(steps: Steps) -> Decimal:
    bid, _ = await steps.touch()
    return Decimal(bid) * Decimal("0.9") // STEP * STEP


async def is_open(steps: Steps, order: str) -> bool:
    return order in await steps.open_orders()


async def is_closed(steps: Steps, order: str) -> bool:
    return order not in await steps.open_orders()


async def is_flat(steps: Steps) -> bool:
    return Decimal(await steps.position()) == 0


async def has_fill_of(steps: Steps, order: str) -> bool:
    return any(fill["client_order_id"] in ("", order) for fill in await steps.fills())


async def has_streamed_fills(steps: Steps) -> bool:
    return {fill["trade_id"] for fill in await steps.fills()} <= set(steps.streamed()["fills"])


async def now(value: bool) -> bool:
    return value


async def until(what: str, holds: Any) -> None:
    deadline = time.monotonic() + STEP_S
    while not await holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {STEP_S} s for {what}")
        await asyncio.sleep(0.1)

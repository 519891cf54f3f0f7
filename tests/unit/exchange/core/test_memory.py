"""What the exchange holds on to: bounded, but for the fills, which are kept in few bytes."""

from __future__ import annotations

import gc
import sys
from collections import deque
from types import FunctionType, ModuleType
from typing import Any

import msgspec
import pytest
from tests.unit.exchange.core.desk import ALICE, BTC, BUY, MS_NS, S_NS, SELL, Desk

from perpmaker.exchange.core import book
from perpmaker.exchange.core.types import NANO
from perpmaker.exchange.core.venue import VenueLimits

KEPT = 40
SMALL = VenueLimits(
    closed_orders_kept=KEPT, payloads_kept=KEPT, trades_kept=KEPT, history_rows=KEPT, candles_kept=10, speed_bump_ns=0
)
MOST_BYTES_A_FILL = 150
"""Packed 75 where numbers vary as they do in a market; here besides what is loose before it is packed."""


def held_bytes(root: object) -> int:
    """Sum the sizes of the objects reachable from `root`, modules, classes and functions aside."""
    seen = {id(root)}
    waiting: deque[Any] = deque([root])
    found = 0
    while waiting:
        one = waiting.popleft()
        found += sys.getsizeof(one)
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, type | ModuleType | FunctionType):
                seen.add(id(other))
                waiting.append(other)
    return found


def trade(desk: Desk, rounds: int) -> None:
    """Each round: a price, an order filled by the flow, one that takes, one cancelled, and a level touched."""
    for number in range(rounds):
        px = f"{60_000 + number % 500}.0"
        desk.venue.set_index(BTC, (60_000 * NANO) + number * 1_000_003)
        level = desk.quote(BUY, f"{50_000 + number % 500}.0", "0.01")
        desk.maker(SELL, "0.01", px)
        desk.hit(BUY, "0.01", px)
        desk.quote(SELL, px, "0.01")
        desk.send(BUY, "0.01", px)
        order = desk.maker(BUY, "0.01", "51000.0")
        desk.venue.cancel_order(ALICE, client_order_id=order.terms.client_order_id)
        desk.venue.flow_cancel(level)
        desk.wait_ns(S_NS - 25 * MS_NS)
        desk.events.clear()


def test_the_exchange_grows_by_its_fills_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book, "_REMEMBERED_LEVELS", KEPT)
    desk = Desk(limits=SMALL)
    trade(desk, 1_000)
    before, fills = held_bytes(desk.venue), desk.venue.fill_history(ALICE, limit=1).next_before
    trade(desk, 1_000)
    after, more = held_bytes(desk.venue), desk.venue.fill_history(ALICE, limit=1).next_before
    assert fills is not None
    assert more is not None
    assert more - fills == 2_000
    assert (after - before) / 2_000 < MOST_BYTES_A_FILL


def test_ledger_in_pieces_is_the_ledger_and_every_piece_is_small() -> None:
    desk = Desk()
    trade(desk, 400)
    whole = msgspec.json.encode(desk.venue.ledger())
    members = desk.venue.ledger_pieces()
    trade(desk, 1)
    pieces = {name: list(written) for name, written in members.items()}
    sent = b"{" + b",".join(f'"{name}":'.encode() + b"".join(written) for name, written in pieces.items()) + b"}"
    assert sent == whole
    assert len(pieces) == 3
    assert max(len(piece) for written in pieces.values() for piece in written) < len(whole) / 4


def test_state_is_written_in_small_pieces() -> None:
    desk = Desk()
    trade(desk, 400)
    pieces = list(desk.venue.state_pieces())
    assert b"".join(pieces) == desk.venue.export_state()
    assert max(len(piece) for piece in pieces) < sum(len(piece) for piece in pieces) / 10

"""Questions to a store, read-only: they never hold up its writer."""

from __future__ import annotations

from pathlib import Path

import msgspec


class StoredFill(msgspec.Struct, frozen=True):
    number: int


class EquityRow(msgspec.Struct, frozen=True):
    ts_ns: int


class OrderRow(msgspec.Struct, frozen=True):
    client_order_id: int


class StoreReader:
    """Open on a store that exists; each question sees one consistent state of it."""

    def __init__(self, path: Path) -> None:
        raise NotImplementedError

    def fills(self, limit: int, before: int | None = None) -> list[StoredFill]:
        """Return up to `limit` fills, newest first, with numbers below `before`."""
        raise NotImplementedError

    def equity(self, since_ns: int = 0) -> list[EquityRow]:
        raise NotImplementedError

    def orders(self, limit: int) -> list[OrderRow]:
        raise NotImplementedError

"""The store: a projection of the journal into SQLite, for queries, pages and exports. Never the truth.

Its own thread writes it. Whatever happens to it, the caller of `offer` is neither held up nor told by an exception.
"""

from perpmaker.engine.store.current import View, current
from perpmaker.engine.store.reader import (
    StoredCommand,
    StoredDecision,
    StoredEquity,
    StoredFill,
    StoredFunding,
    StoredNotice,
    StoredOrder,
    StoreReader,
)
from perpmaker.engine.store.schema import WrongStore
from perpmaker.engine.store.writer import Store, rebuild

__all__ = [
    "Store",
    "StoreReader",
    "StoredCommand",
    "StoredDecision",
    "StoredEquity",
    "StoredFill",
    "StoredFunding",
    "StoredNotice",
    "StoredOrder",
    "View",
    "WrongStore",
    "current",
    "rebuild",
]

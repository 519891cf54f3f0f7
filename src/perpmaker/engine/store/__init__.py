"""The store: a projection of the journal into SQLite, for queries, pages and exports. Never the truth.

Its own thread writes it. Whatever happens to it, the caller of `offer` is neither held up nor told by an exception.
"""

from perpmaker.engine.store.reader import EquityRow, OrderRow, StoredFill, StoreReader
from perpmaker.engine.store.writer import Store, rebuild

__all__ = ["EquityRow", "OrderRow", "Store", "StoreReader", "StoredFill", "rebuild"]

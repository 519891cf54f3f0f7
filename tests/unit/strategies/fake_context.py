"""The public bench for strategies under the names that tests of our own use."""

from perpmaker.strategies.bench import START_NS, Ladder, book, own_order, perp
from perpmaker.strategies.bench import BenchBook as FakeBook
from perpmaker.strategies.bench import BenchContext as FakeContext

__all__ = ["START_NS", "FakeBook", "FakeContext", "Ladder", "book", "own_order", "perp"]

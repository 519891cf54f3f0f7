"""Recorded frames into nautilus_trader's order book. Argument: the frames' file."""

from __future__ import annotations

import sys

from frames import Frames
from nautilus_book import VERSION, Taking
from turns import serve


def main() -> None:
    frames = Frames(sys.argv[1])
    whole, changes = frames.whole(), frames.changes(1)
    taking = Taking()
    take = taking.take

    def begin(_: int) -> None:
        take(whole)

    def each(_: int) -> None:
        for text in changes:
            take(text)

    def again(_: int) -> None:
        for _ in range(100):
            take(whole)

    begin(0)
    each(0)
    touch = [str(taking.book.best_bid_price()), str(taking.book.best_ask_price())]
    serve({"changes": each, "whole": again}, before={"changes": begin}, touch=touch, version=VERSION)


main()

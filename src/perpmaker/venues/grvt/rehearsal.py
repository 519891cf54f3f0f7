"""Reading a made-up frame and signing a made-up order with this venue's own code, away from every socket and account.

For `engine.rehearsal`, which keeps the way from a frame to an order warm.
"""

from __future__ import annotations

from typing import Final

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import DataError
from perpmaker.model.events import BookDelta
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder
from perpmaker.venues.grvt import parse
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.orders import Lives, OrderWriter, SignedOrder
from perpmaker.venues.grvt.routes import CREATE_ORDER, CreateRequest
from perpmaker.venues.grvt.signing import Signer, keccak
from perpmaker.venues.grvt.streams import BOOK_CHANGES
from perpmaker.venues.secret import Secret

_CHAIN_ID: Final = 0
"""No environment's: what is signed here is valid nowhere."""
_LEVELS: Final = 7
_FRAMES: Final = 8


class Bench:
    """Frames of `instrument` that change its touch, and signed orders that nobody can use."""

    def __init__(self, instrument: Instrument, mid_px: int, clock: Clock) -> None:
        self._instrument = instrument
        self._codec = Codec()
        self._reader = parse.Reader(instrument)
        self._frames = [_frame(instrument.symbol, mid_px, number) for number in range(_FRAMES)]
        self._turn = 0
        self._writer = OrderWriter(
            signer=Signer(Secret("0x" + keccak(b"a key of nobody, for rehearsals").hex()), _CHAIN_ID),
            sub_account_id="1",
            chain_id=_CHAIN_ID,
            codec=self._codec,
            clock=clock,
            nonce_seed=0,
            lives=Lives(),
        )

    def read(self, now_ns: int) -> BookDelta:
        """Return the next frame as the feed would have read it, as if the venue had made it now."""
        self._turn = (self._turn + 1) % _FRAMES
        frame = self._codec.book_frame(self._frames[self._turn])
        if frame is None:
            raise DataError("a rehearsal's own frame cannot be read")
        return parse.book_delta(frame.feed, self._reader, now_ns, now_ns)

    def sign(self, order: NewOrder) -> SignedOrder:
        """Return the order as the gateway would have signed it; its whole request has been put together, too."""
        signed = self._writer.write(order, self._instrument)
        request = self._codec.form(CreateRequest)(order=msgspec.Raw(signed.body))
        _ = self._codec.request_head(CREATE_ORDER.method) + self._codec.encode(request) + self._codec.request_tail(1)
        return signed


def _frame(symbol: str, mid_px: int, number: int) -> bytes:
    """A change of seven levels around `mid_px`, as v1.book.d says it; sizes differ from frame to frame."""

    def level(px: int) -> dict[str, object]:
        return {"price": f"{px}.0", "size": f"0.{500 + number}", "num_orders": 1}

    feed = {
        "event_time": "1700000000000000000",
        "instrument": symbol,
        "bids": [level(mid_px - 1 - step) for step in range(_LEVELS // 2 + 1)],
        "asks": [level(mid_px + 1 + step) for step in range(_LEVELS // 2)],
    }
    numbers = {"sequence_number": str(number + 1), "prev_sequence_number": str(number)}
    return msgspec.json.encode({"stream": BOOK_CHANGES, "selector": f"{symbol}@50", **numbers, "feed": feed})

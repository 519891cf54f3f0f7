"""Which encoding of GRVT's protocol costs less to read and write: full keys or short ones, taking turns in one run.

    python -m benchmarks.encodings [--rounds 40] [--json PATH]

Frames are those of the venue (tests/data/grvt), the book with ten levels a side. "read" is bytes to model event, as the
feed does it; "write" is an order to its JSON-RPC frame, signature included.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from perpmaker.clock import WallClock
from perpmaker.model.events import Source
from perpmaker.model.ids import AccountId, ClientOrderId, InstrumentId, StrategyId
from perpmaker.model.instrument import Instrument
from perpmaker.model.order import NewOrder, Side
from perpmaker.venues.grvt import parse, streams
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.lite import Encoding, short_keys
from perpmaker.venues.grvt.objects import Incoming, WireBook, WireLevel, WireTicker
from perpmaker.venues.grvt.orders import Lives, OrderWriter
from perpmaker.venues.grvt.signing import Signer
from perpmaker.venues.secret import Secret

SAMPLES = Path(__file__).parents[1] / "tests" / "data" / "grvt" / "samples.jsonl"
LEVELS = 10
BATCH = 200
BTC = InstrumentId("BTC_USDT_Perp")
LOT = Decimal("0.001")
RULES = Instrument(
    BTC, BTC, "grvt", "BTC", "USDT", Decimal("0.1"), LOT, LOT, Decimal(100), venue_asset_id="0x030501", qty_decimals=9
)


def named(name: str) -> Any:
    for line in SAMPLES.read_text(encoding="utf-8").splitlines():
        sample = json.loads(line)
        if sample["name"] == name:
            return sample["value"]
    raise SystemExit(f"there is no sample {name}")


def book_frame(encoding: Encoding, n: int) -> bytes:
    """A change frame of ten levels a side, the sizes different each time."""
    sides = {
        side: [
            {"price": f"{65000 + sign * level / 10:.1f}", "size": f"{(n + level) % 5000 / 1000:.3f}"}
            for level in range(LEVELS)
        ]
        for side, sign in (("bids", -1), ("asks", 1))
    }
    feed = {"event_time": "1767292408400000000", "instrument": "BTC_USDT_Perp", **sides}
    frame = {
        "stream": streams.BOOK_CHANGES,
        "selector": "BTC_USDT_Perp@50",
        "sequence_number": str(n + 1),
        "feed": feed,
        "prev_sequence_number": str(n),
    }
    if encoding is Encoding.LITE:
        levels = short_keys(WireLevel)
        short = {short_keys(WireBook)[key]: value for key, value in feed.items()}
        for side in ("b", "a"):
            short[side] = [{levels[key]: value for key, value in level.items()} for level in short[side]]
        frame = {short_keys(Incoming)[key]: short if key == "feed" else value for key, value in frame.items()}
    return json.dumps(frame, separators=(",", ":")).encode()


def read_book(encoding: Encoding) -> Callable[[], object]:
    codec, reader = Codec(encoding), parse.Reader(RULES)
    frames = [book_frame(encoding, n) for n in range(500)]
    at = 0

    def run() -> object:
        nonlocal at
        at = (at + 1) % len(frames)
        frame = codec.incoming(frames[at])
        return parse.book_delta(codec.feed(streams.BOOK_CHANGES, frame.feed), reader, 1)

    return run


def read_order(encoding: Encoding) -> Callable[[], object]:
    codec = Codec(encoding)
    text = json.dumps(named(f"ws.feed.order.{encoding.value}"), separators=(",", ":")).encode()
    account = AccountId("a")

    def run() -> object:
        frame = codec.incoming(text)
        return parse.order_report(codec.feed(streams.ORDERS, frame.feed), account, Source.STREAM, 1)

    return run


def read_ticker(encoding: Encoding) -> Callable[[], object]:
    codec = Codec(encoding)
    value = named("ws.feed.ticker_snap.full.live")
    if encoding is Encoding.LITE:
        keys = short_keys(WireTicker)
        value["feed"] = {keys[key]: text for key, text in value["feed"].items() if key in keys}
        value = {short_keys(Incoming)[key]: inner for key, inner in value.items()}
    text = json.dumps(value, separators=(",", ":")).encode()
    return lambda: parse.ticker(codec.feed(streams.TICKER, codec.incoming(text).feed), 1)


def write_order(encoding: Encoding) -> Callable[[], object]:
    codec = Codec(encoding)
    writer = OrderWriter(
        signer=Signer(Secret("0x" + "42" * 32), 326),
        sub_account_id="2147050003876484",
        chain_id=326,
        codec=codec,
        clock=WallClock(),
        nonce_seed=1,
        lives=Lives(),
    )
    order = NewOrder(
        client_order_id=ClientOrderId((1 << 63) + 5),
        account=AccountId("a"),
        strategy=StrategyId("s"),
        instrument=BTC,
        side=Side.BUY,
        px=Decimal("65038.1"),
        qty=Decimal("0.015"),
        post_only=True,
    )
    head = codec.request_head("v1/create_order") + b'{"order":'
    return lambda: head + writer.write(order, RULES).body + b"}" + codec.request_tail(7)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    arguments = parser.parse_args()
    work = {
        "read a book change": read_book,
        "read an order": read_order,
        "read a ticker": read_ticker,
        "write an order": write_order,
    }
    cases = {(what, encoding): make(encoding) for what, make in work.items() for encoding in Encoding}
    times: dict[tuple[str, Encoding], list[float]] = {case: [] for case in cases}
    turns = random.Random(1)
    for _ in range(arguments.rounds):
        for case in turns.sample(list(cases), len(cases)):
            began = time.perf_counter_ns()
            for _ in range(BATCH):
                cases[case]()
            times[case].append((time.perf_counter_ns() - began) / BATCH / 1000)
    rows = []
    for what in work:
        full, lite = (statistics.median(times[what, encoding]) for encoding in Encoding)
        rows.append(
            {"work": what, "full_us": round(full, 2), "lite_us": round(lite, 2), "lite_of_full": round(lite / full, 3)}
        )
    print(f"{'work':22} {'full us':>9} {'lite us':>9} {'lite/full':>10}")
    for row in rows:
        print(f"{row['work']:22} {row['full_us']:9.2f} {row['lite_us']:9.2f} {row['lite_of_full']:10.3f}")
    print(f"book frame: {len(book_frame(Encoding.FULL, 1))} B full, {len(book_frame(Encoding.LITE, 1))} B lite")
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

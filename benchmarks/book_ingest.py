"""From the bytes of a book frame to a book one can trade on: ours, ccxt.pro, nautilus_trader, and grvt-pysdk's reader.

    python -m benchmarks book_ingest

The same frames for all, recorded from the practice exchange's market; processor time, no network. All that keep a book must
end at the same touch.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.figures import Report
from benchmarks.options import Options
from benchmarks.peers import NAUTILUS
from benchmarks.processes import ours, peer
from benchmarks.recorded_frames import record
from benchmarks.seats import Seated, Seats
from benchmarks.workers.frames import Frames

TURNS = 7
CHANGES = 1000
WHOLE = 100
"""Whole books a pass."""
OURS = "perpmaker"
FLOOR = "floor: typed decoding alone (msgspec)"


def measure(options: Options) -> list[Report]:
    with ExitStack() as until_end:
        path = Path(until_end.enter_context(tempfile.TemporaryDirectory())) / "frames.json"
        about = record(path, options.of(CHANGES, 50))
        seats = Seats("book_ingest", options, until_end)
        mine = seats.seat(lambda: ours("book_ours.py", str(path)))
        ccxt = seats.seat_peer(lambda: peer("book_ccxt.py", str(path)))
        nautilus = seats.seat_peer(lambda: peer("book_nautilus.py", str(path), of=NAUTILUS))
        pysdk = seats.seat_peer(lambda: peer("book_pysdk.py", str(path)))
        for name, seated in (("perpmaker", mine), ("ccxt.pro", ccxt), ("nautilus_trader", nautilus)):
            _agrees(name, seated, Frames(path).touch)
        names = {
            OURS: mine,
            ccxt.about.get("version", "ccxt") + ", pro": ccxt,
            nautilus.about.get("version", "nautilus_trader"): nautilus,
            pysdk.about.get("version", "grvt-pysdk") + " (reads; keeps no book)": pysdk,
        }
        reports = []
        for case, decode, title, per, sampled in (
            ("changes", "decode", "Book changes, frame to book (processor time a frame)", about["changes"], 20),
            ("whole", "decode_whole", "Whole books, frame to book (processor time a frame)", WHOLE, 20),
        ):
            rows = Seats(f"book_ingest, {case}", options, until_end)
            for name, seated in names.items():
                rows.add(name, seated, _request(case, options.of(sampled, 2)), divisor=1000.0 * per)
            rows.add(FLOOR, mine, _request(decode, options.of(sampled, 2)), divisor=1000.0 * per)
            name = "book_ingest" if case == "changes" else "book_ingest_whole"
            reports.append(Report(name, title, rows.take(options.of(TURNS, 2)), FLOOR, about))
    changes, whole = reports
    slower = list(names)[1]
    return [
        changes._replace(
            goals=[
                changes.goal("a book change faster than ccxt.pro, plain Python", slower, OURS, 4.5),
                changes.goal("a book change faster than ccxt.pro, compiled parser (there is none)", slower, OURS, 8),
            ]
        ),
        whole._replace(goals=[whole.goal("a whole book faster than ccxt.pro", slower, OURS, 3.5)]),
    ]


def _request(case: str, calls: int) -> dict[str, Any]:
    return {"case": case, "calls": calls, "warm_up": 2}


def _agrees(name: str, seated: Seated, touch: list[str]) -> None:
    if seated.process is not None and seated.about["touch"] != touch:
        raise RuntimeError(f"{name} ends at {seated.about['touch']}, not at {touch}: it did not do the same work")

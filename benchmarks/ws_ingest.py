"""From a socket to a book: CPU and rate of ours, ccxt.pro, grvt-pysdk, nautilus_trader, and of receiving alone.

    python -m benchmarks ws_ingest

A local server has thousands of recorded frames ready and writes them in one go; each client takes them in as fast as it
can. Clients stay connected and take turns.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.figures import Case, Report, absent
from benchmarks.options import Options, progress
from benchmarks.peers import NAUTILUS
from benchmarks.processes import Process, ours, peer
from benchmarks.recorded_frames import record
from benchmarks.seats import Seats

TURNS = 7
CHANGES = 1000
TIMES = 4
"""How often the recording is played in a turn."""
OURS = "perpmaker"
FLOOR = "floor: picows on uvloop, received alone"
Start = Callable[[str], Process]


def measure(options: Options) -> Report:
    with ExitStack() as until_end:
        path = Path(until_end.enter_context(tempfile.TemporaryDirectory())) / "frames.json"
        about = record(path, options.of(CHANGES, 50))
        times = options.of(TIMES, 2)
        batch = str(times * (about["changes"] + 1))
        server = until_end.enter_context(ours("ws_server.py", str(path)))
        base = f"ws://127.0.0.1:{server.hear()['port']}"
        starts: dict[str, tuple[Start, str, bool]] = {
            "perpmaker": (lambda url: ours("ws_ours.py", url, batch), "", False),
            "ccxt": (lambda url: peer("ws_ccxt.py", url, batch), ", pro", True),
            "nautilus_trader": (lambda url: peer("ws_nautilus.py", url, batch, of=NAUTILUS), "", True),
            "grvt-pysdk": (lambda url: peer("ws_pysdk.py", url, batch), " (keeps no book)", True),
            "websockets": (lambda url: peer("ws_websockets.py", url, batch), ", received alone", True),
            FLOOR: (lambda url: ours("ws_floor.py", url, batch), "", False),
        }
        seats = Seats("ws_ingest", options, until_end)
        seated = {}
        for number, (name, (start, note, is_peer)) in enumerate(starts.items()):
            progress(f"ws_ingest: {name}")

            def begin(start: Start = start, number: int = number) -> Process:
                return start(f"{base}/{number}")

            found = (seats.seat_peer if is_peer else seats.seat)(begin)
            seated[found.about.get("version", name) + note] = number, found
        taken: dict[str, list[list[float]]] = {name: [] for name in seated}
        rates: dict[str, list[float]] = {name: [] for name in seated}
        turns = options.of(TURNS, 2)
        for turn in range(-1, turns):  # the first warms up
            progress(f"ws_ingest: turn {turn + 1} of {turns}")
            for name, (number, found) in seated.items():
                if found.process is not None:
                    server.ask({"to": str(number), "times": times})
                    said = found.process.hear()
                    if turn < 0:
                        continue
                    taken[name].append([said["cpu_ns"] / 1000 / (int(batch) - 1)])
                    rates[name].append((int(batch) - 1) / said["wall_ns"] * 1e9)
    cases = [
        Case(name, taken[name], more={"frames/s, best turn": round(max(rates[name]))})
        if found.process is not None
        else absent(name, found.why)
        for name, (_, found) in seated.items()
    ]
    report = Report(
        "ws_ingest",
        "Book frames, socket to book (processor time a frame)",
        cases,
        FLOOR,
        {**about, "frames a turn": int(batch)},
    )
    websockets = list(seated)[4]
    text = "receiving by the engine's sockets over websockets 13.1"
    return report._replace(goals=[report.goal(text, FLOOR, websockets, 0.35, at_most=True)])

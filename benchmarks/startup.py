"""How long programs take to be there: `perpmaker --help`, an engine until it is ready, imports of ours and of the peers.

    python -m benchmarks startup

Whole processes, wall time, in turns; resident memory at the end of the import beside. Byte code and page cache are warm. An
engine is ready when its control API says that it runs: keys, journal, sockets, account read twice, dead-man timer armed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from benchmarks.figures import Case, Goal, Report, absent
from benchmarks.options import Options, progress
from benchmarks.peers import CLIENTS, HFT, NAUTILUS, Peer, PeerAbsent, python_of
from benchmarks.stack import one_maker, ready_after_s
from benchmarks.usage import MB

TURNS, RUNS = 9, 3
FLOOR = "floor: python -c pass"
HELP = "perpmaker --help"
CORE = "import of the live core"
READY = "perpmaker run, until it is ready"
PYSDK = "import grvt-pysdk"


class Program(NamedTuple):
    """A row: Python code to run, in which environment (None: ours)."""

    name: str
    code: str
    peer: Peer | None = None


PROGRAMS = (
    Program(HELP, "import sys; sys.argv = ['perpmaker', '--help']; from perpmaker.__main__ import main; main()"),
    Program(CORE, "import perpmaker.engine.live"),
    Program("import of the backtest", "import perpmaker.engine.backtest"),
    Program(PYSDK, "import pysdk.grvt_ccxt_ws", CLIENTS),
    Program("import ccxt", "import ccxt", CLIENTS),
    Program("import ccxt.pro", "import ccxt.pro", CLIENTS),
    Program("import nautilus_trader's live node", "import nautilus_trader.live.node", NAUTILUS),
    Program("import nautilus_trader's backtest", "import nautilus_trader.backtest.engine", NAUTILUS),
    Program("import hftbacktest", "import hftbacktest", HFT),
    Program(FLOOR, "pass"),
)
_MEMORY = "import atexit; atexit.register(lambda: open({path!r}, 'w').write(open('/proc/self/status').read()))\n"


def measure(options: Options) -> Report:
    with tempfile.TemporaryDirectory() as name, patch.dict(os.environ, _byte_code(Path(name) / "byte_code")):
        folder = Path(name)
        cases = _programs(folder, options)
        cases.insert(1, _ready(folder, options))
    report = Report("startup", "Until it is there (wall time of the whole process)", cases, FLOOR, {}, unit="ms")
    by_name = {case.name: case for case in cases}
    return report._replace(
        goals=[
            Goal("perpmaker --help", by_name[HELP].median, 400, unit="ms"),
            Goal("import of the live core", by_name[CORE].median, 300, unit="ms"),
            report.goal("import of the live core over grvt-pysdk's", CORE, PYSDK, 0.45, at_most=True),
        ]
    )


def _byte_code(folder: Path) -> dict[str, str]:
    """What makes every program find its byte code, as after an installation: ours is run from its source, and the
    environment may forbid to write any beside it."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder)}


def _programs(folder: Path, options: Options) -> list[Case]:
    pythons: dict[str, Path] = {}
    missing: dict[str, str] = {}
    for program in PROGRAMS:
        try:
            pythons[program.name] = _python(program.peer, options)
        except PeerAbsent as error:
            missing[program.name] = str(error)
    taken: dict[str, list[list[float]]] = {program.name: [] for program in PROGRAMS}
    processor: dict[str, list[float]] = {program.name: [] for program in PROGRAMS}
    memory: dict[str, int] = {}
    turns = options.of(TURNS, 1)
    for turn in range(-1, turns):  # the first fills the caches
        progress(f"startup: turn {turn + 1} of {turns}")
        for program in PROGRAMS:
            if program.name in pythons:
                took_ms, used_ms = _run(pythons[program.name], program.code)
                if turn >= 0:
                    taken[program.name].append([took_ms])
                    processor[program.name].append(used_ms)
                else:
                    memory[program.name] = _resident_mb(pythons[program.name], program.code, folder / "status")
    return [
        absent(program.name, missing[program.name])
        if program.name in missing
        else Case(program.name, taken[program.name], more=_columns(processor[program.name], memory[program.name]))
        for program in PROGRAMS
    ]


def _columns(processor_ms: list[float], resident_mb: int) -> dict[str, float]:
    return {"processor ms": statistics.median(processor_ms), "resident MB": resident_mb}


def _python(peer: Peer | None, options: Options) -> Path:
    if peer is None:
        return Path(sys.executable)
    if not options.peers:
        raise PeerAbsent("peers were not asked for")
    return python_of(peer)


def _run(python: Path, code: str) -> tuple[float, float]:
    """Return milliseconds of the whole process, and of processor time that it used."""
    began = time.perf_counter()
    child = subprocess.Popen([str(python), "-c", code], stdout=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC"})
    _, status, used = os.wait4(child.pid, 0)
    took_ms = (time.perf_counter() - began) * 1000
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{code!r} ended with code {child.returncode}")
    return took_ms, (used.ru_utime + used.ru_stime) * 1000


def _resident_mb(python: Path, code: str, status: Path) -> int:
    """Return what the process has resident when it ends."""
    command = [str(python), "-c", _MEMORY.format(path=str(status)) + code]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TZ": "UTC"})
    resident = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS:"))
    return round(int(resident.split()[1]) * 1024 / MB)


def _ready(folder: Path, options: Options) -> Case:
    taken = []
    for run in range(options.of(RUNS, 1)):
        progress(f"startup: an engine, {run + 1}")
        with one_maker(folder / f"home{run}") as stack:
            taken.append([ready_after_s(stack) * 1000])
    return Case(READY, taken)

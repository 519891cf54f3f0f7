"""Workers of a pool end with their parent, however it ends."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import os, sys, time
from perpmaker.research.tuning.runners import Pool

def pids(pool):
    return {pool._executor.submit(os.getpid).result(60) for _ in range(20)}

if __name__ == "__main__":
    pool = Pool(2)
    print(*pids(pool), flush=True)
    time.sleep(600)
"""
PATIENCE_S = 60


def _lives(pid: int) -> bool:
    """A zombie, which nobody has asked about yet, has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_workers_end_when_their_parent_is_killed(tmp_path: object) -> None:
    script = f"{tmp_path}/parent.py"
    with open(script, "w") as file:
        file.write(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            workers = [int(pid) for pid in parent.stdout.readline().split()]
            assert workers
            assert all(_lives(pid) for pid in workers)
        finally:
            parent.kill()
    ends = time.monotonic() + PATIENCE_S
    while any(_lives(pid) for pid in workers) and time.monotonic() < ends:
        time.sleep(0.05)
    assert not [pid for pid in workers if _lives(pid)]

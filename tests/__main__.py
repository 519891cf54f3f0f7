"""`./run test`: static checks, then every test; the last lines say what passed, failed and was skipped, and why.

Tests run side by side, one more than there are cores because some of them wait. Those marked `mostly_waits` do so after the
rest, and those marked `alone` run one at a time at the end.
`--long` adds the larger counts. Other arguments go to pytest, and then only pytest runs, once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
FAST_PATH = "tests/property/simulation/test_fast_path.py::test_the_fast_path_gives_the_same_result_on_any_tape"
"""Run once before the rest: what it compiles is kept on disk, where the processes of the other tests find it."""


def main(arguments: list[str]) -> int:
    long = "--long" in arguments
    rest = [argument for argument in arguments if argument != "--long"]
    if rest:
        return subprocess.run([sys.executable, "-m", "pytest", *rest], cwd=ROOT, check=False).returncode
    started = time.monotonic()
    failed = [name for name, command in static_checks() if not passes(name, command)]
    scope = "" if long else " and not long"
    side_by_side = str((os.cpu_count() or 2) + 1)
    counts: Counter[str] = Counter()
    skips: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, options in (
            (
                "side by side",
                ["-n", side_by_side, "--dist", "loadgroup", "-m", f"not alone and not mostly_waits{scope}"],
            ),
            ("waiting", ["-n", side_by_side, "--dist", "load", "-m", f"mostly_waits{scope}"]),
            ("alone", ["-m", f"alone{scope}"]),
        ):
            report = Path(folder) / f"{name}.xml"
            command = [sys.executable, "-m", "pytest", "-q", "--durations=8", f"--junitxml={report}", *options]
            print(f"== tests, {name}", flush=True)
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            if code not in (0, 5):  # 5: nothing to run in this part
                failed.append(f"pytest ({name})")
            read(report, counts, skips)
    print(f"\nAll of it took {time.monotonic() - started:.0f} s.")
    for name in failed:
        print(f"FAILED: {name}")
    for reason, number in sorted(skips.items()):
        print(f"skipped {number}: {reason}")
    if not counts["passed"]:
        failed.append("no test ran")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if failed else 0


def static_checks() -> list[tuple[str, list[str]]]:
    return [
        ("ruff check", [str(BIN / "ruff"), "check", "."]),
        ("ruff format", [str(BIN / "ruff"), "format", "--check", "--quiet", "."]),
        ("mypy", [str(BIN / "mypy")]),
        ("import-linter", [str(BIN / "lint-imports"), "--no-cache"]),
        ("compile the backtest's fast path", [sys.executable, "-m", "pytest", "-q", FAST_PATH]),
    ]


def passes(name: str, command: list[str]) -> bool:
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(f"== {name}: {'ok' if done.returncode == 0 else 'FAILED'}", flush=True)
    if done.returncode != 0:
        print(done.stdout)
    return done.returncode == 0


def read(report: Path, counts: Counter[str], skips: Counter[str]) -> None:
    if not report.exists():
        return
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314
        if (skipped := case.find("skipped")) is not None:
            counts["skipped"] += 1
            skips[skipped.get("message", "no reason given")] += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            counts["failed"] += 1
        else:
            counts["passed"] += 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

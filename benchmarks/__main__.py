"""`python -m benchmarks [NAMES]`: measure perpmaker beside its peers, print tables, keep the figures as JSON.

Without names everything that is compared. `exchange_load`, `execution_quality` and `soak` compare nothing with peers; each
runs by its name alone, and what stands behind the name goes to it:
`python -m benchmarks execution_quality --episodes 200`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Report, goals_table, surroundings, write_json
from benchmarks.options import Options, progress

COMPARED = {
    "sign_order": "sign_order",
    "book_ingest": "book_ingest",
    "ws_ingest": "ws_ingest",
    "tick_to_order": "tick_to_order",
    "startup": "startup",
    "memory": "memory",
    "callbacks": "callbacks",
    "journal": "journal",
    "indicators": "indicators",
    "tape_formats": "tape_formats",
    "backtest": "backtest.speed",
}
"""Names, and the module whose `measure` it is."""
ALONE = ("exchange_load", "execution_quality", "simulated_day", "soak", "strategies")
JSON = Path("reports") / "benchmarks.json"


def main(arguments: Sequence[str] | None = None) -> int:
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] and given[0] in ALONE:
        return subprocess.run([sys.executable, "-m", f"benchmarks.{given[0]}", *given[1:]], check=False).returncode
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(COMPARED)}; or {', '.join(ALONE)} alone")
    parser.add_argument("--json", type=Path, default=JSON, help=f"where the figures go (default {JSON})")
    parser.add_argument("--quick", action="store_true", help="a smoke run: seconds each, figures without meaning")
    parser.add_argument("--no-peers", action="store_true", help="ours and floors alone; the peers' rows say absent")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long `callbacks` listens (default 10)")
    parser.add_argument("--long", action="store_true", help="`memory` also plays a day of 20 instruments")
    options = parser.parse_args(given)
    unknown = [name for name in options.names if name not in COMPARED]
    if unknown:
        parser.error(f"{', '.join(unknown)}: none of {', '.join(COMPARED)}")
    wanted = Options(quick=options.quick, peers=not options.no_peers, minutes=options.minutes, long=options.long)
    run(options.names or list(COMPARED), wanted, options.json)
    return 0


def run(names: Sequence[str], options: Options, target: Path) -> list[Report]:
    """Measure, print as it comes, and keep everything in `target`, after each benchmark anew."""
    around = surroundings()
    print(", ".join(f"{key} {value}" for key, value in around.items() if key != "versions"))
    print(", ".join(f"{key} {value}" for key, value in around["versions"].items()))
    if options.quick:
        print("A quick run: these figures say only that everything runs.")
    reports: list[Report] = []
    for name in (name for name in COMPARED if name in names):
        progress(name)
        load = os.getloadavg()[0]
        measured = importlib.import_module(f"benchmarks.{COMPARED[name]}").measure(options)
        for report in [measured] if isinstance(measured, Report) else measured:
            kept = report._replace(more={**report.more, "load average": f"{load:.1f} .. {os.getloadavg()[0]:.1f}"})
            reports.append(kept)
            show(kept)
        write_json(target, around, reports)
    goals = [goal for report in reports for goal in report.goals]
    if goals:
        print(f"\n### Goals\n\n{goals_table(reports)}")
        met = sum(goal.is_met is True for goal in goals)
        print(f"\n{met} of {len(goals)} goals met")
    print(f"\nkept in {target}")
    return reports


def show(report: Report) -> None:
    """Print one benchmark as a table."""
    print(f"\n### {report.title}\n\n{report.table()}\n", flush=True)
    for case in report.cases:
        if case.absent:
            print(f"- {case.name}: absent: {case.absent}")
    for key, value in report.more.items():
        print(f"- {key.replace('_', ' ')}: {_said(value)}", flush=True)


def _said(value: object) -> str:
    """Return what a report tells besides as a sentence's part."""
    if isinstance(value, dict):
        nested = any(isinstance(one, dict) for one in value.values())
        return ("; " if nested else ", ").join(f"{key} {_said(one)}" for key, one in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    sys.exit(main())

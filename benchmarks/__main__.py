"""`python -m benchmarks [NAMES]`: measure side by side, print tables, keep the figures as JSON.

Without names all of them. `exchange_load` and `execution_quality` run by themselves and print their own figures; what is
given beyond the options here goes to them: `python -m benchmarks execution_quality --episodes 200`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from benchmarks import sign_order, soak, tape_formats, tick_to_order
from benchmarks.figures import Report, surroundings, write_json

COMPARED = {
    "sign_order": sign_order.measure,
    "tick_to_order": tick_to_order.measure,
    "tape_formats": tape_formats.measure,
}
ALONE = ("exchange_load", "execution_quality")
JSON = Path("reports") / "benchmarks.json"


def main() -> int:
    if sys.argv[1:2] == ["soak"]:
        return soak.main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *COMPARED, *ALONE], help="default: all")
    parser.add_argument("--json", type=Path, default=JSON, help=f"where the figures go (default {JSON})")
    options, others = parser.parse_known_args()
    names = options.names or [*COMPARED, *ALONE]
    around = surroundings()
    print(", ".join(f"{key} {value}" for key, value in around.items() if key != "versions"))
    print(", ".join(f"{key} {value}" for key, value in around["versions"].items()))
    reports: list[Report] = []
    for name in (name for name in COMPARED if name in names):
        report = COMPARED[name]()
        reports.append(report)
        print(f"\n{report.title}\n\n{report.table()}", flush=True)
        for key, value in report.more.items():
            print(f"{key}: {value}")
    if reports:
        write_json(options.json, around, reports)
        print(f"\nkept in {options.json}")
    codes = [
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *others], check=False).returncode
        for name in ALONE
        if name in names
    ]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m benchmarks strategies`: our strategies and the peers' on the same days, fees and limits.

By default the 40 judging days of `split.json`, each strategy with each fill model. Figures are kept run by run in
DIR/results.jsonl: with --resume what is there is not run again. The table comes to DIR/report.md, everything to
DIR/report.json, the picture to DIR/report.svg. --tape judges recordings besides, each by itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from benchmarks.figures import surroundings
from benchmarks.strategies.contestants import CONTESTANTS, Contestant
from benchmarks.strategies.markets import HOURS, KINDS
from benchmarks.strategies.picture import drawn
from benchmarks.strategies.runs import MODELS, Day, Kept, Run, carry_out, days, kept, plan
from benchmarks.strategies.standings import as_claim, as_json, as_matrix, as_table, recordings_table, standings
from benchmarks.strategies.tuning import variants

FOLDER = Path("reports") / "strategies"
_QUICK_HOURS = 0.1


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            _report([Day("trending", 1, _QUICK_HOURS)], MODELS[:1], CONTESTANTS, Path(folder), 1)
            print("A quick run: these figures say only that everything runs.")
        return 0
    if not (options.resume or options.report):
        (options.out / "results.jsonl").unlink(missing_ok=True)
    if options.tune:
        judged, contestants, models = days("tuning", options.days, options.hours), variants(), MODELS[:1]
    else:
        judged, contestants, models = days("judging", options.days, options.hours), list(CONTESTANTS), options.models
    judged += [Day("recording", path=str(path)) for path in _as_tapes(options.tape, options.out / "tapes")]
    _report(judged, models, contestants, options.out, 0 if options.report else options.processes)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks strategies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--days", type=int, default=40, help="simulated days, the kinds taking turns (default 40)")
    parser.add_argument("--hours", type=float, default=HOURS, help=f"length of a simulated day (default {HOURS:g})")
    parser.add_argument("--processes", type=int, default=1, help="how many at once (default 1)")
    parser.add_argument("--resume", action="store_true", help="go on with what DIR holds")
    parser.add_argument("--report", action="store_true", help="run nothing: say what DIR holds, of whole days")
    parser.add_argument("--quick", action="store_true", help="six minutes of one day: to see that everything runs")
    parser.add_argument("--tune", action="store_true", help="the variants of tuning.py on the tuning days instead")
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=list(MODELS), help="fill models (default: all three)"
    )
    parser.add_argument(
        "--tape", type=Path, nargs="+", default=[], help="recordings: tapes, or raw files that `tape convert` reads"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", default=FOLDER, help=f"(default {FOLDER})")
    return parser


def _report(
    judged: Sequence[Day], models: Sequence[str], contestants: Sequence[Contestant], folder: Path, processes: int
) -> None:
    wanted = plan(judged, contestants, models)
    if processes:
        runs = carry_out(wanted, contestants, folder, processes=processes)
    else:
        done = kept(folder / "results.jsonl")
        runs = {run: done[run] for run in wanted if run in done}
    simulated = [day for day in judged if not day.path]
    found = standings(runs, simulated, contestants)
    text = "\n\n".join(_sections(runs, simulated, contestants))
    print(text, flush=True)
    (folder / "report.md").write_text(text + "\n")
    around = {"around": surroundings(), **as_json(runs, found)}
    (folder / "report.json").write_text(json.dumps(around, default=msgspec.to_builtins) + "\n")
    hours = simulated[0].hours if simulated else 0.0
    told = (
        f"{len(simulated)} seeded days of {hours:g} h, fill model {MODELS[0]}; bars: the mean, 90 % over resampled days"
    )
    (folder / "report.svg").write_text(drawn(runs, simulated, contestants, found, told))
    print(f"\nkept in {folder}/report.md, .json and .svg", file=sys.stderr)


def _sections(runs: dict[Run, Kept], simulated: Sequence[Day], contestants: Sequence[Contestant]) -> list[str]:
    parts = []
    if simulated:
        whole = standings(runs, simulated, contestants)
        seconds = sum(one.seconds for one in runs.values())
        parts += [
            f"## {whole.days} days of {simulated[0].hours:g} h",
            as_claim(whole),
            as_table(whole),
            *([f"Nets by fill model are of the first {whole.banded} days."] if 0 < whole.banded < whole.days else []),
            f"{len(runs)} runs, {seconds / 60:.0f} minutes of processor time.",
        ]
        for kind, (_, _, words) in KINDS.items():
            of_kind = [day for day in simulated if day.kind == kind]
            if of_kind:
                found = standings(runs, of_kind, contestants)
                parts += [f"### {kind}: {words}", as_claim(found), as_table(found)]
        parts += ["### Net per risk, day by day", as_matrix(runs, simulated, contestants)]
    if any(run.day.path for run in runs):
        parts += ["## Recordings", recordings_table(runs)]
    errors = sorted({f"{run.contestant}: {error}" for run, one in runs.items() for error in one.measures.errors})
    if errors:
        parts += ["### Errors", "\n".join(f"- {error}" for error in errors)]
    return parts


def _as_tapes(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Return tapes as they are, and other recordings converted, with the fastest message taken to have needed 1 ms."""
    from perpmaker.tape.importers.convert import Options, convert
    from perpmaker.tape.schema import SUFFIX

    found = []
    for path in paths:
        target = path
        if path.suffix != SUFFIX:
            target = folder / f"{path.name.partition('.')[0]}{SUFFIX}"
            if not target.exists():
                folder.mkdir(parents=True, exist_ok=True)
                convert([path], target, Options(least_latency_ns=1_000_000))
        found.append(target)
    return found


if __name__ == "__main__":
    sys.exit(main())

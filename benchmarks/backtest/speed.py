"""The same made market, the same kind of strategy: perpmaker, hftbacktest, nautilus_trader; reading the rows is the floor.

    python -m benchmarks backtest

One quote at each touch, stated anew by a timer. Every case is a process of its own and they take turns; processor time of
the run alone, without building or loading the data. "Ready after" is processor time too: imports, compilation, loading.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from benchmarks.backtest.market import write_market
from benchmarks.figures import Case, Goal, Report
from benchmarks.options import Options, progress
from benchmarks.peers import HFT, NAUTILUS
from benchmarks.processes import Process, ours, peer
from benchmarks.seats import Seats

from perpmaker.tape.columns import join
from perpmaker.tape.reader import Tape
from perpmaker.tape.schema import Kind

TURNS = 3
MESSAGES, QUICK_MESSAGES = 300_000, 4_000
GAP_NS = 5_400_000
"""Between two messages: 300,000 of them are 27 minutes."""
FLOOR = "floor: the rows' sum, by numpy"
ROW_KINDS = (Kind.SNAPSHOT, Kind.DELTA, Kind.TRADE)


class Form(NamedTuple):
    """One row of the table."""

    engine: str
    text: str
    every_ms: int
    form: tuple[str, ...] = ()

    def start(self, tape: Path, rows: Path) -> Process:
        arguments = (str(self.every_ms), *self.form)
        if self.engine == "perpmaker":
            return ours("backtest_ours.py", str(tape), *arguments)
        if self.engine == "hftbacktest":
            return peer("backtest_hft.py", str(rows), *arguments, of=HFT)
        return peer("backtest_nautilus.py", str(rows), *arguments, of=NAUTILUS)


TIMED, TIMED_100 = (
    Form("perpmaker", "1 s", 1000, ("fast", "timed")),
    Form("perpmaker", "100 ms", 100, ("fast", "timed")),
)
HFT_PYTHON, HFT_PYTHON_100, HFT_JITTED, HFT_JITTED_100 = (
    Form("hftbacktest", f"{text}, {how}", every_ms, (form,))
    for form, how in (("python", "driven from Python"), ("jitted", "jitted strategy"))
    for text, every_ms in (("1 s", 1000), ("100 ms", 100))
)
NAUTILUS_1, NAUTILUS_100 = Form("nautilus_trader", "1 s", 1000), Form("nautilus_trader", "100 ms", 100)
FORMS = (
    TIMED,
    TIMED_100,
    Form("perpmaker", "1 s, event by event", 1000, ("each", "timed")),
    Form("perpmaker", "1 s, a ladder kept up in between", 1000, ("fast", "ladder")),
    Form("perpmaker", "1 s, looks and places nothing", 1000, ("fast", "looks")),
    HFT_PYTHON,
    HFT_JITTED,
    HFT_PYTHON_100,
    HFT_JITTED_100,
    NAUTILUS_1,
    NAUTILUS_100,
)


def measure(options: Options) -> Report:
    with ExitStack() as until_end:
        folder = Path(until_end.enter_context(tempfile.TemporaryDirectory()))
        messages = options.of(MESSAGES, QUICK_MESSAGES)
        tape = write_market(folder / "market.tape", messages=messages, gap_ns=GAP_NS)
        rows = _rows(tape)
        np.save(folder / "rows.npy", rows)
        span_ms = (tape.last_recv_ns - tape.first_recv_ns) / 1e6
        seats = Seats("backtest", options, until_end)
        names: dict[Form, str] = {}
        for form in FORMS:
            progress(f"backtest: {form.engine}, {form.text}")

            def start(form: Form = form) -> Process:
                return form.start(folder / "market.tape", folder / "rows.npy")

            seated = seats.seat(start) if form.engine == "perpmaker" else seats.seat_peer(start)
            names[form] = f"{seated.about.get('version', form.engine)}, {form.text}"
            more: dict[str, Any] = {"ready after s": seated.about["ready_s"]} if seated.process else {}
            seats.add(names[form], seated, {}, divisor=1000.0 * messages, **more)
        cases = [*seats.take(options.of(TURNS, 1)), _floor(rows, messages, options)]
    cases = [_with_rates(case, messages, span_ms, form) for case, form in zip(cases, [*FORMS, None], strict=True)]
    report = Report(
        "backtest",
        f"Backtest of {messages:,} messages in {span_ms / 60_000:.0f} minutes (processor time a message)",
        cases,
        FLOOR,
        {"trades": int((rows[:, 0] == Kind.TRADE).sum())},
    )
    return report._replace(goals=_goals(report, names))


def _rows(tape: Tape) -> np.ndarray:
    """What the peers' workers read: kind, side, price in ticks, lots, event ns, receive ns."""
    columns = join(list(tape.chunks()))
    kept = np.isin(columns.kind, ROW_KINDS)
    wanted = (columns.kind, columns.side, columns.px, columns.qty, columns.event_ns, columns.recv_ns)
    return np.stack([column[kept] for column in wanted], axis=1).astype(np.int64)


def _floor(rows: np.ndarray, messages: int, options: Options) -> Case:
    turns = []
    for _ in range(options.of(TURNS, 1)):
        began = time.process_time_ns()
        rows.sum(axis=0)
        turns.append([(time.process_time_ns() - began) / 1000 / messages])
    return Case(FLOOR, turns)


def _with_rates(case: Case, messages: int, span_ms: float, form: Form | None) -> Case:
    if not case.rounds:
        return case
    more = {"messages/s": round(1e6 / case.median)}
    if form is not None:
        more["decisions/s"] = round(span_ms / form.every_ms / (case.median * messages / 1e6))
    return case._replace(more={**more, **case.more})


def _goals(report: Report, names: dict[Form, str]) -> list[Goal]:
    def goal(text: str, slower: Form, faster: Form, bound: float) -> Goal:
        return report.goal(text, names[slower], names[faster], bound)

    by_name = {case.name: case for case in report.cases}
    fast, peers = by_name[names[TIMED]], by_name[names[HFT_JITTED]]
    memory = fast.more["peak MB"] / peers.more["peak MB"] if peers.rounds else None
    return [
        goal("1 s: faster than hftbacktest, jitted strategy", HFT_JITTED, TIMED, 1.5),
        goal("1 s: faster than hftbacktest driven from Python", HFT_PYTHON, TIMED, 3),
        goal("1 s: faster than nautilus_trader", NAUTILUS_1, TIMED, 100),
        goal("100 ms: faster than hftbacktest, jitted strategy", HFT_JITTED_100, TIMED_100, 1),
        goal("100 ms: faster than hftbacktest driven from Python", HFT_PYTHON_100, TIMED_100, 4),
        goal("100 ms: faster than nautilus_trader", NAUTILUS_100, TIMED_100, 60),
        Goal("decisions a second", by_name[names[TIMED_100]].more.get("decisions/s"), 400_000, at_most=False, unit=""),
        Goal("peak memory over hftbacktest's", memory, 0.6),
        Goal("ready with everything compiled before", fast.more["ready after s"], 1, unit="s"),
    ]

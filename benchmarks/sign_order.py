"""From an order to the bytes of a signed create request: ours, grvt-pysdk, ccxt, and the bare curve.

    python -m benchmarks sign_order

Every case lives in a process of its own and they take turns. The peers run unmodified; their network is answered from
memory, so their time is that of building, signing and encoding, and of reading a small answer.
"""

from __future__ import annotations

import json
from contextlib import ExitStack

from benchmarks.figures import Case, Report
from benchmarks.processes import PURE_PYTHON_CURVE, Process, exchange, ours, peer

TURNS = 7
FLOOR = "bare libsecp256k1 (coincurve)"


def measure() -> Report:
    with ExitStack() as until_end:
        line = until_end.enter_context(exchange("--accounts", "3")).hear()

        def seat(process: Process) -> tuple[Process, dict[str, str]]:
            until_end.enter_context(process)
            return process, process.hear()

        def account(number: int) -> str:
            return json.dumps({**line, "accounts": line["accounts"][number:]})

        mine, about_mine = seat(ours("sign_ours.py"))
        quick, about_pysdk = seat(peer("sign_pysdk.py", account(0)))
        plain, _ = seat(peer("sign_pysdk.py", account(1), environment=PURE_PYTHON_CURVE))
        other, about_ccxt = seat(peer("sign_ccxt.py", account(2)))
        seats = [
            ("perpmaker", mine, "create", 1000),
            (f"{about_pysdk['version']} with coincurve", quick, "create", 200),
            (f"{about_pysdk['version']} as pip installs it", plain, "create", 40),
            (f"{about_ccxt['version']}", other, "create", 40),
            (FLOOR, mine, "curve", 1000),
            ("the same in the peers' environment", quick, "curve", 1000),
        ]
        taken: dict[str, list[list[float]]] = {name: [] for name, *_ in seats}
        for _ in range(TURNS):
            for name, process, case, calls in seats:
                ns = process.ask({"case": case, "calls": calls})
                taken[name].append([value / 1000 for value in ns])
    return Report(
        "sign_order",
        "Sign an order, to bytes (processor time)",
        [Case(name, rounds) for name, rounds in taken.items()],
        FLOOR,
        {"bytes_of_ours": len(about_mine["sample"])},
    )

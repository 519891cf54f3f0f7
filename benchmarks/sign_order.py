"""From an order to the bytes of a signed create request: ours, grvt-pysdk, ccxt, and the bare curve.

    python -m benchmarks sign_order

Every case lives in a process of its own and they take turns. The peers run unmodified; their network is answered from
memory, so their time is that of building, signing and encoding, and of reading a small answer.
"""

from __future__ import annotations

import json
from contextlib import ExitStack

from benchmarks.figures import Report
from benchmarks.options import Options
from benchmarks.processes import PURE_PYTHON_CURVE, exchange, ours, peer
from benchmarks.seats import Seats

TURNS = 7
OURS = "perpmaker"
FLOOR = "bare libsecp256k1 (coincurve)"


def measure(options: Options) -> Report:
    with ExitStack() as until_end:
        line = until_end.enter_context(exchange("--accounts", "3")).hear()

        def account(number: int) -> str:
            return json.dumps({**line, "accounts": line["accounts"][number:]})

        seats = Seats("sign_order", options, until_end)
        mine = seats.seat(lambda: ours("sign_ours.py"))
        quick = seats.seat_peer(lambda: peer("sign_pysdk.py", account(0)))
        plain = seats.seat_peer(lambda: peer("sign_pysdk.py", account(1), environment=PURE_PYTHON_CURVE))
        other = seats.seat_peer(lambda: peer("sign_ccxt.py", account(2)))
        pysdk = quick.about.get("version", "grvt-pysdk")
        with_curve, as_installed = f"{pysdk} with coincurve", f"{pysdk} as pip installs it"
        ccxt = other.about.get("version", "ccxt")
        seats.add(OURS, mine, {"case": "create", "calls": options.of(1000, 50)})
        seats.add(with_curve, quick, {"case": "create", "calls": options.of(200, 10)})
        seats.add(as_installed, plain, {"case": "create", "calls": options.of(40, 3)})
        seats.add(ccxt, other, {"case": "create", "calls": options.of(40, 3)})
        seats.add(FLOOR, mine, {"case": "curve", "calls": options.of(1000, 50)})
        seats.add("the same in the peers' environment", quick, {"case": "curve", "calls": options.of(1000, 50)})
        cases = seats.take(options.of(TURNS, 2))
    report = Report(
        "sign_order",
        "Sign an order, to bytes (processor time)",
        cases,
        FLOOR,
        {"bytes_of_ours": len(mine.about["sample"])},
    )
    return report._replace(
        goals=[
            report.goal("order to signed bytes over the bare curve", OURS, FLOOR, 1.5, at_most=True),
            report.goal("faster than grvt-pysdk with coincurve", with_curve, OURS, 15),
            report.goal("faster than grvt-pysdk as pip installs it", as_installed, OURS, 150),
            report.goal("faster than ccxt", ccxt, OURS, 150),
        ]
    )

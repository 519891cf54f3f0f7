"""A recorded session and its replay: run as a program it prints a digest of what a fresh process makes of the events."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import msgspec
from tests.unit.engine.maker import Maker, made
from tests.unit.engine.rig import BTC, ETH, MAIN, START_NS, Rig

from perpmaker.engine.core import Engine
from perpmaker.model.commands import Command
from perpmaker.model.events import Channel, Event

SPECS = (
    made(lambda params: Maker(params, layers=3), "btc", 1, BTC),
    made(lambda params: Maker(params, layers=2, qty=Decimal("0.1")), "eth", 2, ETH),
)


def record(listen: Callable[[Rig], None] = lambda rig: None) -> Rig:
    """A minute with fills, lost answers, a lost link, a pause, an unexplained position, a close and a kill."""
    rig = Rig(*SPECS)
    listen(rig)
    rig.start()
    for step in range(40):
        rig.mid[BTC] += Decimal((step * 7) % 41 - 20)
        rig.mid[ETH] += Decimal((step * 3) % 5 - 2)
        if step % 4 == 0 and rig.live():
            rig.fill(rig.live()[step % len(rig.live())], None if step % 8 else Decimal("0.005"))
        rig.answers = not 10 <= step < 13
        rig.accepts = step != 16
        if step in (20, 21):
            rig.link(MAIN, Channel.PRIVATE, up=step == 21)
        if step in (25, 27):
            rig.operate("pause" if step == 25 else "resume", strategy="eth")
        rig.run(0.7)
    rig.positions[ETH] = rig.positions.get(ETH, Decimal(0)) + Decimal("0.1")
    rig.run(20)
    rig.operate("close")
    rig.run(5)
    rig.operate("kill")
    rig.run(8)
    return rig


def digest(commands: list[Command], engine: Engine) -> str:
    content = msgspec.json.encode(commands) + engine.state_hash().encode()
    return hashlib.sha256(content).hexdigest()


def replay(events: list[Event]) -> str:
    rig = Rig(*SPECS)
    commands = list(rig.engine.start(START_NS))
    for event in events:
        commands += rig.engine.process(event)
    return digest(commands, rig.engine)


def main() -> None:
    events = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=list[Event])
    sys.stdout.write(replay(events))


if __name__ == "__main__":
    main()

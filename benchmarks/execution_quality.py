"""How well 1 ETH is bought or sold on a thin book: one market order, the original router's schemes, and ours.

    python -m benchmarks execution_quality [--episodes 200] [--qty 1] [--seed 1] [--sockets]

Every episode is one market on the practice exchange's core in virtual time (`thin_market`), the same for every scheme:
0.02 ETH a level, 3 to 7 ticks apart, refilled by seeded flow; 10 ms each way, the venue's 25 ms wait, books each 50 ms. In
one episode of ten the book's link is lost for a second in the first three, in another one the answer to the first order
comes three seconds late. Ours is the very engine that trades live (`virtual_engine`).

The original router's schemes are written from the published description of what they do and of their mistakes, which are
left in and named beside the lines that make them. Figures are of the exchange's own fills, never of what a scheme claims.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from benchmarks.thin_market import LATENCY_NS, Faults, Frame, Lab
from benchmarks.virtual_engine import ready

from perpmaker.exchange.core.rng import Rng
from perpmaker.exchange.core.types import FillReported, OrderStatus, OrderUpdated
from perpmaker.model.order import Side, TimeInForce
from perpmaker.model.units import NS_PER_MS, NS_PER_S

WARM_UP_NS: Final = 4 * NS_PER_S
TICK: Final = Decimal("0.01")
TARGETS: Final = "the original's own targets for 1 ETH: at most 20 s, under 5 bps, 2 to 5 children"
_CLOSED: Final = (OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED)


class Claim(NamedTuple):
    """What a scheme says it did."""

    filled: Decimal
    success: bool


class Outcome(NamedTuple):
    """One episode of one scheme, by the exchange's books."""

    scheme: str
    seed: int
    side: Side
    asked: Decimal
    filled: Decimal
    touch_bps: float | None
    """Signed, > 0 is worse; None when nothing was filled."""
    mid_bps: float | None
    children: int
    seconds: float
    failures: tuple[str, ...]
    """overfilled: more than was asked. false claim: it says it filled what it did not, or not what it did. false success:
    it says that all is done, and it is not."""

    @property
    def share(self) -> float:
        return float(self.filled / self.asked)


class Wire(Protocol):
    """What a scheme trades through: a `Lab` in virtual time, or sockets."""

    now_ns: int
    on_frame: Callable[[Frame], None]
    on_event: Callable[[Any], None]
    on_link: Callable[[bool], None]
    on_told: Callable[..., None]

    def begin(self) -> None: ...
    def run(self, until_ns: int, stop: Callable[[], bool] = ...) -> bool: ...
    def submit(
        self, client_order_id: int, side: Side, qty: Decimal, px: Decimal | None, tif: TimeInForce = ...
    ) -> None: ...


class Plain:
    """A client as simple as the original's: places orders, remembers what it is told, waits."""

    def __init__(self, lab: Wire) -> None:
        self.lab = lab
        self.frame: Frame | None = None
        self.told: dict[int, Decimal] = {}
        self.closed: set[int] = set()
        self._number = 1_000
        lab.on_frame, lab.on_event, lab.on_told = self._frame, self._event, self.tell
        lab.on_link = self._link
        self._up = True

    def place(self, side: Side, qty: Decimal, px: Decimal | None, tif: TimeInForce = TimeInForce.IOC) -> int:
        self._number += 1
        self.told[self._number] = Decimal(0)
        self.lab.submit(self._number, side, qty, px, tif)
        return self._number

    def wait(self, seconds: float, number: int | None = None) -> bool:
        """Let time pass; returns whether the order was told to have ended before."""
        until_ns = self.lab.now_ns + int(seconds * NS_PER_S)
        return self.lab.run(until_ns, lambda: number is not None and number in self.closed)

    def touch_px(self, side: Side) -> Decimal | None:
        self._read()
        return None if self.frame is None else self.frame.touch_px(side)

    def levels(self, side: Side) -> Sequence[tuple[int, int]] | None:
        """What an order of `side` meets, best first; None when the book cannot be read."""
        self._read()
        if self.frame is None:
            return None
        return self.frame.asks if side is Side.BUY else self.frame.bids

    def _read(self) -> None:
        """Ask for the book as it is now; without a link, or after a second, the read has failed."""
        asked_ns, self.frame = self.lab.now_ns, None

        def answered() -> bool:
            return not self._up or (self.frame is not None and self.frame.event_ns >= asked_ns)

        self.lab.run(asked_ns + NS_PER_S, answered)

    def _frame(self, frame: Frame) -> None:
        self.frame = frame

    def _link(self, up: bool) -> None:
        self._up = up
        if not up:
            self.frame = None

    def _event(self, event: object) -> None:
        if isinstance(event, FillReported):
            number = event.fill.client_order_id
            self.tell(number, self.told.get(number, Decimal(0)) + Decimal(event.fill.qty_lots) / 100, ended=False)
        elif isinstance(event, OrderUpdated) and event.order.state.status in _CLOSED:
            number = event.order.terms.client_order_id
            self.tell(number, self.told.get(number, Decimal(0)), ended=True)

    def tell(self, number: int, filled: Decimal, *, ended: bool) -> None:
        """Take in what is heard of an order."""
        self.told[number] = filled
        if ended:
            self.closed.add(number)


def market_order(lab: Wire, side: Side, qty: Decimal) -> Claim:
    """One plain market order, and what it is told of it."""
    client = Plain(lab)
    lab.run(lab.now_ns + WARM_UP_NS)
    lab.begin()
    order = client.place(side, qty, None)
    client.wait(5.0, order)
    filled = client.told[order]
    return Claim(filled, filled >= qty)


def original_iterative(lab: Wire, side: Side, qty: Decimal) -> Claim:
    """The original iterative scheme: three children, a tick more each time, a second each."""
    client = Plain(lab)
    lab.run(lab.now_ns + WARM_UP_NS)
    lab.begin()
    remaining = qty
    for child in range(3):
        px = client.touch_px(side)
        if child == 0 or px is None:
            order = client.place(side, remaining, None)  # mistake: no price at first, nor whenever there is no book
        else:
            order = client.place(side, remaining, px + child * TICK)  # mistake: a tick more is better for a sell
        ended = client.wait(1.0, order)
        if ended:
            remaining -= client.told[order]
        # mistake: without an answer in a second the order counts as not filled and is repeated one tick worse
        if remaining <= 0:
            return Claim(qty, True)
    return Claim(qty - remaining, False)


def original_smart(lab: Wire, side: Side, qty: Decimal) -> Claim:
    """The original smart scheme as written: twenty children, 5 bps from the touch, fifty levels, chunks."""
    client = Plain(lab)
    lab.run(lab.now_ns + WARM_UP_NS)
    lab.begin()
    remaining = qty
    began_ns = lab.now_ns
    for _ in range(20):
        if lab.now_ns - began_ns > 20 * NS_PER_S:
            return Claim(qty - remaining, False)
        levels = client.levels(side)
        if levels is None:
            order = client.place(side, remaining, None)  # mistake: an unbounded order when the book cannot be read
            client.wait(1.0, order)
            remaining -= client.told[order]
            return Claim(qty - remaining, True)
        touch = Decimal(levels[0][0]) * TICK
        worst = touch * (1 + side.sign * Decimal("0.0005"))  # mistake: the cap follows each child's own touch
        chunk = min(remaining, Decimal(levels[0][1]) / 100)  # mistake: the chunk is level one's size alone
        covered, px = Decimal(0), touch
        for ticks, lots in levels[:50]:
            if (Decimal(ticks) * TICK - worst) * side.sign > 0:
                break
            px = Decimal(ticks) * TICK
            covered += Decimal(lots) / 100
            if covered >= chunk:
                break
        # mistake: a price comes back when the depth falls short of the quantity too
        order = client.place(side, chunk, px)
        if client.wait(1.0, order) and client.told[order] >= chunk:
            remaining -= chunk
        # mistake: a partial fill counts as none, and so does an answer that is late
        if remaining <= 0:
            return Claim(qty, True)
    return Claim(qty - remaining, True)  # mistake: having used up the children is called a success


def ours(lab: Lab, side: Side, qty: Decimal, **arguments: str) -> Claim:
    """`sweep` by the engine."""
    engine = ready(lab)
    lab.begin()
    report = engine.execute(side, qty, **{"algo": "sweep", **arguments})
    done = report.ending is not None and report.ending.value == "done"
    return Claim(report.filled_qty, done)


Scheme = Callable[[Lab, Side, Decimal], Claim]
SCHEMES: Final[dict[str, Scheme]] = {
    "one market order": market_order,
    "original iterative": original_iterative,
    "original smart": original_smart,
    "ours: sweep smart": ours,
    "ours: sweep iterative": lambda lab, side, qty: ours(lab, side, qty, preset="iterative"),
}


def faults_of(seed: int) -> Faults:
    """What goes wrong in an episode: one of ten loses its book, one of ten an answer."""
    rng = Rng(seed * 7919 + 17)
    if seed % 10 == 3:
        return Faults(outage_ns=rng.between(100, 3_000) * NS_PER_MS)
    return Faults(loses_first_answer=seed % 10 == 7)


def episode(name: str, seed: int, qty: Decimal, *, faults: Faults | None = None, moves: bool = True) -> Outcome:
    """Run one scheme through one market, then wait until nothing of it can still trade."""
    lab = Lab(seed, faults=faults_of(seed) if faults is None else faults, moves=moves)
    side = Side.BUY if seed % 2 else Side.SELL
    claim = SCHEMES[name](lab, side, qty)
    took_ns = lab.now_ns - lab.began_ns
    lab.run(lab.now_ns + 5 * NS_PER_S)
    return judge(name, seed, side, qty, claim, lab, took_ns)


def judge(name: str, seed: int, side: Side, qty: Decimal, claim: Claim, lab: Lab, took_ns: int) -> Outcome:
    """Measure by the exchange's fills against the book at the time the order was given."""
    fills = lab.fills()
    filled = sum((Decimal(fill.qty_lots) / 100 for fill in fills), Decimal(0))
    mid, touch = lab.arrival_mid_px, lab.arrival_px(side)
    mid_bps = touch_bps = None
    if filled:
        vwap = sum((Decimal(fill.px_ticks * fill.qty_lots) / 10_000 for fill in fills), Decimal(0)) / filled
        touch_bps = float(side.sign * (vwap - touch) / mid * 10_000)
        mid_bps = float(side.sign * (vwap - mid) / mid * 10_000)
    failures = []
    if filled > qty:
        failures.append("overfilled")
    if claim.filled != filled:
        failures.append("false claim")
    if claim.success and filled < qty:
        failures.append("false success")
    return Outcome(name, seed, side, qty, filled, touch_bps, mid_bps, lab.orders, took_ns / NS_PER_S, tuple(failures))


def run(episodes: int, qty: Decimal, first_seed: int) -> list[Outcome]:
    """All schemes through the same markets."""
    return [episode(name, seed, qty) for name in SCHEMES for seed in range(first_seed, first_seed + episodes)]


HEAD: Final = (
    "scheme",
    "filled share",
    "complete",
    "bps from touch p50 / p95",
    "bps from mid p50 / p95",
    "worst bps",
    "children p50 / max",
    "seconds p50 / p95",
    "inside the targets",
    "failures",
)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the comparison as a markdown table."""
    lines = [HEAD, ("---",) * len(HEAD)]
    for name in SCHEMES:
        mine = [outcome for outcome in outcomes if outcome.scheme == name]
        if mine:
            lines.append(_row(name, mine))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _row(name: str, mine: Sequence[Outcome]) -> tuple[str, ...]:
    touch = sorted(o.touch_bps for o in mine if o.touch_bps is not None)
    mid = sorted(o.mid_bps for o in mine if o.mid_bps is not None)
    children, seconds = sorted(o.children for o in mine), sorted(o.seconds for o in mine)
    kinds = ("overfilled", "false claim", "false success")
    counted = [(kind, sum(kind in o.failures for o in mine)) for kind in kinds]
    return (
        name,
        f"{100 * statistics.fmean(min(o.share, 1.0) for o in mine):.1f} %",
        f"{sum(o.filled == o.asked for o in mine)} of {len(mine)}",
        f"{at(touch, 0.5):.2f} / {at(touch, 0.95):.2f}",
        f"{at(mid, 0.5):.2f} / {at(mid, 0.95):.2f}",
        f"{touch[-1]:.2f}",
        f"{at(children, 0.5):.0f} / {children[-1]}",
        f"{at(seconds, 0.5):.1f} / {at(seconds, 0.95):.1f}",
        str(sum(_inside_targets(o) for o in mine)),
        ", ".join(f"{count} {kind}" for kind, count in counted if count) or "none",
    )


def _inside_targets(outcome: Outcome) -> bool:
    """Filled exactly, at most 20 s, under 5 bps from mid, at most 5 children, and told truthfully."""
    return (
        outcome.filled == outcome.asked
        and outcome.seconds <= 20
        and outcome.mid_bps is not None
        and outcome.mid_bps < 5
        and outcome.children <= 5
        and not outcome.failures
    )


def at(values: Sequence[float], share: float) -> float:
    """Return the value at a share of sorted values."""
    return values[min(len(values) - 1, int(share * len(values)))]


def bars(outcomes: Sequence[Outcome], width: int = 50) -> str:
    """Return slippage from mid per scheme as bars of text, p50 solid and p95 shaded."""
    lines = ["slippage from the arrival mid, bps: █ p50, ░ to p95"]
    largest = 0.0
    rows = []
    for name in SCHEMES:
        mid = sorted(o.mid_bps for o in outcomes if o.scheme == name and o.mid_bps is not None)
        if mid:
            rows.append((name, max(at(mid, 0.5), 0.0), max(at(mid, 0.95), 0.0)))
            largest = max(largest, rows[-1][2])
    for name, p50, p95 in rows:
        solid, whole = round(p50 / largest * width), round(p95 / largest * width)
        lines.append(f"{name:22} {'█' * solid}{'░' * (whole - solid)} {p50:.2f} / {p95:.2f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks execution_quality", description=__doc__)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--qty", type=Decimal, default=Decimal(1))
    parser.add_argument("--seed", type=int, default=1, help="of the first episode")
    options = parser.parse_args(arguments)
    outcomes = run(options.episodes, options.qty, options.seed)
    print(f"{options.qty} ETH, {options.episodes} episodes a scheme, seeds from {options.seed}; {TARGETS}\n")
    print(table(outcomes))
    print(f"\n{bars(outcomes)}")
    print(
        f"\none way {LATENCY_NS // NS_PER_MS} ms; one episode of ten loses its book for 1 s, one its first answer for 3 s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

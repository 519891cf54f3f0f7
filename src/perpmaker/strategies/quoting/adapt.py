"""The adaptive tuner: tries one small step of gamma or kappa at a time and takes back what did not pay.

It measures a window as things are, then one with the step, and keeps the step only when net PnL per unit of inventory risk
rose by `min_gain` and the markout did not fall by more than its standard error. Every other outcome takes the step back.
It never leaves its bounds. PnL per risk of one window is about as noisy as a Sharpe ratio of one period, which is why it is
off by default. docs/explanation/quoting-models.md.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from perpmaker.model.order import Side
from perpmaker.model.units import NS_PER_S
from perpmaker.strategies.api import Explained
from perpmaker.strategies.quoting.multiples import PLAIN, Multiples
from perpmaker.strategies.schema import Table, key

Knob = Literal["gamma", "kappa"]
KNOBS: Final[tuple[tuple[Knob, int], ...]] = (("kappa", 1), ("gamma", 1), ("kappa", -1), ("gamma", -1))
"""What is tried in turn: the knob, and whether up or down."""
_LEAST_HELD: Final = 0.1
"""Of an order: less inventory on average counts as this, so that nothing is divided by almost nothing."""


class AdaptParams(Table, frozen=True, kw_only=True):
    """Off by default."""

    on: Annotated[bool, key("", "Try small steps of gamma and kappa, and keep what pays.")] = False
    window_s: Annotated[float, key("s", "How long a setting is measured.", ge=10, le=86_400)] = 900.0
    min_fills: Annotated[int, key("", "With fewer fills in a window it is measured on.", ge=2, le=10_000)] = 30
    max_windows: Annotated[
        int, key("", "After so many windows with too few fills a step is taken back.", ge=1, le=50)
    ] = 4
    step_mult: Annotated[float, key("", "A step is a factor of this, or of 1 over this.", gt=1, le=2)] = 1.15
    max_mult: Annotated[
        float,
        key("", "No knob is ever more than so many times, or less than 1 over this, of where it began.", gt=1, le=10),
    ] = 2.0
    min_gain: Annotated[
        float, key("", "PnL per unit of inventory risk has to rise by this for a step to be kept.", ge=0, le=100)
    ] = 0.5
    markout_s: Annotated[float, key("s", "How long after a fill its markout is taken.", ge=1, le=600)] = 10.0

    def problems(self) -> Sequence[str]:
        if self.step_mult > self.max_mult:
            return (f"step_mult = {self.step_mult:g}: must be at most max_mult = {self.max_mult:g}, or no step fits",)
        return ()


class Look(msgspec.Struct, frozen=True):
    """What the tuner sees once a refresh. Money in quote currency; `sigma` a fraction per square-root second."""

    now_ns: int
    pnl: float
    """Net and cumulative: realised and unrealised, fees paid, funding received."""
    held_notional: float
    order_notional: float
    sigma: float
    is_quoting: bool


class Score(msgspec.Struct, frozen=True):
    """How a window went. `per_risk` is net PnL over sigma x root of time x root mean square of the inventory."""

    per_risk: float
    markout_bps: float
    markout_error_bps: float
    fills: int
    win_share: float
    """Of fills with a markout above 0: shown, never what is optimised."""


class Step(msgspec.Struct, frozen=True):
    """One decision, for the journal."""

    name: Literal["adapt_tried", "adapt_kept", "adapt_took_back", "adapt_waited"]
    fields: Mapping[str, str]


class Memory(msgspec.Struct, frozen=True):
    """What outlives a restart: what was kept, not what was being tried."""

    keys: str
    gamma: float
    kappa: float
    turn: int
    last: str = ""
    """The last decision, for people."""


class _Window:
    """A setting being measured."""

    def __init__(self) -> None:
        self.began_ns = self.last_ns = 0
        self.began_pnl = self.pnl = 0.0
        self.square_s = self.variance_s = 0.0
        """Integrals over time of squared inventory and of squared sigma."""
        self.markouts: list[float] = []
        self.ends = 0
        """How many windows long it is by now, less one."""

    def look(self, look: Look) -> None:
        if not self.began_ns:
            self.began_ns, self.began_pnl = look.now_ns, look.pnl
        else:
            seconds = (look.now_ns - self.last_ns) / NS_PER_S
            held = max(abs(look.held_notional), _LEAST_HELD * look.order_notional)
            self.square_s += held * held * seconds
            self.variance_s += look.sigma * look.sigma * seconds
        self.last_ns, self.pnl = look.now_ns, look.pnl

    @property
    def seconds(self) -> float:
        return (self.last_ns - self.began_ns) / NS_PER_S

    def score(self) -> Score | None:
        """Return how it went, None while there was no risk or too few markouts to say anything."""
        count = len(self.markouts)
        if count < 2 or self.seconds <= 0 or self.variance_s <= 0 or self.square_s <= 0:
            return None
        risk = math.sqrt(self.square_s / self.seconds * self.variance_s)
        mean = sum(self.markouts) / count
        variance = sum((value - mean) ** 2 for value in self.markouts) / (count - 1)
        return Score(
            per_risk=(self.pnl - self.began_pnl) / risk,
            markout_bps=mean,
            markout_error_bps=math.sqrt(variance / count),
            fills=count,
            win_share=sum(value > 0 for value in self.markouts) / count,
        )


class Tuner:
    """One instrument's; `look` returns what was decided, oldest first."""

    def __init__(self, params: AdaptParams, keys: str) -> None:
        self._params = params
        self._keys = keys
        self._kept = PLAIN
        self._tried: Multiples | None = None
        self._turn = 0
        self._window = _Window()
        self._before: Score | None = None
        self._pending: deque[tuple[int, int, float, float]] = deque()
        self._last = "nothing yet"
        self._win_share: float | None = None

    @property
    def on(self) -> bool:
        return self._params.on

    @property
    def multiples(self) -> Multiples:
        """The factors in force: those kept, or those being tried."""
        return self._kept if self._tried is None else self._tried

    def restore(self, memo: str | msgspec.Raw) -> bool:
        """Go on from what was kept in an earlier life; False, beginning at 1, under other keys or without a memory."""
        try:
            memory = msgspec.json.decode(memo, type=Memory)
        except msgspec.MsgspecError:
            return False
        low, high = 1 / self._params.max_mult, self._params.max_mult
        fits = all(math.isfinite(value) and low <= value <= high for value in (memory.gamma, memory.kappa))
        if memory.keys != self._keys or not fits:
            return False
        self._kept, self._turn = Multiples(gamma=memory.gamma, kappa=memory.kappa), memory.turn % len(KNOBS)
        if memory.last:
            self._last = f"before the restart: {memory.last}"
        return True

    def memory(self) -> str:
        kept = self._kept
        return msgspec.json.encode(Memory(self._keys, kept.gamma, kept.kappa, self._turn, self._last)).decode()

    def on_fill(self, now_ns: int, side: Side, px: float, fee_bps: float) -> None:
        """Take a fill; `fee_bps` of its notional, > 0 a cost."""
        if self._params.on:
            due_ns = now_ns + round(self._params.markout_s * NS_PER_S)
            self._pending.append((due_ns, side.sign, px, fee_bps))

    def on_mid(self, now_ns: int, mid: float) -> None:
        """Close the markouts that are due; they count in the window in which they become known."""
        while self._pending and self._pending[0][0] <= now_ns:
            _, sign, px, fee_bps = self._pending.popleft()
            self._window.markouts.append(sign * (mid / px - 1) * 1e4 - fee_bps)

    def on_gap(self) -> None:
        """Nothing was seen for a while: what was being measured cannot be told any more and is begun anew."""
        self._pending.clear()
        self._window = _Window()

    def look(self, look: Look) -> Sequence[Step]:
        """Go on with what is being measured; decide when its window is over."""
        if not self._params.on:
            return ()
        if not look.is_quoting:
            self.on_gap()
            return ()
        window = self._window
        window.look(look)
        if window.seconds < self._params.window_s * (window.ends + 1):
            return ()
        score = window.score()
        if score is None or score.fills < self._params.min_fills:
            return self._too_few(window)
        self._win_share = score.win_share
        self._begin_window()
        if self._tried is None:
            return self._try(score)
        return self._judge(score)

    def shown(self) -> dict[str, Explained]:
        """Return what it does, for the dashboard and the journal."""
        if not self._params.on:
            return {}
        now, window = self.multiples, self._window
        doing = "measuring as it is" if self._tried is None else f"trying {self._tried_text()}"
        of_s = self._params.window_s * (window.ends + 1)
        fills = f"{len(window.markouts)} of {self._params.min_fills} fills"
        return {
            "adapt": f"{doing}: {window.seconds:.0f} of {of_s:.0f} s, {fills}",
            "adapt_last": self._last,
            "adapt_gamma_mult": now.gamma,
            "adapt_kappa_mult": now.kappa,
            "win_rate": self._win_share,
        }

    # --- deciding

    def _try(self, score: Score) -> Sequence[Step]:
        """Begin a step in the next direction that is within bounds."""
        self._before = score
        for _ in KNOBS:
            knob, direction = KNOBS[self._turn]
            value = getattr(self._kept, knob) * self._params.step_mult**direction
            if 1 / self._params.max_mult * (1 - 1e-9) <= value <= self._params.max_mult * (1 + 1e-9):
                self._tried = msgspec.structs.replace(self._kept, **{knob: value})
                return self._told("adapt_tried", f"after {_said(score)}")
            self._turn = (self._turn + 1) % len(KNOBS)
        return ()

    def _judge(self, score: Score) -> Sequence[Step]:
        before, tried = self._before, self._tried
        if before is None or tried is None:
            return ()
        worse_by = before.markout_bps - score.markout_bps
        error = math.hypot(before.markout_error_bps, score.markout_error_bps)
        gain = score.per_risk - before.per_risk
        told = f"{_said(score)}, before {_said(before)}"
        if not gain >= self._params.min_gain:
            return self._take_back(f"gain {gain:+.2f} below min_gain {self._params.min_gain:g}: {told}")
        if not worse_by <= error:
            return self._take_back(f"markout fell by {worse_by:.2f} bps, beyond its error of {error:.2f}: {told}")
        steps = self._told("adapt_kept", f"gain {gain:+.2f}: {told}")
        self._kept, self._tried = tried, None
        return steps

    def _take_back(self, why: str) -> Sequence[Step]:
        steps = self._told("adapt_took_back", why)
        self._tried = None
        self._turn = (self._turn + 1) % len(KNOBS)
        return steps

    def _too_few(self, window: _Window) -> Sequence[Step]:
        """Measure on; take a step back that could not be judged for too long."""
        window.ends += 1
        why = f"{len(window.markouts)} of {self._params.min_fills} fills after {window.seconds:.0f} s"
        if window.ends < self._params.max_windows:
            return ()
        self._begin_window()
        if self._tried is not None:
            return self._take_back(f"too little data: {why}")
        return self._told("adapt_waited", f"too little data: {why}")

    def _begin_window(self) -> None:
        """The end of one window is the beginning of the next; fills of before it belong to neither."""
        ended, self._window = self._window, _Window()
        self._window.began_ns = self._window.last_ns = ended.last_ns
        self._window.began_pnl = self._window.pnl = ended.pnl
        self._pending.clear()

    def _told(
        self, name: Literal["adapt_tried", "adapt_kept", "adapt_took_back", "adapt_waited"], why: str
    ) -> Sequence[Step]:
        step = self._tried_text() if self._tried is not None else "none"
        words = name.removeprefix("adapt_").replace("_", " ")
        self._last = f"{words} {step}: {why}"
        return (Step(name, {"step": step, "why": why}),)

    def _tried_text(self) -> str:
        """Say what is tried, "gamma 1.00 -> 1.15"."""
        if self._tried is None:
            return "nothing"
        knob, _ = KNOBS[self._turn]
        return f"{knob} x{getattr(self._kept, knob):.2f} -> x{getattr(self._tried, knob):.2f}"


def _said(score: Score) -> str:
    return f"{score.per_risk:+.2f} per risk, markout {score.markout_bps:+.2f} bps, {score.fills} fills"

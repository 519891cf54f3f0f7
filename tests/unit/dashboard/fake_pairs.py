"""Pairs of a fake engine: they build and close by the clock, and those of SOL meet a fill that nobody explains."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from perpmaker.control.messages import BookTop, CommandRequest, MarketRow, PairLegRow, PairRow

BASES = {"BTC": ("0.001", "60000"), "ETH": ("0.01", "2600"), "SOL": ("0.1", "150")}
STEPS_A_CLIP = 10


def market(base: str, *, lead: bool, owner: str = "") -> MarketRow:
    """The same base on both venues, with rules and fees of its own."""
    lot, _ = BASES[base]
    return MarketRow(
        instrument=f"{base}_USDT_Perp" if lead else f"{base}_USDC_PERP@backpack",
        symbol=f"{base}_USDT_Perp" if lead else f"{base}_USDC_PERP",
        exchange="grvt" if lead else "backpack",
        base=base,
        quote="USDT" if lead else "USDC",
        accounts=["main"] if lead else ["hedge", "other"] if base == "BTC" else ["hedge"],
        lot=lot,
        tick="0.01",
        min_qty=lot if lead else str(2 * Decimal(lot)),
        min_notional="20" if lead else "0",
        maker_fee_bps="-0.01" if lead else "2",
        taker_fee_bps="4.5" if lead else "5",
        traded_by=owner,
    )


@dataclass
class FakePair:
    """One pair: its position wanders between nothing and its size, the hedge one step behind."""

    name: str
    words: dict[str, str]
    session: str
    lead: Decimal = Decimal(0)
    hedge: Decimal = Decimal(0)
    cycles: int = 0
    phase: str = "open"
    paused: bool = False
    closing: bool = False
    question: str = ""
    text: str = ""
    steps: int = 0
    asked_once: bool = False

    @property
    def base(self) -> str:
        return self.words["instrument"].split("_")[0]

    @property
    def size(self) -> Decimal:
        return Decimal(self.words["size"])

    @property
    def is_over(self) -> bool:
        return self.phase == "end" and self.hedge == -self.lead

    def step(self) -> None:
        self.steps += 1
        behind = -self.lead - self.hedge
        if behind and self.steps % 6 == 0:
            self.hedge += behind
        if self.base == "SOL" and self.lead and not self.asked_once:
            self.asked_once = True
            self.question = (
                f"Unexpected: buy 0.3 {self.words['instrument']} at 151.2 (trade 77) by no order of this pair. Go on?"
            )
        if self.phase == "end" or self.paused or self.question or self.steps % STEPS_A_CLIP:
            return
        clip = Decimal(self.words.get("clip", self.words["size"]))
        wanted = self.size if self.phase == "open" else Decimal(0)
        gap = wanted - self.lead
        self.lead += max(-clip, min(clip, gap))
        if self.lead == wanted:
            self.cycles += 1
            more = self.cycles < int(self.words.get("iterations", "1")) and not self.closing
            self.phase = ("close" if self.phase == "open" else "open") if more else "end"
            self.text = "" if more else "closed, as a person wanted" if self.closing else "every cycle was run"

    def row(self) -> PairRow:
        net = self.lead + self.hedge
        status = "Flat" if not self.lead and not self.hedge else "Hedged" if not net else "Unbalanced"
        state = "asking" if self.question else "paused" if self.paused else "quoting"
        px = Decimal(BASES[self.base][1])
        legs = [
            PairLegRow("main", "grvt", self.words["instrument"], str(self.lead), str(self.lead), str(px)),
            PairLegRow("hedge", "backpack", self.words["hedge_instrument"], str(self.hedge), str(self.hedge), str(px)),
        ]
        return PairRow(
            name=self.name, kind="pair", state=state, reason="", question=self.question, mode=self.words["mode"],
            status=status, phase=self.phase, cycles=self.cycles, asked=int(self.words.get("iterations", "1")), legs=legs,
            net_delta=str(net), net_notional=str(net * px), wanted=self.words["size"] if self.phase == "open" else "0",
            clip="" if self.phase == "end" else "resting", hedge="hedging" if net else "calm",
            waits_for=self.text or "rests for 2 s", reprices=0, skipped=self.steps // 90, unstable=3, hedge_retries=0,
            currency="USDT", volume=1040.13661 * max(self.cycles, 1), gross=0.073, fees=0.2595, funding=0.0012,
            net=-0.1853, edge_bps=1.4, cost_per_million=178.2, basis_bps=-1.83, basis_z=0.7, funding_bps_a_day=2.4,
            breakeven_bps=4.99, rate="1.00018003", rate_from="USDC/USDT: backpack USDT/USDC", rate_age_s=4.0,
            is_over=self.is_over, session=self.session, asked_for=self.words, age_ms=40.0,
        )  # fmt: skip


@dataclass
class FakePairs:
    """What the fake engine has of pairs, besides its markets."""

    pairs: dict[str, FakePair] = field(default_factory=dict)

    def step(self) -> None:
        for pair in self.pairs.values():
            pair.step()

    def rows(self) -> list[PairRow]:
        return [pair.row() for pair in self.pairs.values()]

    def markets(self) -> list[MarketRow]:
        owners = {pair.base: pair.name for pair in self.pairs.values() if not pair.is_over}
        return [market(base, lead=lead, owner=owners.get(base, "")) for base in BASES for lead in (False, True)]

    def tops(self) -> dict[str, BookTop]:
        """The hedge venue's best prices."""
        return {
            market(base, lead=False).instrument: BookTop(px, str(Decimal(px) + Decimal("0.05")), 20.0)
            for base, (_, px) in BASES.items()
        }

    def carry_out(self, request: CommandRequest) -> tuple[str, str]:
        if request.kind == "pair_start":
            return self._start(request)
        pair = self.pairs.get(request.arguments.get("strategy", ""))
        if pair is None:
            return "refused", "no pair of this engine is of that name"
        if request.kind == "pair_answer":
            pair.question = ""
            if request.arguments.get("answer") == "stop":
                pair.phase, pair.text = "end", "stopped by a person's answer"
        elif request.kind in ("pair_pause", "pair_resume"):
            pair.paused = request.kind == "pair_pause"
        elif request.kind == "pair_stop":
            pair.phase, pair.text, pair.question = "end", "stopped by a person", ""
        elif request.kind == "pair_close":
            pair.phase, pair.closing, pair.paused, pair.question = "close", True, False, ""
        return "done", f"{pair.name}: {request.kind.removeprefix('pair_')}"

    def _start(self, request: CommandRequest) -> tuple[str, str]:
        words = dict(request.arguments)
        base = words["instrument"].split("_")[0]
        known = self.pairs.get(f"pair-{base.lower()}")
        if known is not None and not known.is_over:
            return "refused", f"{known.name} is at work on these legs; stop or close it first"
        pair = FakePair(f"pair-{base.lower()}", words, request.command_id)
        self.pairs[pair.name] = pair
        return "done", f"{pair.name}: {words['instrument']} against {words['hedge_instrument']}"

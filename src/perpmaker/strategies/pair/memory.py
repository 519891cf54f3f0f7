"""What a strategy of several legs remembers over its lives, and what it says when a memo is of no use to it any more."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from perpmaker.model.execution import Ending, ExecutionReport
from perpmaker.model.ids import InstrumentId
from perpmaker.strategies.api import Context
from perpmaker.strategies.pair.holdings import Holdings


class Counts(msgspec.Struct):
    """What is counted along the way."""

    skipped: int = 0
    unstable: int = 0
    hedge_retries: int = 0

    def on_execution(self, lead: InstrumentId, report: ExecutionReport) -> None:
        """A target has ended; one that was a hedge and was not reached is tried again."""
        self.hedge_retries += report.order.instrument != lead and report.ending is not Ending.DONE


class PairMemo(msgspec.Struct, kw_only=True):
    """What each of them must know again after a restart."""

    session: str
    holdings: Holdings
    counts: Counts
    question: str = ""


MemoT = TypeVar("MemoT", bound=PairMemo)


class Memory(Generic[MemoT]):
    """Reads the memo of the life before, once, and writes a new one whenever something in it has changed."""

    def __init__(self, kind: type[MemoT], session: str, legs: tuple[InstrumentId, ...]) -> None:
        self.forgot = ""
        """Why the memo of the life before could not be read: what was held is not known then."""
        self._kind = kind
        self._session = session
        self._legs = legs
        self._saved: tuple[object, ...] = ()

    def recall(self, ctx: Context) -> MemoT | None:
        """Return the memo, None when there is none, or it is of another session, of other legs, or cannot be read."""
        text = ctx.recall()
        if not text:
            return None
        try:
            memo = msgspec.json.decode(text, type=self._kind)
        except msgspec.DecodeError as error:
            self._forget(ctx, str(error))
            return None
        if memo.session == self._session and tuple(memo.holdings.legs) == self._legs:
            return memo
        self._leave_behind(ctx, memo)
        return None

    @property
    def end(self) -> str:
        """Why it has to end at once: nothing may be added to positions of which it is not known whose they are."""
        if not self.forgot:
            return ""
        return f"what it held cannot be read any more ({self.forgot}): see to the positions, then begin anew"

    def save(self, ctx: Context, memo: MemoT, *more: object) -> None:
        """Have the memo written down if what it says of the holdings, or any of `more`, is not what it was."""
        held = memo.holdings
        quantities = tuple((leg.qty, leg.base_qty, leg.odd_qty) for leg in held.legs.values())
        now = (held.last, tuple(held.orders), quantities, memo.question, *more)
        if now != self._saved:
            self._saved = now
            ctx.remember(msgspec.json.encode(memo).decode())

    def _forget(self, ctx: Context, why: str) -> None:
        """Say what the accounts hold: whose it is nobody knows any more."""
        self.forgot = why
        held = {name: ctx.position(name).qty for name in self._legs}
        text = ", ".join(f"{qty} {name}" for name, qty in held.items() if qty)
        ctx.notice("warning", "pair_forgot", {"instrument": self._legs[0], "text": why, "held": text or "nothing"})

    def _leave_behind(self, ctx: Context, memo: MemoT) -> None:
        """Say what an earlier session, or other legs, still hold: from now on nobody looks after it."""
        held = ", ".join(f"{leg.qty} {name}" for name, leg in memo.holdings.legs.items() if leg.qty)
        if held:
            fields = {"instrument": self._legs[0], "session": memo.session, "held": held}
            ctx.notice("warning", "pair_left_behind", fields)


def ask(ctx: Context, memo: PairMemo, lead: InstrumentId, question: str) -> None:
    """Ask a person, unless something is being asked already."""
    if not memo.question:
        memo.question = question
        ctx.ask(question)
        ctx.notice("warning", "pair_asked", {"instrument": lead, "question": question})

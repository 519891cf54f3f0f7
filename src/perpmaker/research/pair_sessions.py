"""Sessions of pairs as a journal tells them: read without the engine, while it runs or not.

What a session traded stands in its strategy's own memo, exact, and in the fills booked after that; what was paid as
funding in the events of the accounts; what is still held is valued at the last mark prices written down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import msgspec

from perpmaker.engine.journalfile import Segment, decode_record, segments
from perpmaker.engine.records import (
    Checkpoint,
    Decision,
    EquityMark,
    FillBooked,
    Happened,
    Record,
    Remembered,
    Said,
    StrategyAdded,
)
from perpmaker.model.events import AccountSnapshot, FundingPaid, InstrumentListed
from perpmaker.model.ids import AccountId, InstrumentId
from perpmaker.model.instrument import Instrument
from perpmaker.strategies.pair.holdings import ZERO, Holdings, status_of
from perpmaker.strategies.pair.memory import Counts
from perpmaker.strategies.pair.programme import Programme
from perpmaker.strategies.pair.summary import LegSummary, Summary, leg_summary, summed

_READ: Final = (Checkpoint, Decision, EquityMark, FillBooked, Happened, Remembered, Said, StrategyAdded)
_KINDS: Final = tuple(kind.__name__.encode() for kind in _READ)
_LARGE: Final = Checkpoint.__name__.encode()
"""Read once: it names the instruments of a journal whose beginning was pruned."""
_RATE: Final = " rate"
_TAG_WITHIN: Final = 32
"""The name of a record's kind is among its first bytes."""


class PairSession(msgspec.Struct, frozen=True):
    """One session of a pair. `status`: Flat, Hedged, Unbalanced, Same side; `ended`: why it is over, "" while it is not.

    `accounts`, `mark_px` by instrument; `words`: what it was started with, {} for a pair of the configuration.
    """

    strategy: str
    session: str
    mode: str
    status: str
    ended: str
    began_ns: int
    last_ns: int
    currency: str
    accounts: dict[InstrumentId, AccountId]
    mark_px: dict[InstrumentId, Decimal]
    rate_is_assumed: bool
    words: dict[str, str]
    summary: Summary


class _SessionOnly(msgspec.Struct):
    session: str
    holdings: dict[str, Any]


class _Memo(msgspec.Struct):
    """What a pair and a cross maker both remember."""

    session: str
    holdings: Holdings
    counts: Counts
    programme: Programme | None = None
    stopped: str = ""


class _Rules(msgspec.Struct):
    """Of a checkpoint, what is wanted here."""

    instruments: tuple[Instrument, ...]


class _Seen(msgspec.Struct):
    """A session as it is gathered."""

    strategy: str
    session: str
    began_ns: int
    last_ns: int
    memo: str
    asked: int = 0
    rates: dict[InstrumentId, Decimal] = {}
    """What each leg's currency was worth in the lead's, as the strategy told it last."""
    words: dict[str, str] = {}
    accounts: dict[InstrumentId, AccountId] = {}
    funding: dict[tuple[AccountId, InstrumentId], Decimal] = {}
    fills: list[FillBooked] = []
    """Booked after the last memo."""
    later_ns: int = 0
    """When another session of the strategy began, 0 while none has."""
    marks: dict[InstrumentId, Decimal] = {}
    """The mark prices of that moment: what it held then is valued with them."""


def sessions_in(folder: Path) -> list[PairSession]:
    """Return the sessions of a journal, oldest first."""
    return sessions_of(_records(folder))


def sessions_of(records: Iterable[Record]) -> list[PairSession]:
    """Return the sessions that records tell of, oldest first."""
    gathered = _Gathering()
    for record in records:
        gathered.take(record)
    return gathered.sessions()


def _records(folder: Path) -> Iterator[Record]:
    """Read what sessions are made of; everything else is passed over undecoded."""
    wanted = _KINDS
    for path in segments(folder):
        for offset, payload in Segment(path):
            head = payload[:_TAG_WITHIN]
            if any(kind in head for kind in wanted):
                yield decode_record(payload, f"{path}: byte {offset}")
                if _LARGE in head:
                    wanted = tuple(kind for kind in wanted if kind != _LARGE)


class _Gathering:
    def __init__(self) -> None:
        self._sessions: dict[tuple[str, str], _Seen] = {}
        self._current: dict[str, _Seen] = {}
        self._added: dict[str, StrategyAdded] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._rules: dict[InstrumentId, Instrument] = {}
        self._marks: dict[InstrumentId, Decimal] = {}
        self._paid: set[tuple[AccountId, str]] = set()

    def take(self, record: Record) -> None:
        if isinstance(record, Remembered):
            self._on_memo(record)
        elif isinstance(record, FillBooked):
            self._on_fill(record)
        elif isinstance(record, StrategyAdded):
            self._added[record.words.get("session", "")] = record
        elif isinstance(record, Said):
            self._on_said(record)
        elif isinstance(record, Decision):
            seen = self._current.get(record.strategy)
            legs = list(seen.accounts) if seen is not None else []
            if seen is not None and record.inputs.get("rate") is not None and len(legs) > 1:
                seen.rates[legs[1]] = Decimal(str(record.inputs["rate"]))
        elif isinstance(record, EquityMark):
            self._marks |= record.marks
        elif isinstance(record, Happened):
            self._on_event(record.event)
        elif isinstance(record, Checkpoint):
            for rules in msgspec.msgpack.decode(record.state, type=_Rules).instruments:
                self._rules.setdefault(rules.instrument_id, rules)

    def _on_memo(self, record: Remembered) -> None:
        try:
            session = msgspec.json.decode(record.memo, type=_SessionOnly).session
        except msgspec.DecodeError:
            return  # of a strategy that is no pair
        key = (str(record.strategy), session)
        seen = self._sessions.get(key)
        if seen is None:
            before = self._current.get(key[0])
            if before is not None:
                before.later_ns, before.marks = record.ts_ns, dict(self._marks)
            seen = self._sessions[key] = _Seen(*key, record.ts_ns, record.ts_ns, record.memo)
            self._know(seen, self._added.get(session))
        self._current[key[0]] = seen
        seen.memo, seen.last_ns, seen.fills = record.memo, record.ts_ns, []

    def _know(self, seen: _Seen, added: StrategyAdded | None) -> None:
        """Take over what a session was started with; of a configured pair the memo names the legs alone."""
        legs = msgspec.json.decode(seen.memo, type=_SessionOnly).holdings.get("legs", {})
        seen.accounts = dict.fromkeys(map(InstrumentId, legs), AccountId(""))
        if added is not None:
            words = seen.words = added.words
            seen.accounts[InstrumentId(words.get("instrument", ""))] = added.account
            for leg in ("hedge", "fallback"):
                if f"{leg}_instrument" in words:
                    seen.accounts[InstrumentId(words[f"{leg}_instrument"])] = AccountId(words.get(f"{leg}_account", ""))

    def _on_fill(self, record: FillBooked) -> None:
        self._marks.setdefault(record.fill.instrument, record.fill.px)
        seen = self._current.get(record.strategy)
        if seen is not None:
            seen.accounts[record.fill.instrument] = record.fill.account
            seen.fills.append(record)

    def _on_said(self, record: Said) -> None:
        fields = record.fields
        if record.name.startswith("pair_") and "session" in fields and "cycles" in fields:
            asked = fields["cycles"].partition("/")[2]
            key = fields.get("strategy", ""), fields["session"]
            self._asked[key] = int(asked) if asked.isdigit() else 0
            seen = self._sessions.get(key)
            if seen is not None:
                told = {name.removesuffix(_RATE): text for name, text in fields.items() if name.endswith(_RATE)}
                seen.rates |= {InstrumentId(name): Decimal(text) for name, text in told.items()}

    def _on_event(self, event: object) -> None:
        if isinstance(event, InstrumentListed):
            self._rules[event.instrument.instrument_id] = event.instrument
        elif isinstance(event, FundingPaid):
            self._on_funding(event)
        elif isinstance(event, AccountSnapshot):
            for payment in event.funding:
                self._on_funding(payment)

    def _on_funding(self, event: FundingPaid) -> None:
        """A payment counts once, for the session that was the last one of its pair then."""
        if (event.account, event.payment_id) in self._paid:
            return
        self._paid.add((event.account, event.payment_id))
        key = event.account, event.instrument
        for seen in self._sessions.values():
            if seen.began_ns <= event.ts_event_ns and (not seen.later_ns or event.ts_event_ns < seen.later_ns):
                seen.funding[key] = seen.funding.get(key, ZERO) + event.amount

    # --- the end

    def sessions(self) -> list[PairSession]:
        return sorted((self._session(seen) for seen in self._sessions.values()), key=lambda one: one.began_ns)

    def _session(self, seen: _Seen) -> PairSession:
        memo = msgspec.json.decode(seen.memo, type=_Memo)
        holdings, programme = memo.holdings, memo.programme
        for booked in seen.fills:
            if booked.number > holdings.last and booked.strategy == seen.strategy:
                holdings.legs[booked.fill.instrument].book(booked.fill)
        legs = tuple(self._leg(name, seen, holdings) for name in holdings.legs)
        summary = summed(
            legs,
            self._rates(legs, seen),
            memo.counts,
            net_delta=holdings.delta,
            asked=self._asked.get((seen.strategy, seen.session)) or int(seen.words.get("iterations", "1")),
            cycles=legs[0].fills if programme is None else programme.cycles,
        )
        ended = memo.stopped if programme is None else programme.text if programme.is_over else ""
        return PairSession(
            strategy=seen.strategy,
            session=seen.session,
            mode="cross_maker" if programme is None else programme.mode,
            status=status_of(holdings.legs, self._tolerance(seen, holdings)),
            ended=ended,
            began_ns=seen.began_ns,
            last_ns=seen.last_ns,
            currency=legs[0].currency if legs else "",
            accounts={leg.instrument: seen.accounts.get(leg.instrument, AccountId("")) for leg in legs},
            mark_px={leg.instrument: self._mark_px(seen, leg.instrument) for leg in legs},
            rate_is_assumed=bool(summary.assumed),
            words=seen.words,
            summary=summary,
        )

    def _leg(self, name: InstrumentId, seen: _Seen, holdings: Holdings) -> LegSummary:
        return leg_summary(
            name,
            holdings.legs[name],
            currency=self._rules[name].quote if name in self._rules else "",
            mark_px=self._mark_px(seen, name),
            funding=seen.funding.get((seen.accounts.get(name, AccountId("")), name), ZERO),
        )

    def _mark_px(self, seen: _Seen, name: InstrumentId) -> Decimal:
        marks = seen.marks if seen.later_ns else self._marks
        return marks.get(name, ZERO)

    def _tolerance(self, seen: _Seen, holdings: Holdings) -> Decimal:
        """Return the difference of the legs that is borne: the one asked for, else one larger lot."""
        if "imbalance_tol" in seen.words:
            return Decimal(seen.words["imbalance_tol"])
        return max((self._rules[name].lot for name in holdings.legs if name in self._rules), default=ZERO)

    def _rates(self, legs: tuple[LegSummary, ...], seen: _Seen) -> dict[InstrumentId, Decimal | None]:
        """Return what each leg's currency was worth in the lead's, None where nobody had told that."""
        own = legs[0].currency if legs else ""
        return {leg.instrument: Decimal(1) if leg.currency == own else seen.rates.get(leg.instrument) for leg in legs}

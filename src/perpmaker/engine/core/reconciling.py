"""The reconcilers at work: their conclusions become events, commands, notices and records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from perpmaker.engine.core.ledger import Ledger
from perpmaker.engine.core.world import World
from perpmaker.engine.records import FreezesChanged
from perpmaker.execution.findings import NOTHING, Finding, FindingKind, FreezeCause, Outcome
from perpmaker.execution.reconcile import AccountReconciler
from perpmaker.execution.tracked import OrderChange
from perpmaker.model.commands import Notice
from perpmaker.model.events import Event
from perpmaker.model.ids import AccountId, InstrumentId

_LEVEL: Final = {
    FindingKind.READY: "info",
    FindingKind.UNFROZEN: "info",
    FindingKind.RETIRED: "info",
    FindingKind.MISSING_ORDER: "info",
    FindingKind.NOT_READY: "warning",
    FindingKind.FROZEN: "error",
}
LASTING: Final = (FreezeCause.OVERFILL, FreezeCause.ADJUSTED)
"""Freezes that only a person lifts: they outlast a restart."""


class Reconciling:
    """One reconciler per account, from the start of this life."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._restored: dict[AccountId, Mapping[InstrumentId, Mapping[str, str]]] = {}

    def restore(self, record: FreezesChanged) -> None:
        """Note what was frozen in the life before; only what a person must lift is taken over."""
        self._restored[record.account] = record.freezes

    def start(self) -> None:
        """Make and start the reconcilers, once the ledgers are restored."""
        world = self._world
        for spec in world.spec.accounts:
            ledger = world.ledgers[spec.account]
            traded = world.traded(spec.account)
            reconciler = AccountReconciler(
                spec.account,
                traded,
                world.table,
                position_of=_position_of(ledger),
                mark_px_of=self._mark_px,
                fills_since_ns=ledger.last_fill_ns or world.now_ns,
            )
            world.reconcilers.add(spec.account, reconciler)
            for instrument, causes in self._restored.get(spec.account, {}).items():
                for cause in LASTING:
                    if cause.value in causes:
                        outcome = reconciler.freeze(instrument, cause, causes[cause.value], world.now_ns)
                        self._carry_out(spec.account, outcome)
            self._carry_out(spec.account, reconciler.start(world.now_ns))

    def on_event(self, account: AccountId, event: Event, changes: Sequence[OrderChange] = ()) -> None:
        """Let the account's reconciler learn from an event that the order table and the ledger have seen."""
        reconciler = self._world.reconcilers.get(account)
        if reconciler is None:
            return
        outcome = reconciler.on_event(event, changes, self._world.now_ns)
        if outcome is not NOTHING:
            self._carry_out(account, outcome)

    def on_timer(self, key: str, event: Event) -> bool:
        """Pass a reconciler its timer; returns whether it was one of these."""
        for spec in self._world.spec.accounts:
            reconciler = self._world.reconcilers.get(spec.account)
            if reconciler is not None and reconciler.timer_key == key:
                self.on_event(spec.account, event)
                return True
        return False

    def request_pass(self, account: AccountId, why: str, *, revoke: bool) -> None:
        """Have the account read whole; with `revoke` nothing is placed on it until that read was equal."""
        reconciler = self._world.reconcilers.get(account)
        if reconciler is not None:
            self._carry_out(account, reconciler.request_pass(self._world.now_ns, why, revoke=revoke))

    def unfreeze(self, account: AccountId, instrument: InstrumentId, actor: str) -> list[str]:
        """A person lifts what froze an instrument; returns what that was."""
        reconciler = self._world.reconcilers.get(account)
        if reconciler is None:
            return []
        causes = [f"{cause.value}: {text}" for cause, text in reconciler.freezes().get(instrument, {}).items()]
        if causes:
            self._carry_out(account, reconciler.unfreeze(instrument, actor=actor, now_ns=self._world.now_ns))
        return causes

    def freezes(self, account: AccountId) -> dict[InstrumentId, dict[str, str]]:
        """Return what is frozen and why, by the causes' names."""
        reconciler = self._world.reconcilers.get(account)
        if reconciler is None:
            return {}
        return {
            instrument: {cause.value: text for cause, text in causes.items()}
            for instrument, causes in reconciler.freezes().items()
        }

    def _carry_out(self, account: AccountId, outcome: Outcome) -> None:
        world = self._world
        for evidence in outcome.evidence:
            world.out.conclude(evidence, world.now_ns)
        for command in outcome.commands:
            world.out.command(command)
        for finding in outcome.findings:
            self._tell(finding)
        if outcome.findings and any(
            finding.kind in (FindingKind.FROZEN, FindingKind.UNFROZEN) for finding in outcome.findings
        ):
            world.out.record(FreezesChanged(account, self.freezes(account), world.now_ns))

    def _tell(self, finding: Finding) -> None:
        fields = {"account": str(finding.account), "text": finding.text}
        if finding.instrument is not None:
            fields["instrument"] = finding.instrument
        if finding.client_order_id is not None:
            fields["client_order_id"] = str(finding.client_order_id)
        notice = Notice(_LEVEL.get(finding.kind, "warning"), f"account_{finding.kind.value}", fields, finding.ts_ns)
        if finding.kind in (FindingKind.READY, FindingKind.FROZEN, FindingKind.UNFROZEN, FindingKind.RETIRED):
            self._world.out.tell(notice)
        else:
            self._world.out.tell_seldom(notice, finding.account, str(finding.instrument))

    def _mark_px(self, instrument: InstrumentId) -> Decimal | None:
        prices = self._world.books.prices(instrument)
        return None if prices is None else prices.mark_px


def _position_of(ledger: Ledger) -> Callable[[InstrumentId], Decimal]:
    """Return the lookup of positions in a ledger, whose book a restore replaces."""

    def position_of(instrument: InstrumentId) -> Decimal:
        return ledger.book.position_qty(instrument)

    return position_of

"""What evidence does to an order's state: one pure table over every (state, evidence) pair.

Evidence of the venue may arrive in any order and more than once: the state it leads to is the same, because live states
only move towards OPEN and, among ends, the one that says more wins (`_ENDS`). A terminal state never becomes live again.
What we did ourselves (prepared, cancel sent, cancel failed) arrives in the order it happened.

`CANCEL_SENT` means: the venue has the order, and our cancel is on its way. A cancel of an order that the venue has not
confirmed yet leaves it PREPARED, SENT or UNKNOWN; the confirmation then comes as ACKED_CANCELING.
"""

from __future__ import annotations

import enum
from typing import Final

from perpmaker.model.events import VenueStatus
from perpmaker.model.order import OrderState


class Evidence(enum.Enum):
    """What a piece of evidence says about an order, whatever message it came in."""

    __hash__ = object.__hash__

    PREPARED = "prepared"
    """The intent is written and its bytes leave."""
    NOT_SENT = "not_sent"
    """Certainly no byte left."""
    ACKED = "acked"
    """The venue has it: pending, open or partly filled."""
    ACKED_CANCELING = "acked_canceling"
    """The same, while our cancel is under way."""
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    """The venue's statement about the order."""
    SUBMIT_REFUSED = "submit_refused"
    """The reply to the creation was a certain refusal."""
    SUBMIT_UNKNOWN = "submit_unknown"
    NOT_FOUND = "not_found"
    """A query found nothing: no proof."""
    CANCEL_SENT = "cancel_sent"
    CANCEL_RECEIVED = "cancel_received"
    """A receipt: not a cancel."""
    CANCEL_FAILED = "cancel_failed"
    RETIRED = "retired"
    """Reconciliation proved that the venue does not have it and can no longer get it."""


Step = tuple[OrderState, bool]
"""(state after, whether the evidence contradicts what is known)."""

OF_STATUS: Final = {
    VenueStatus.PENDING: Evidence.ACKED,
    VenueStatus.OPEN: Evidence.ACKED,
    VenueStatus.FILLED: Evidence.FILLED,
    VenueStatus.REJECTED: Evidence.REJECTED,
    VenueStatus.CANCELED: Evidence.CANCELED,
    VenueStatus.EXPIRED: Evidence.EXPIRED,
}

_UNCONFIRMED: Final = (OrderState.PREPARED, OrderState.SENT, OrderState.UNKNOWN)
_CONFIRMED: Final = (OrderState.OPEN, OrderState.CANCEL_SENT)

_ENDS: Final = (
    (OrderState.DENIED, None),
    (OrderState.NOT_SENT, Evidence.NOT_SENT),
    (OrderState.RETIRED, Evidence.RETIRED),
    (OrderState.REJECTED, Evidence.REJECTED),
    (OrderState.EXPIRED, Evidence.EXPIRED),
    (OrderState.CANCELED, Evidence.CANCELED),
    (OrderState.FILLED, Evidence.FILLED),
)
"""Ends, the one that says less first; a fill that completes the quantity is the last word."""
_OUR_CONCLUSIONS: Final = (OrderState.DENIED, OrderState.NOT_SENT, OrderState.RETIRED)
_OF_THE_VENUE: Final = (
    Evidence.ACKED,
    Evidence.ACKED_CANCELING,
    Evidence.FILLED,
    Evidence.CANCELED,
    Evidence.EXPIRED,
    Evidence.REJECTED,
)


def _table() -> dict[OrderState, dict[Evidence, Step]]:
    """Write out every pair: evidence changes nothing but where a rule below says so."""
    state, seen = OrderState, Evidence
    table = {before: dict.fromkeys(Evidence, (before, False)) for before in OrderState}
    for before in (*_UNCONFIRMED, *_CONFIRMED):
        for end, evidence in _ENDS:
            if evidence is not None:
                table[before][evidence] = (end, False)
    for before in _UNCONFIRMED:
        table[before][seen.ACKED] = (state.OPEN, False)
        table[before][seen.ACKED_CANCELING] = (state.CANCEL_SENT, False)
        table[before][seen.SUBMIT_REFUSED] = (state.REJECTED, False)
        table[before][seen.SUBMIT_UNKNOWN] = (state.UNKNOWN, False)
        table[before][seen.NOT_FOUND] = (state.UNKNOWN, False)
    table[state.PREPARED][seen.PREPARED] = (state.SENT, False)
    for before in _CONFIRMED:  # the venue has it: no word about our sending can undo that
        table[before][seen.NOT_SENT] = (before, True)
        table[before][seen.SUBMIT_REFUSED] = (before, True)
    table[state.OPEN][seen.ACKED_CANCELING] = (state.CANCEL_SENT, False)
    table[state.OPEN][seen.CANCEL_SENT] = (state.CANCEL_SENT, False)
    table[state.CANCEL_SENT][seen.CANCEL_FAILED] = (state.OPEN, False)
    for rank, (before, _) in enumerate(_ENDS):
        for end, evidence in _ENDS[rank + 1 :]:
            if evidence is not None:
                table[before][evidence] = (end, False)
        if before in _OUR_CONCLUSIONS:  # the venue has what we thought it could not have
            for evidence in _OF_THE_VENUE:
                table[before][evidence] = (table[before][evidence][0], True)
            table[before][seen.SUBMIT_REFUSED] = (before, False)
    return table


TRANSITIONS: Final = _table()


def step(state: OrderState, evidence: Evidence) -> Step:
    """Return the state after the evidence, and whether the two contradict each other."""
    return TRANSITIONS[state][evidence]

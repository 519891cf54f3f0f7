"""The whole table of order states, pair by pair."""

from __future__ import annotations

import pytest

from perpmaker.execution.machine import OF_STATUS, TRANSITIONS, Evidence, step
from perpmaker.model.events import VenueStatus
from perpmaker.model.order import OrderState

STATES = tuple(OrderState)
COLUMNS = (
    Evidence.PREPARED,
    Evidence.NOT_SENT,
    Evidence.ACKED,
    Evidence.ACKED_CANCELING,
    Evidence.FILLED,
    Evidence.CANCELED,
    Evidence.EXPIRED,
    Evidence.REJECTED,
    Evidence.SUBMIT_REFUSED,
    Evidence.SUBMIT_UNKNOWN,
    Evidence.NOT_FOUND,
    Evidence.CANCEL_SENT,
    Evidence.CANCEL_RECEIVED,
    Evidence.CANCEL_FAILED,
    Evidence.RETIRED,
)

# One line per state, one word per evidence in the order of COLUMNS; "." stays, "!" contradicts what is known.
WORDS = {
    "sent": OrderState.SENT,
    "unkn": OrderState.UNKNOWN,
    "open": OrderState.OPEN,
    "cxlg": OrderState.CANCEL_SENT,
    "fill": OrderState.FILLED,
    "canc": OrderState.CANCELED,
    "rejd": OrderState.REJECTED,
    "expd": OrderState.EXPIRED,
    "nots": OrderState.NOT_SENT,
    "retd": OrderState.RETIRED,
}
#                          prep nots ackd ackc  fill  canc  expd  rejd  refu unkn notf csnt crcv cfai reti
TABLE = {
    OrderState.PREPARED: " sent nots open cxlg  fill  canc  expd  rejd  rejd unkn unkn .    .    .    retd",
    OrderState.SENT: "     .    nots open cxlg  fill  canc  expd  rejd  rejd unkn unkn .    .    .    retd",
    OrderState.UNKNOWN: "  .    nots open cxlg  fill  canc  expd  rejd  rejd .    .    .    .    .    retd",
    OrderState.OPEN: "     .    .!   .    cxlg  fill  canc  expd  rejd  .!   .    .    cxlg .    .    retd",
    OrderState.CANCEL_SENT: ". .!   .    .     fill  canc  expd  rejd  .!   .    .    .    .    open retd",
    OrderState.DENIED: "   .    nots .!   .!    fill! canc! expd! rejd! .    .    .    .    .    .    retd",
    OrderState.NOT_SENT: " .    .    .!   .!    fill! canc! expd! rejd! .    .    .    .    .    .    retd",
    OrderState.RETIRED: "  .    .    .!   .!    fill! canc! expd! rejd! .    .    .    .    .    .    .   ",
    OrderState.REJECTED: " .    .    .    .     fill  canc  expd  .     .    .    .    .    .    .    .   ",
    OrderState.EXPIRED: "  .    .    .    .     fill  canc  .     .     .    .    .    .    .    .    .   ",
    OrderState.CANCELED: " .    .    .    .     fill  .     .     .     .    .    .    .    .    .    .   ",
    OrderState.FILLED: "   .    .    .    .     .     .     .     .     .    .    .    .    .    .    .   ",
}


def test_the_table_names_every_state_and_every_evidence() -> None:
    assert set(TABLE) == set(TRANSITIONS) == set(OrderState)
    assert set(COLUMNS) == set(Evidence)
    assert all(set(row) == set(Evidence) for row in TRANSITIONS.values())


@pytest.mark.parametrize("state", STATES, ids=lambda s: s.value)
@pytest.mark.parametrize("evidence", COLUMNS, ids=lambda e: e.value)
def test_each_pair_steps_as_the_table_says(state: OrderState, evidence: Evidence) -> None:
    words = TABLE[state].split()
    assert len(words) == len(COLUMNS)
    word = words[COLUMNS.index(evidence)]
    expected = state if word.rstrip("!") == "." else WORDS[word.rstrip("!")]
    assert step(state, evidence) == (expected, word.endswith("!"))


@pytest.mark.parametrize("state", [s for s in STATES if s.is_terminal], ids=lambda s: s.value)
def test_a_terminal_order_never_becomes_live_again(state: OrderState) -> None:
    assert all(step(state, evidence)[0].is_terminal for evidence in Evidence)


@pytest.mark.parametrize("evidence", [Evidence.CANCEL_RECEIVED, Evidence.NOT_FOUND, Evidence.CANCEL_FAILED])
def test_receipts_and_not_found_never_end_an_order(evidence: Evidence) -> None:
    assert all(not step(state, evidence)[0].is_terminal for state in STATES if not state.is_terminal)


def test_every_venue_status_is_evidence() -> None:
    assert set(OF_STATUS) == set(VenueStatus)

"""The kill latch."""

from __future__ import annotations

import pytest

from perpmaker.risk.kill import CLEAR_PHRASE, HumanClear, KillLatch
from perpmaker.venues.api import KillEpoch


def test_a_trip_latches_at_once_and_makes_older_approvals_worthless() -> None:
    kill = KillLatch()
    gateways_see: KillEpoch = kill
    before = gateways_see.current
    assert kill.trip("operator", 5)
    assert (kill.latched, kill.reason, kill.since_ns) == (True, "operator", 5)
    assert gateways_see.current > before


def test_the_first_reason_stays() -> None:
    kill = KillLatch()
    kill.trip("operator", 5)
    epoch = kill.current
    assert not kill.trip("loss", 6)
    assert (kill.reason, kill.current) == ("operator", epoch)


@pytest.mark.parametrize(("actor", "typed"), [("", CLEAR_PHRASE), ("ann", ""), ("ann", "yes"), (" ", CLEAR_PHRASE)])
def test_only_a_named_person_who_types_the_words_clears_it(actor: str, typed: str) -> None:
    kill = KillLatch()
    kill.trip("operator", 5)
    with pytest.raises(ValueError, match="type"):
        kill.clear(HumanClear(actor, typed))
    assert kill.latched


def test_clearing_raises_the_epoch_again() -> None:
    kill = KillLatch()
    kill.trip("operator", 5)
    tripped = kill.current
    kill.clear(HumanClear("ann", f"  {CLEAR_PHRASE.upper()} "))
    assert (kill.latched, kill.reason) == (False, "")
    assert kill.current > tripped


def test_a_latch_that_is_not_set_cannot_be_cleared() -> None:
    with pytest.raises(ValueError, match="not set"):
        KillLatch().clear(HumanClear("ann", CLEAR_PHRASE))


def test_a_restart_restores_the_latch_and_never_lowers_the_epoch() -> None:
    kill = KillLatch()
    kill.restore(epoch=9, latched=True, reason="operator", since_ns=5)
    assert (kill.current, kill.latched, kill.reason) == (9, True, "operator")
    kill.restore(epoch=3, latched=False)
    assert (kill.current, kill.latched) == (9, True)

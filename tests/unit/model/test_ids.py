"""Client order ids: whose they are, in 64 bits and in 32, and that none is handed out twice."""

from __future__ import annotations

import pytest

from perpmaker.engine.core.slot import Ids
from perpmaker.model.ids import (
    AccountId,
    ClientOrderIdParts,
    ClientOrderIds,
    NarrowClientOrderIds,
    client_order_id_parts,
    order_ids,
)

GRVT, BACKPACK = AccountId("grvt"), AccountId("backpack")


def test_a_64_bit_id_is_what_it_always_was() -> None:
    made = order_ids(64, instance=5, strategy=3, epoch=9).next()
    assert made == 1 << 63 | 1 << 62 | 5 << 50 | 3 << 44 | 9 << 28 | 1
    assert client_order_id_parts(made) == ClientOrderIdParts(5, 3, 9, 1)


@pytest.mark.parametrize("place", [(0, 0, 0), (15, 15, 2047), (1, 2, 3)])
def test_a_32_bit_id_fits_and_says_whose_it_is(place: tuple[int, int, int]) -> None:
    instance, strategy, epoch = place
    ids = order_ids(32, instance=instance, strategy=strategy, epoch=epoch)
    first, second = ids.next(), ids.next()
    assert 1 << 31 <= first < second < 1 << 32
    assert client_order_id_parts(second, 32) == ClientOrderIdParts(instance, strategy, epoch, 2)


def test_forms_are_told_apart_by_the_accounts_width_alone() -> None:
    narrow = order_ids(32, instance=1, strategy=1, epoch=1).next()
    assert client_order_id_parts(narrow) is None
    assert client_order_id_parts(7, 32) is None
    assert client_order_id_parts(ClientOrderIds(instance=1, strategy=1, epoch=1).next(), 32) is None


def test_32_bit_ids_of_an_epoch_run_low_and_then_end() -> None:
    ids = NarrowClientOrderIds(instance=1, strategy=1, epoch=1)
    made = [ids.next() for _ in range(3584)]
    assert not ids.low
    made += [ids.next() for _ in range(511)]
    assert ids.low
    assert len(set(made)) == 4095
    with pytest.raises(ValueError, match="used up"):
        ids.next()


def test_after_the_last_epoch_there_are_no_32_bit_ids() -> None:
    with pytest.raises(ValueError, match="another `instance`"):
        NarrowClientOrderIds(instance=1, strategy=1, epoch=2048).next()


@pytest.mark.parametrize(("part", "value"), [("instance", 16), ("strategy", 16), ("instance", -1)])
def test_what_does_not_fit_into_32_bits_is_refused(part: str, value: int) -> None:
    with pytest.raises(ValueError, match=part):
        order_ids(32, **{"instance": 1, "strategy": 1, "epoch": 1, part: value})


def test_a_venue_with_fewer_bits_than_that_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        order_ids(31, instance=1, strategy=1, epoch=1)


def test_each_account_gets_ids_of_its_width_and_low_ones_ask_for_the_next_epoch() -> None:
    asked: list[int] = []
    ids = Ids({GRVT: 64, BACKPACK: 32}, instance=1, strategy=2, epoch=3, on_low=lambda: asked.append(1))
    assert ids.next(GRVT) == ClientOrderIds(instance=1, strategy=2, epoch=3).next()
    narrow = [ids.of(BACKPACK)() for _ in range(3585)]
    assert asked == [1]
    ids.renew(4)
    later = ids.next(BACKPACK)
    assert later not in narrow
    assert client_order_id_parts(later, 32) == ClientOrderIdParts(1, 2, 4, 1)

"""Why two simulations fill an order differently: the least set of hftbacktest's rules that turns our result into its."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import msgspec
from benchmarks.fidelity.plan import Fill, Fills, Play
from benchmarks.fidelity.reading import OURS, RULES, THEIRS, Reading

from perpmaker.simulation import QueueModel

_MOST_TOGETHER = 3


class Comparison(msgspec.Struct, frozen=True):
    """One play and one queue model."""

    play: str
    queue: str
    orders: int
    filled: int
    """By either."""
    same: int
    """Of those filled: every time, price and quantity alike."""
    same_qty: int
    """Of those filled: the same quantity, though not at the same times."""
    our_lots: int
    their_lots: int
    both_lots: int
    """The sum of what both filled of the same order."""
    why: dict[str, int]
    """Orders that differ, by the rules that make them; "unexplained" is for none."""
    ours_read: bool
    """The reading with our rules gives our fills."""
    theirs_read: bool


def compare(play: Play, queue: QueueModel, ours: Fills, theirs: Fills) -> Comparison:
    """Count what is alike and say why the rest is not."""
    numbers = [one.number for one in play.orders if one.number in ours or one.number in theirs]
    same = [number for number in numbers if ours.get(number) == theirs.get(number)]
    return Comparison(
        play=play.name,
        queue=queue.value,
        orders=len(play.orders),
        filled=len(numbers),
        same=len(same),
        same_qty=sum(_lots(ours.get(number)) == _lots(theirs.get(number)) for number in numbers),
        our_lots=sum(map(_lots, ours.values())),
        their_lots=sum(map(_lots, theirs.values())),
        both_lots=sum(min(_lots(ours.get(number)), _lots(theirs.get(number))) for number in numbers),
        why=explained(play, queue, theirs, set(numbers) - set(same)),
        ours_read=Reading(play, queue, OURS).fills() == ours,
        theirs_read=Reading(play, queue, THEIRS).fills() == theirs,
    )


def explained(play: Play, queue: QueueModel, theirs: Fills, different: set[int]) -> dict[str, int]:
    """Count, for the orders that differ, which of hftbacktest's rules, set in a reading of ours, give its fills.

    Single rules first, then pairs, then three; what is left is due to all that are different together.
    """
    why: Counter[str] = Counter()
    left = set(different)
    for together in range(1, _MOST_TOGETHER + 1):
        for rules in combinations(RULES, together):
            if not left:
                break
            fills = Reading(play, queue, frozenset(rules)).fills()
            found = {number for number in left if fills.get(number) == theirs.get(number)}
            if found:
                why[" + ".join(rules)] += len(found)
                left -= found
    if left:
        fills = Reading(play, queue, THEIRS).fills()
        found = {number for number in left if fills.get(number) == theirs.get(number)}
        why["more than three together"] += len(found)
        why["unexplained"] += len(left - found)
    return {name: count for name, count in why.most_common() if count}


def _lots(fills: list[Fill] | None) -> int:
    return sum(lots for _, _, lots in fills or ())

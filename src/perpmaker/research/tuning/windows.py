"""Where parameters are looked for and where they are tried afterwards: walk-forward windows that roll over a tape.

Pardo (2008), The Evaluation and Optimization of Trading Strategies, 2nd ed., ch. 11.
"""

from __future__ import annotations

from typing import Final

import msgspec

from perpmaker.errors import ConfigError
from perpmaker.model.units import NS_PER_S

LEAST_S: Final = 1.0
"""A test shorter than this is a mistake."""


class Window(msgspec.Struct, frozen=True):
    """Look from `train_from_ns` to before `train_to_ns`; then try it in the test, which the last window has none of."""

    name: str
    train_from_ns: int
    train_to_ns: int
    test_from_ns: int = 0
    test_to_ns: int = 0

    @property
    def has_test(self) -> bool:
        return self.test_to_ns > self.test_from_ns


def walk_forward(
    from_ns: int, to_ns: int, *, folds: int, train_parts: int = 3, embargo_s: float = 0.0
) -> tuple[Window, ...]:
    """Cut a time into `train_parts + folds` equal parts: fold i looks at parts i to i + train_parts and tries the next one.

    The last window has the newest parts and no test: what is found there would be traded next. A test begins `embargo_s`
    late, so that nothing that was still open in the training is in it (Lopez de Prado 2018, Advances in Financial Machine
    Learning, ch. 7).
    """
    if folds < 1 or train_parts < 1:
        raise ConfigError(
            f"walk-forward needs one fold and one part to train on at least, not {folds} and {train_parts}"
        )
    part_ns = (to_ns - from_ns) // (train_parts + folds)
    embargo_ns = round(embargo_s * NS_PER_S)
    if part_ns - embargo_ns < LEAST_S * NS_PER_S:
        raise ConfigError(
            f"{(to_ns - from_ns) / NS_PER_S:,.0f} s are too short for {folds} fold(s) with an embargo of {embargo_s:g} s: "
            "give a longer tape or fewer folds"
        )
    starts = [from_ns + place * part_ns for place in range(train_parts + folds)] + [to_ns]
    rolled = [
        Window(f"fold {fold + 1}", starts[fold], tested_ns, tested_ns + embargo_ns, starts[fold + train_parts + 1])
        for fold, tested_ns in enumerate(starts[train_parts:-1])
    ]
    return (*rolled, Window("newest", starts[folds], to_ns))

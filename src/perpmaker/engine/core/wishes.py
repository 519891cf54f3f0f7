"""What a strategy said, looked at before anything is done with it: a float for a size stops the strategy, not the engine.

Raised inside the hook's call, so that it counts as the strategy's own mistake. Whether a wish is allowed is the gate's
business; here it is whether it is one at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from perpmaker.engine.core.slot import Wish
from perpmaker.model.guard import Guard
from perpmaker.model.order import NewOrder, Side, TimeInForce, TriggerKind
from perpmaker.model.quote import Algorithm, Quote

_EXPLAINED: Final = (float, int, str, type(None))
_ALGORITHMS: Final = Algorithm.__args__


def check_wish(wish: Wish) -> None:
    """Raise TypeError or ValueError for a wish that is none."""
    for ladder in wish.ladders.values():
        _check_quotes(ladder.bids)
        _check_quotes(ladder.asks)
    for order in wish.orders:
        _check_order(order)
    for qty, algorithm in wish.targets.values():
        _check_amount("target: qty", qty)
        if not isinstance(algorithm, _ALGORITHMS):
            raise TypeError(f"target: algo has to be an algorithm (model.quote), not {_named(algorithm)}")
    for guards in wish.guards.values():
        _check_guards(guards)
    for key, at_ns in wish.timers.items():
        if not isinstance(key, str) or not isinstance(at_ns, int):
            raise TypeError(
                f"set_timer: a text and whole nanoseconds are wanted, not {_named(key)} and {_named(at_ns)}"
            )


def check_explained(inputs: object) -> None:
    """Raise TypeError for an explanation that could not be shown or written down."""
    if not isinstance(inputs, Mapping):
        raise TypeError(f"explain: names with values are wanted, not {_named(inputs)}")
    for name, value in inputs.items():
        if isinstance(value, _EXPLAINED):
            continue
        if isinstance(value, list | tuple):
            fits = all(isinstance(one, str) for one in value)
        else:
            fits = isinstance(value, Sequence)  # one that is worked out when somebody reads it: not here
        if not fits:
            raise TypeError(f"explain: {name} has to be a number, a text, None or a list of texts, not {_named(value)}")


def check_text(what: str, text: object) -> None:
    """Raise TypeError unless it is a text."""
    if not isinstance(text, str):
        raise TypeError(f"{what} has to be a text, not {_named(text)}")


def _check_quotes(quotes: Iterable[Quote]) -> None:
    for quote in quotes:
        if not isinstance(quote, Quote):
            raise TypeError(f"quote: a Quote is wanted, not {_named(quote)}")
        if not isinstance(quote.qty, Decimal):
            raise TypeError(f"quote: qty has to be a Decimal, not {_named(quote.qty)}")
        if not isinstance(quote.px, float | int | Decimal):
            raise TypeError(f"quote: px has to be a float or a Decimal, not {_named(quote.px)}")


def _check_guards(guards: Iterable[Guard]) -> None:
    """A price that is none is no mistake of form: such a guard is not placed, and why is shown."""
    for guard in guards:
        if not isinstance(guard, Guard):
            raise TypeError(f"protect: a Guard is wanted, not {_named(guard)}")
        if not isinstance(guard.kind, TriggerKind) or not isinstance(guard.side, Side):
            raise TypeError(
                f"protect: kind and side have to be TriggerKind and Side, not {guard.kind!r} and {guard.side!r}"
            )
        for name in ("px", "tolerance_bps"):
            if not isinstance(getattr(guard, name), float | int):
                raise TypeError(f"protect: {name} has to be a float, not {_named(getattr(guard, name))}")
        if not guard.tolerance_bps >= 0:  # with NaN no order would ever be near enough
            raise ValueError(f"protect: tolerance_bps has to be at least 0, not {guard.tolerance_bps}")
        _check_amount("protect: slippage_bps", guard.slippage_bps)


def _check_order(order: NewOrder) -> None:
    _check_amount("submit: qty", order.qty)
    if order.px is not None:
        _check_amount("submit: px", order.px)
    if not isinstance(order.side, Side) or not isinstance(order.tif, TimeInForce):
        raise TypeError(f"submit: side and tif have to be Side and TimeInForce, not {order.side!r} and {order.tif!r}")
    check_text("submit: tag", order.tag)


def _check_amount(what: str, amount: object) -> None:
    if not isinstance(amount, Decimal):
        raise TypeError(f"{what} has to be a Decimal, not {_named(amount)}")
    if not amount.is_finite():
        raise ValueError(f"{what} has to be a finite number, not {amount}")


def _named(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"

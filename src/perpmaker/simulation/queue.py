"""Where an order of ours stands in the queue at its price.

What is displayed at a price is a sum: which part of it stands before us is never stated. On arrival all of it does. A trade
at the price takes from the front, so it moves us forward by its size. When the quantity shrinks by more than what traded,
somebody cancelled, before or behind us; the models differ in how likely each is.

Sources: Rigtorp, "Estimating order queue position" (rigtorp.se, 2013), for the idea and f(behind) / (f(behind) + f(ahead));
hftbacktest 2.4, `backtest/models/queue.rs`, `PowerProbQueueFunc` (f(x) = x**n), `RiskAdverseQueueModel`, and its guide
"Probability Queue Models". Ours differs in two ways (docs/explanation/simulation.md): what traded is taken out of the level
before the model is asked who is left behind us, and quantities are integers, so that every machine agrees.
"""

from __future__ import annotations

from typing import Final

from perpmaker.simulation.settings import QueueModel

PARTS: Final = 1_000
"""Queue places are counted in thousandths of a lot: an estimate is no whole number."""


def cancelled_ahead(model: QueueModel, exponent: int, gone: int, ahead: int, behind: int) -> int:
    """Return how much of `gone`, cancelled at our price, stood before us; all in parts of a lot, rounded down.

    POWER: the chance that it stood before us is ahead**n / (ahead**n + behind**n); what would exceed the quantity behind us
    stood before us for sure. RISK_AVERSE: all of it stood behind us, as far as there was anybody.
    """
    if ahead <= 0:
        return 0
    if behind <= 0:
        return min(gone, ahead)
    surely = max(0, gone - behind)
    if model is QueueModel.RISK_AVERSE:
        return min(surely, ahead)
    weight_ahead, weight_behind = ahead**exponent, behind**exponent
    likely: int = gone * weight_ahead // (weight_ahead + weight_behind)
    return min(max(likely, surely), ahead)

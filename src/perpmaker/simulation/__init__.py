"""A venue made of models: queue, latency, fees, funding, margin. Pure: time is an input, chance a seeded generator.

`SimulatedVenue` takes market events and the engine's commands and gives the private events a real gateway gives. Paper
runs it on the live clock, a backtest on the tape's; both through one `Timeline`, so that they give the same fills.
docs/explanation/simulation.md says what it does and where it ends.
"""

from perpmaker.simulation.account import AccountAtRest
from perpmaker.simulation.chance import Chance
from perpmaker.simulation.latency import (
    ConstantLatency,
    FollowingLatency,
    InterpolatedLatency,
    Latency,
    LatencyPoint,
    SampledLatency,
)
from perpmaker.simulation.settings import (
    CAPABILITIES,
    FeeSchedule,
    FillModel,
    MarginBracket,
    MarginRules,
    QueueModel,
    VenueSettings,
    margin_brackets,
)
from perpmaker.simulation.timeline import Timeline
from perpmaker.simulation.venue import SimulatedVenue

__all__ = [
    "CAPABILITIES",
    "AccountAtRest",
    "Chance",
    "ConstantLatency",
    "FeeSchedule",
    "FillModel",
    "FollowingLatency",
    "InterpolatedLatency",
    "Latency",
    "LatencyPoint",
    "MarginBracket",
    "MarginRules",
    "QueueModel",
    "SampledLatency",
    "SimulatedVenue",
    "Timeline",
    "VenueSettings",
    "margin_brackets",
]

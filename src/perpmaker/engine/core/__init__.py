"""The pure core of the engine: events in, commands out; no clock, no sockets, no threads, no configuration."""

from perpmaker.engine.core.answers import Answer
from perpmaker.engine.core.engine import Engine
from perpmaker.engine.core.spec import AccountSpec, EngineSpec, FeeRates, NoProbe, Probe, StrategySpec
from perpmaker.engine.core.state import for_journal

__all__ = [
    "AccountSpec",
    "Answer",
    "Engine",
    "EngineSpec",
    "FeeRates",
    "NoProbe",
    "Probe",
    "StrategySpec",
    "for_journal",
]

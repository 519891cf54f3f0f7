"""Execution algorithms: how a parent order is worked. Pure state machines; the engine carries out what they want."""

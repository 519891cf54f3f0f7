"""What a market maker remembers over its lives: what its tuner kept, and the signal its latch holds."""

from __future__ import annotations

import msgspec

from perpmaker.strategies.signals.latch import LatchMemory


class MakerMemo(msgspec.Struct, frozen=True):
    """As the journal has it; `adapt` is the tuner's own."""

    adapt: msgspec.Raw = msgspec.Raw(b"null")
    latch: LatchMemory | None = None


def decode(text: str) -> MakerMemo:
    """Read a memo; one that cannot be read is none: the tuner begins at 1, and the latch with the bars."""
    try:
        return msgspec.json.decode(text, type=MakerMemo)
    except msgspec.MsgspecError:
        return MakerMemo()


def encode(adapt: str, latch: LatchMemory | None) -> str:
    return msgspec.json.encode(MakerMemo(msgspec.Raw(adapt.encode()), latch)).decode()

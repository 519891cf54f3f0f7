"""What a market maker remembers over its lives: what its tuner kept, and the signal its latch holds."""

from __future__ import annotations

import msgspec

from perpmaker.strategies.signals.latch import LatchMemory


class MakerMemo(msgspec.Struct, frozen=True):
    """As the journal has it; `adapt` is the tuner's own."""

    adapt: msgspec.Raw = msgspec.Raw(b"null")
    latch: LatchMemory | None = None


class _TunersAlone(msgspec.Struct, frozen=True):
    """What tells a memo of before the latch had a place in it: then all of it was the tuner's."""

    keys: str


def decode(text: str) -> MakerMemo:
    """Read a memo; one that cannot be read is none: the tuner begins at 1, and the latch with the bars."""
    try:
        memo = msgspec.json.decode(text, type=MakerMemo)
    except msgspec.MsgspecError:
        return MakerMemo()
    if bytes(memo.adapt) != b"null":
        return memo
    try:
        msgspec.json.decode(text, type=_TunersAlone)
    except msgspec.MsgspecError:
        return memo
    return MakerMemo(msgspec.Raw(text.encode()), memo.latch)


def encode(adapt: str | msgspec.Raw, latch: LatchMemory | None) -> str:
    """`adapt` is the tuner's memory, or what `decode` gave of it."""
    return msgspec.json.encode(MakerMemo(msgspec.Raw(adapt), latch)).decode()

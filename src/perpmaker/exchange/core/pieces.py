"""Large JSON documents written piece by piece, so that nobody ever holds a copy of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

Pieces = Iterable[bytes]
_encode = msgspec.json.Encoder().encode


def struct_pieces(value: msgspec.Struct, long: Mapping[str, Pieces]) -> Iterator[bytes]:
    """Write `value` as msgspec does, with the members that `long` names taken from there."""
    return object_pieces(
        (name, long[name] if name in long else (_encode(getattr(value, name)),)) for name in value.__struct_fields__
    )


def object_pieces(members: Iterable[tuple[str, Pieces]]) -> Iterator[bytes]:
    """Write an object of members that are written already."""
    lead = b"{"
    for name, pieces in members:
        yield lead + _encode(name) + b":"
        yield from pieces
        lead = b","
    yield b"{}" if lead == b"{" else b"}"


def array_pieces(items: Iterable[Pieces]) -> Iterator[bytes]:
    """Write an array of items that are written already."""
    lead = b"["
    for pieces in items:
        yield lead
        yield from pieces
        lead = b","
    yield b"[]" if lead == b"[" else b"]"


def rows_pieces(blocks: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Write one array of all the rows of all blocks, a block to a piece."""
    return array_pieces((_encode(rows)[1:-1],) for rows in blocks if rows)


def joined(pieces: Pieces, size: int) -> Iterator[bytes]:
    """Put small pieces together, up to `size` bytes and one piece."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        if len(waiting) >= size:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perpmaker.dashboard.websocket import (
    CloseCode,
    Opcode,
    ProtocolError,
    Reader,
    Received,
    accept_key,
    close_code,
    close_frame,
    frame,
)

MASK = b"\x01\x80\xff\x33"


def masked(opcode: int, payload: bytes, *, final: bool = True, mask: bytes = MASK) -> bytes:
    """Return a frame as a client sends it (RFC 6455, section 5.2)."""
    length = len(payload)
    head = bytes([(0x80 if final else 0) | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 1 << 16:
        head += b"\xfe" + length.to_bytes(2, "big")
    else:
        head += b"\xff" + length.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def refusal(data: bytes, max_bytes: int = 1000) -> CloseCode:
    with pytest.raises(ProtocolError) as caught:
        Reader(max_bytes).feed(data)
    return caught.value.code


def test_the_handshake_answer_is_that_of_the_standard() -> None:
    assert accept_key(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3


def test_the_masked_hello_of_the_standard_is_read() -> None:
    data = bytes.fromhex("818537fa213d7f9f4d5158")  # RFC 6455, section 5.7
    assert Reader(100).feed(data) == [Received(Opcode.TEXT, b"Hello")]


def test_the_unmasked_hello_of_the_standard_is_written() -> None:
    assert frame(Opcode.TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")  # RFC 6455, section 5.7


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_frame_of_any_length_names_its_length(length: int) -> None:
    written = frame(Opcode.TEXT, b"x" * length)
    assert written.endswith(b"x" * length)
    assert Reader(100_000).feed(masked(Opcode.TEXT, b"x" * length))[0].payload == b"x" * length


messages = st.lists(st.binary(max_size=300), min_size=1, max_size=5)


@given(
    messages=messages,
    fragments=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 40), min_size=1),
    mask=st.binary(min_size=4, max_size=4),
)
def test_messages_come_out_whole_however_they_were_cut(
    messages: list[bytes], fragments: int, cuts: list[int], mask: bytes
) -> None:
    data = b""
    for message in messages:
        size = max(1, -(-len(message) // fragments))
        pieces = [message[at : at + size] for at in range(0, len(message), size)] or [b""]
        for index, piece in enumerate(pieces):
            opcode = Opcode.TEXT if index == 0 else Opcode.CONTINUATION
            data += masked(opcode, piece, final=index == len(pieces) - 1, mask=mask)
            data += masked(Opcode.PING, b"between", mask=mask)
    reader, received, at, turn = Reader(10_000), [], 0, 0
    while at < len(data):
        step = cuts[turn % len(cuts)]
        received += reader.feed(data[at : at + step])
        at, turn = at + step, turn + 1
    assert [one.payload for one in received if one.opcode == Opcode.TEXT] == messages


@given(st.binary(max_size=400))
def test_anything_at_all_is_read_or_refused(data: bytes) -> None:
    reader = Reader(64)
    try:
        received = reader.feed(data)
    except ProtocolError:
        return
    assert all(len(one.payload) <= 125 for one in received)


def test_an_unmasked_frame_is_refused() -> None:
    assert refusal(frame(Opcode.TEXT, b"Hello")) == CloseCode.PROTOCOL_ERROR


def test_reserved_bits_and_unknown_opcodes_are_refused() -> None:
    assert refusal(b"\xc1" + masked(Opcode.TEXT, b"x")[1:]) == CloseCode.PROTOCOL_ERROR
    assert refusal(masked(3, b"x")) == CloseCode.PROTOCOL_ERROR


def test_a_large_frame_is_refused_before_its_content_comes() -> None:
    assert refusal(b"\x81\xff" + (10_000_000).to_bytes(8, "big")) == CloseCode.TOO_BIG


def test_a_large_message_in_small_fragments_is_refused() -> None:
    data = masked(Opcode.TEXT, b"x" * 600, final=False) + masked(Opcode.CONTINUATION, b"x" * 600)
    assert refusal(data) == CloseCode.TOO_BIG


def test_fragments_out_of_order_are_refused() -> None:
    assert refusal(masked(Opcode.CONTINUATION, b"x")) == CloseCode.PROTOCOL_ERROR
    assert refusal(masked(Opcode.TEXT, b"x", final=False) + masked(Opcode.TEXT, b"x")) == CloseCode.PROTOCOL_ERROR


def test_binary_messages_are_refused() -> None:
    assert refusal(masked(Opcode.BINARY, b"x")) == CloseCode.UNSUPPORTED_DATA


def test_long_or_fragmented_control_frames_are_refused() -> None:
    assert refusal(masked(Opcode.PING, b"x" * 126)) == CloseCode.PROTOCOL_ERROR
    assert refusal(masked(Opcode.PING, b"x", final=False)) == CloseCode.PROTOCOL_ERROR


def test_every_frame_counts_fragments_and_pings_too() -> None:
    reader = Reader(100)
    reader.feed(masked(Opcode.TEXT, b"a", final=False) + masked(Opcode.PING, b"") + masked(Opcode.CONTINUATION, b"b"))
    assert reader.frames == 3


def test_a_close_frame_carries_its_code_and_a_reason_that_fits() -> None:
    written = close_frame(CloseCode.STALLED, "x" * 500)
    assert len(written) == 2 + 125
    assert close_code(written[2:]) == CloseCode.STALLED
    assert close_code(b"") == 1005

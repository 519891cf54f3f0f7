from __future__ import annotations

import base64

import pytest

from perpmaker import logs

CANARY = "canary-0f9e8d7c6b5a"


@pytest.fixture(autouse=True)
def canary() -> None:
    logs.register_secret(CANARY)


def test_a_registered_secret_never_passes() -> None:
    assert CANARY not in logs.redacted(f"login with {CANARY} failed")


@pytest.mark.parametrize(
    "text", ["Cookie: gravity=abc123; Path=/", "Authorization: Bearer abc.def", "key 0x" + "ab" * 32, "r=0x" + "0" * 64]
)
def test_what_looks_like_a_secret_is_redacted(text: str) -> None:
    assert logs.REDACTED in logs.redacted(text)


@pytest.mark.parametrize("field", ["api_key", "private_key", "cookie", "signature", "token", "Password"])
def test_a_field_named_like_a_secret_is_redacted(field: str) -> None:
    assert logs.redact_event(None, "", {"event": "x", field: "abc"})[field] == logs.REDACTED


def test_terminal_escapes_of_a_venue_text_are_made_harmless() -> None:
    assert "\x1b" not in logs.redacted("name \x1b[31m red")


def test_long_text_is_cut() -> None:
    assert len(logs.redacted("x" * 100_000)) < 3000


def test_ordinary_numbers_and_addresses_stay_readable() -> None:
    text = "order 0x" + "ab" * 16 + " at 60000.1"
    assert logs.redacted(text) == text
    assert logs.redact_event(None, "", {"event": "x", "px": 1.5})["px"] == 1.5


def test_a_base64_value_is_not_mangled_by_accident() -> None:
    text = base64.b64encode(b"hello").decode()
    assert logs.redacted(text) == text

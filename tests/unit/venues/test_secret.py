"""A secret shows itself to nobody but `reveal`."""

from __future__ import annotations

import copy
import json
import logging
import pickle  # noqa: TID251 (the test shows that it refuses)

import msgspec
import pytest

from perpmaker.venues.secret import Secret

TEXT = "throwaway-canary-key"


def test_only_reveal_gives_the_text_back() -> None:
    assert Secret(TEXT).reveal() == TEXT


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{!r:>20}".format, lambda s: f"{s}", lambda s: f"{[s]}"])
def test_no_formatter_shows_it(shown: object) -> None:
    assert callable(shown)
    text = shown(Secret(TEXT))
    assert TEXT not in text
    assert "[redacted]" in text


@pytest.mark.parametrize("encode", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps, msgspec.json.encode])
def test_no_encoder_takes_it(encode: object) -> None:
    assert callable(encode)
    with pytest.raises(TypeError) as refused:
        encode(Secret(TEXT))
    assert TEXT not in str(refused.value)


def test_it_has_no_attribute_listing() -> None:
    with pytest.raises(TypeError):
        vars(Secret(TEXT))


def test_a_log_line_shows_redacted(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("secret_test").warning("key %s", Secret(TEXT))
    assert TEXT not in caplog.text


def test_an_empty_one_is_false() -> None:
    assert not Secret("")
    assert Secret(TEXT)

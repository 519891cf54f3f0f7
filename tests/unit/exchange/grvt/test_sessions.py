"""Logins: what they give, how long it is good, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from perpmaker.exchange.accounts import new_credentials
from perpmaker.exchange.ethereum import Account, encode_typed_data
from perpmaker.exchange.grvt import signatures
from perpmaker.exchange.grvt.codes import ApiError
from perpmaker.exchange.grvt.schema import Message
from perpmaker.exchange.grvt.sessions import Sessions
from perpmaker.exchange.grvt.signatures import SignatureVerifier
from perpmaker.model.units import NS_PER_S

NOW_NS = 1_767_225_600 * NS_PER_S
ALICE, BOB = new_credentials(0), new_credentials(1)


@pytest.fixture
def sessions() -> Sessions:
    return Sessions([ALICE, BOB], SignatureVerifier(), life_ns=60 * NS_PER_S)


def login(key: str, *, nonce: int = 1, ahead_s: int = 30) -> Message:
    expiration = NOW_NS + ahead_s * NS_PER_S
    signer = Account.from_key(key).address.lower()
    body = {"signer": signer, "nonce": nonce, "expiration": expiration}
    typed = encode_typed_data(signatures._domain(326), signatures._types("WalletLogin"), body)
    made = Account.from_key(key).sign_message(typed)
    return {**body, "r": f"0x{made.r:064x}", "s": f"0x{made.s:064x}", "v": made.v}


def test_key_login_gives_a_cookie_that_finds_the_session(sessions: Sessions) -> None:
    session = sessions.log_in_by_key(ALICE.api_key, NOW_NS)
    assert sessions.find(f"gravity={session.token}", session.account_id, NOW_NS) == session
    assert session.reply()["sub_account_id"] == ALICE.sub_account_id


@pytest.mark.parametrize("header", ["gravity={0}; gravity={0}", "rm=true; gravity={0}", "gravity=stale;gravity={0};"])
def test_cookie_is_found_however_it_is_sent(sessions: Sessions, header: str) -> None:
    session = sessions.log_in_by_key(ALICE.api_key, NOW_NS)
    assert sessions.find(header.format(session.token), session.account_id, NOW_NS) == session


def test_set_cookie_has_the_one_form_every_client_reads(sessions: Sessions) -> None:
    session = sessions.log_in_by_key(ALICE.api_key, NOW_NS)
    first, path, expires, http_only = session.set_cookie().split("; ")
    assert (first, path, http_only) == (f"gravity={session.token}", "Path=/", "HttpOnly")
    read = datetime.strptime(expires.removeprefix("Expires="), "%a, %d %b %Y %H:%M:%S GMT").replace(tzinfo=UTC)
    assert read.timestamp() * NS_PER_S == session.expires_ns


def test_unknown_key_is_refused(sessions: Sessions) -> None:
    with pytest.raises(ApiError) as refused:
        sessions.log_in_by_key("nonsense", NOW_NS)
    assert refused.value.code == 1000


def test_session_ends_with_its_life(sessions: Sessions) -> None:
    session = sessions.log_in_by_key(ALICE.api_key, NOW_NS)
    header = f"gravity={session.token}"
    assert sessions.find(header, session.account_id, NOW_NS + 60 * NS_PER_S - 1) == session
    assert sessions.find(header, session.account_id, NOW_NS + 60 * NS_PER_S) is None


def test_session_needs_cookie_and_account_id_of_one_account(sessions: Sessions) -> None:
    alice = sessions.log_in_by_key(ALICE.api_key, NOW_NS)
    bob = sessions.log_in_by_key(BOB.api_key, NOW_NS)
    assert sessions.find("", alice.account_id, NOW_NS) is None
    assert sessions.find(f"gravity={alice.token}", "", NOW_NS) is None
    with pytest.raises(ApiError) as refused:
        sessions.find(f"gravity={alice.token}", bob.account_id, NOW_NS)
    assert refused.value.code == 1001


def test_expired_sessions_are_those_asked_for(sessions: Sessions) -> None:
    alice = sessions.log_in_by_key(ALICE.api_key, NOW_NS)
    bob = sessions.log_in_by_key(BOB.api_key, NOW_NS)
    assert sessions.expire(int(ALICE.sub_account_id)) == 1
    assert sessions.find(f"gravity={alice.token}", alice.account_id, NOW_NS) is None
    assert sessions.find(f"gravity={bob.token}", bob.account_id, NOW_NS) == bob
    assert sessions.expire() == 1


def test_wallet_login_works_once(sessions: Sessions) -> None:
    signature = login(ALICE.private_key)
    session = sessions.log_in_by_wallet(ALICE.signer, signature, NOW_NS)
    assert session.main_account == ALICE.main_account
    with pytest.raises(ApiError):
        sessions.log_in_by_wallet(ALICE.signer, signature, NOW_NS)
    sessions.log_in_by_wallet(ALICE.signer, login(ALICE.private_key, nonce=2), NOW_NS)


@pytest.mark.parametrize(
    ("ahead_s", "code"),
    [(0, 2001), (301, 2008)],
)
def test_wallet_login_is_good_for_five_minutes_at_most(sessions: Sessions, ahead_s: int, code: int) -> None:
    with pytest.raises(ApiError) as refused:
        sessions.log_in_by_wallet(ALICE.signer, login(ALICE.private_key, ahead_s=ahead_s), NOW_NS)
    assert refused.value.code == code


def test_wallet_login_of_somebody_else_is_refused(sessions: Sessions) -> None:
    with pytest.raises(ApiError) as refused:
        sessions.log_in_by_wallet(ALICE.signer, login(BOB.private_key), NOW_NS)
    assert refused.value.code == 2002
    stranger = "0x" + "1" * 64
    with pytest.raises(ApiError) as refused:
        sessions.log_in_by_wallet(Account.from_key(stranger).address.lower(), login(stranger), NOW_NS)
    assert refused.value.code == 1000

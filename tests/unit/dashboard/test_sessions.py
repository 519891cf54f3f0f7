import stat
from pathlib import Path

from perpmaker.clock import ManualClock
from perpmaker.dashboard.sessions import IDLE_NS, MAX_SESSIONS, Backoff, Sessions, Token

SECOND = 1_000_000_000


async def test_only_the_token_itself_matches() -> None:
    token = Token("correct-horse")
    assert await token.matches("correct-horse")
    for wrong in ("", "correct-hors", "correct-horse ", "Correct-horse", "ключ"):
        assert not await token.matches(wrong)


def test_a_session_is_found_by_its_cookie_alone() -> None:
    sessions = Sessions(ManualClock())
    cookie, session = sessions.open()
    assert sessions.find(cookie) == session
    for wrong in ("", cookie[:-1], cookie + "x", session.digest, "x" * 10_000):
        assert sessions.find(wrong) is None


def test_sessions_have_different_cookies_and_csrf_tokens() -> None:
    sessions = Sessions(ManualClock())
    made = [sessions.open() for _ in range(20)]
    assert len({cookie for cookie, _ in made}) == 20
    assert len({session.csrf for _, session in made}) == 20


def test_a_session_ends_twelve_hours_after_its_last_use() -> None:
    clock = ManualClock()
    sessions = Sessions(clock)
    cookie, _ = sessions.open()
    clock.advance(IDLE_NS)
    assert sessions.find(cookie) is not None
    clock.advance(IDLE_NS)
    assert sessions.find(cookie) is not None
    clock.advance(IDLE_NS + 1)
    assert sessions.find(cookie) is None


def test_the_longest_unused_session_makes_room_for_a_new_one() -> None:
    clock = ManualClock()
    sessions = Sessions(clock)
    cookies = []
    for _ in range(MAX_SESSIONS):
        clock.advance(SECOND)
        cookies.append(sessions.open()[0])
    clock.advance(SECOND)
    assert sessions.find(cookies[0]) is not None
    sessions.open()
    assert sessions.find(cookies[0]) is not None
    assert sessions.find(cookies[1]) is None


def test_a_closed_session_is_over() -> None:
    sessions = Sessions(ManualClock())
    cookie, session = sessions.open()
    sessions.close(session)
    assert sessions.find(cookie) is None
    assert not sessions.touch(session)


def test_sessions_outlive_a_restart_in_a_private_file_that_opens_nothing(tmp_path: Path) -> None:
    clock, file = ManualClock(), tmp_path / "sessions"
    cookie, session = Sessions(clock, file).open()
    assert Sessions(clock, file).find(cookie) == session
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_text()
    assert cookie not in content
    assert session.csrf not in content


def test_a_broken_file_means_logging_in_again(tmp_path: Path) -> None:
    file = tmp_path / "sessions"
    file.write_text('{"a": "b"')
    assert Sessions(ManualClock(), file).find("a") is None


def test_five_wrong_tries_are_followed_by_waits_that_double_up_to_thirty_seconds() -> None:
    backoff = Backoff()
    now = 0
    waits = []
    for _ in range(12):
        backoff.failed(now)
        waits.append(backoff.wait_s(now))
        now += int(waits[-1] * SECOND)
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 30, 30, 30]


def test_a_right_try_ends_the_back_off() -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.failed(0)
    backoff.succeeded()
    assert backoff.wait_s(0) == 0
    backoff.failed(0)
    assert backoff.wait_s(0) == 0

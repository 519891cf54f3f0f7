"""What the network and the venue do to a quoting engine, over real sockets: RELIABILITY N1, N2, N5, N6, N8, N9, N12, E17,
E19, D1, D2, D4, D7, P11, T3; R13, R14; I2, I3, I4, I6, I8.

Each test lets a fault happen while three makers have orders in the book, proves by the exchange's own counters or by the
engine's journal that it did, and holds the engine to four things: no order reaches the venue beyond the bound after which
the engine has to know; what rests is pulled, cancels pass; it quotes again soon after the fault is over; and the oracle
finds nothing.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from tests.chaos.harness import PATIENCE_S, SYMBOLS, FaultRule, Stack, now_ns, until
from tests.chaos.oracle import Oracle, read_journal
from tests.chaos.venue import VenueOrder

from perpmaker.engine.records import Happened, Intent, Said
from perpmaker.model.events import AccountSnapshot, CancelSent
from perpmaker.model.units import NS_PER_S

pytestmark = [pytest.mark.mostly_waits, pytest.mark.timeout(300)]

RECOVER_S = 15.0
"""From the end of a fault until every instrument is quoted again (issue, item 5)."""
SAME_STEP_S = 1.0
"""A bound of "at once", as seen from outside: an order may have been on its way when the fault hit, and either process may
have to wait for the processor. That it is the same step inside the engine, the oracle sees in the journal (I6)."""
MARKET_MUTE_S = 2.0 + SAME_STEP_S
PRIVATE_MUTE_S = 5.0 + SAME_STEP_S
UNANSWERED_S = 2.0 + SAME_STEP_S
"""Without an answer for 2 s a creation's outcome is unknown, and two of those stop the instrument."""
PULLED_S = 2.0
FAULT_S = 2.0
FROZEN_S = 4.0
CREATES = ("create_order", "bulk_orders")
BY_US = ("CLIENT_CANCEL", "CLIENT_BULK_CANCEL", "CLIENT_REPLACE")
BTC = SYMBOLS["btc"]
OTHERS = tuple(symbol for symbol in SYMBOLS.values() if symbol != BTC)


@pytest.fixture(autouse=True)
def _quoting(stack: Stack) -> None:
    stack.start_engine()
    stack.wait_quoting()


# --- the links


def test_an_exchange_that_is_killed_and_comes_back_is_quoted_on_again(stack: Stack, oracle: Oracle) -> None:
    begin(stack)
    stack.kill_exchange()
    down_ns = now_ns()
    until(lambda: not any(stack.status().links.values()), PATIENCE_S, "the loss is noticed")
    time.sleep(FAULT_S)
    assert_nothing_written(stack, down_ns, now_ns(), bound_s=SAME_STEP_S)
    stack.start_exchange()
    assert_recovers(stack, oracle)
    failed_over = [order for order in oracle.audit.collect() if order.reason == "SYSTEM_FAILOVER"]
    assert failed_over
    assert max(order.create_ns for order in failed_over) < down_ns  # they rested when it was killed
    finish(stack, oracle)


def test_an_exchange_that_stands_still_is_distrusted_and_quoted_on_again(stack: Stack, oracle: Oracle) -> None:
    assert stack.exchange is not None
    stack.exchange.signal(signal.SIGSTOP)  # half-open links: connected, and nothing comes
    began_ns = now_ns()
    time.sleep(PRIVATE_MUTE_S + FAULT_S)
    until(lambda: cancels_sent(stack, began_ns), PATIENCE_S, "something is cancelled into the silence", poll_s=0.1)
    assert_nothing_written(stack, began_ns, now_ns(), bound_s=MARKET_MUTE_S)
    stack.exchange.signal(signal.SIGCONT)
    assert_recovers(stack, oracle)
    finish(stack, oracle)


def test_cut_sockets_that_stay_cut_leave_no_order_at_the_venue(stack: Stack, oracle: Oracle) -> None:
    with stack.fault("http", match={"op": "ws"}, executed=False, code=1002, status=503) as refused:
        began_ns = begin(stack)
        assert stack.act("close", sockets="all", abort=True)["closed"] > 0  # none can come back
        cut_ns = now_ns()
        assert_pulled(stack)
        time.sleep(FAULT_S)
        until(refused.hits, PATIENCE_S, "a reconnect is refused")
        ended_ns = now_ns()
    assert_recovers(stack, oracle)
    assert_no_new_risk(oracle, cut_ns, ended_ns, bound_s=SAME_STEP_S)
    assert_cancels_passed(oracle, began_ns, ended_ns)
    finish(stack, oracle)


@pytest.mark.parametrize(
    ("sockets", "channel", "abort"), [("public", "market_data", False), ("private", "private", True)]
)
def test_the_loss_of_one_kind_of_socket_is_healed(
    stack: Stack, oracle: Oracle, sockets: str, channel: str, abort: bool
) -> None:
    began_ns = begin(stack)
    assert stack.act("close", sockets=sockets, abort=abort)["closed"] > 0
    until(lambda: loss_ns(stack, channel, began_ns), PATIENCE_S, "the loss is noticed", poll_s=0.1)
    assert_recovers(stack, oracle)
    assert_a_cancel_passes(oracle, began_ns)
    finish(stack, oracle)


@pytest.mark.parametrize("reconnect", [pytest.param(True, id="at a reconnect"), pytest.param(False, id="at a read")])
def test_an_expired_cookie_is_renewed_by_one_login(stack: Stack, oracle: Oracle, reconnect: bool) -> None:
    def logins() -> int:
        return stack.requests()["login"] - oracle.audit.logins

    before, began_ns = logins(), begin(stack)
    assert stack.act("expire_cookie")["expired"] > 0
    if reconnect:
        assert stack.act("close", sockets="private", abort=True)["closed"] > 0
        until(lambda: loss_ns(stack, "private", began_ns), PATIENCE_S, "the loss is noticed", poll_s=0.1)
    until(lambda: logins() > before, PATIENCE_S, "the engine logs in anew", poll_s=0.1)
    assert_recovers(stack, oracle)
    assert logins() == before + 1
    assert_a_cancel_passes(oracle, began_ns)
    finish(stack, oracle)


def test_a_frozen_engine_reads_the_account_before_it_places_anything(stack: Stack, oracle: Oracle) -> None:
    begin(stack)
    stack.running.signal(signal.SIGSTOP)
    time.sleep(FROZEN_S)
    thawed_ns = now_ns()  # before it can do anything
    stack.running.signal(signal.SIGCONT)
    assert_recovers(stack, oracle)
    since = [record for record in read_journal(stack.journal).records if getattr(record, "ts_ns", 0) >= thawed_ns]
    placed = next(place for place, record in enumerate(since) if isinstance(record, Intent))
    reads = (record.event for record in since[:placed] if isinstance(record, Happened))
    assert any(isinstance(event, AccountSnapshot) and event.ts_asked_ns >= thawed_ns for event in reads)
    finish(stack, oracle)


# --- market data


def test_a_gap_in_the_book_stops_its_instrument_in_the_same_step(stack: Stack, oracle: Oracle) -> None:
    with (
        stack.fault("drop_request", match={"op": "subscribe"}),  # so that the gap cannot be healed yet
        stack.fault("gap", match={"stream": "v1.book.d", "symbol": BTC}) as gap,
    ):
        assert_market_data_fault(stack, oracle, gap, bound_s=SAME_STEP_S)
    assert_recovers(stack, oracle)
    finish(stack, oracle)


def test_sequences_that_begin_anew_are_a_gap_in_every_stream(stack: Stack, oracle: Oracle) -> None:
    began_ns = begin(stack)
    stack.act("reset_sequences")
    until(lambda: loss_ns(stack, "private", began_ns), PATIENCE_S, "the streams are distrusted", poll_s=0.1)
    assert_recovers(stack, oracle)
    assert_a_cancel_passes(oracle, began_ns)
    finish(stack, oracle)


def test_a_crossed_book_is_not_traded_on(stack: Stack, oracle: Oracle) -> None:
    with stack.fault("crossed", match={"stream": "v1.book.d", "symbol": BTC}) as crossed:
        assert_market_data_fault(stack, oracle, crossed, bound_s=SAME_STEP_S)
    assert_recovers(stack, oracle)
    finish(stack, oracle)


@pytest.mark.parametrize(
    ("raw", "bound_s"),
    [
        pytest.param(False, SAME_STEP_S, id="as text"),
        pytest.param(True, MARKET_MUTE_S, id="bare"),  # no JSON: whose frame it was nobody can tell
    ],
)
def test_a_book_with_nan_in_it_is_not_traded_on(stack: Stack, oracle: Oracle, raw: bool, bound_s: float) -> None:
    with stack.fault("bad_number", match={"stream": "v1.book.d", "symbol": BTC}, value="NaN", raw=raw) as nan:
        assert_market_data_fault(stack, oracle, nan, bound_s=bound_s)
    assert_recovers(stack, oracle)
    finish(stack, oracle)


def test_a_mute_market_is_not_traded_on(stack: Stack, oracle: Oracle) -> None:
    with stack.fault("mute", match={"stream": "*", "symbol": BTC}) as mute:
        assert_market_data_fault(stack, oracle, mute, bound_s=MARKET_MUTE_S)
    assert_recovers(stack, oracle)
    finish(stack, oracle)


# --- private streams


def test_a_gap_in_a_private_stream_is_filled_from_the_venues_lists(stack: Stack, oracle: Oracle) -> None:
    for stream in ("v1.fill", "v1.order", "v1.state"):
        began_ns = begin(stack)
        with stack.fault("gap", match={"stream": stream}, frames=2) as gap:
            until(lambda rule=gap: rule.hits() == 2, PATIENCE_S, "two frames are lost")
        assert_private_stream_was_distrusted(stack, began_ns)
        assert_recovers(stack, oracle)
        assert_a_cancel_passes(oracle, began_ns)
    finish(stack, oracle)


def test_fills_with_nan_in_them_are_read_from_the_venues_list(stack: Stack, oracle: Oracle) -> None:
    began_ns = begin(stack)
    with stack.fault("bad_number", match={"stream": "v1.fill"}, value="NaN", raw=True) as nan:
        until(nan.hits, PATIENCE_S, "a fill is spoilt")
    assert_private_stream_was_distrusted(stack, began_ns)
    assert_recovers(stack, oracle)
    assert_a_cancel_passes(oracle, began_ns)
    finish(stack, oracle)


def test_mute_private_streams_are_noticed_and_orders_pulled(stack: Stack, oracle: Oracle) -> None:
    sub_account_id = stack.credentials["sub_account_id"]
    begin(stack)
    with stack.fault("mute", match={"stream": "*", "sub_account_id": sub_account_id}) as mute:
        until(mute.hits, PATIENCE_S, "a frame is swallowed")
        began_ns = now_ns()
        lost_ns = assert_private_stream_was_distrusted(stack, began_ns)
        assert lost_ns - began_ns <= PRIVATE_MUTE_S * NS_PER_S
        assert_closed(oracle, lost_ns)  # the link comes back, as mute as before: an empty book may last a moment
        ended_ns = now_ns()
    assert_recovers(stack, oracle)
    assert_no_new_risk(oracle, began_ns, ended_ns, bound_s=PRIVATE_MUTE_S)
    assert_cancels_passed(oracle, began_ns, ended_ns)
    finish(stack, oracle)


# --- order entry


@pytest.mark.parametrize(
    ("action", "members"),
    [
        pytest.param("drop_response", {}, id="silence"),
        pytest.param("drop_response", {"how": "reset"}, id="link cut"),
        pytest.param("http", {"code": 1002}, id="answered with 1002"),
    ],
)
@pytest.mark.parametrize("executed", [pytest.param(True, id="accepted"), pytest.param(False, id="lost")])
def test_creates_without_an_answer_are_never_sent_again(
    stack: Stack, oracle: Oracle, action: str, members: dict[str, object], executed: bool
) -> None:
    began_ns = begin(stack)
    with creates_spoilt(stack, action, BTC, executed=executed, **members) as hits:
        until(hits, PATIENCE_S, "a create is spoilt")
        time.sleep(UNANSWERED_S + FAULT_S)
        ended_ns = now_ns()
    assert_recovers(stack, oracle)
    assert_cancels_passed(oracle, began_ns, ended_ns)
    accepted = {order.client_order_id for order in oracle.audit.collect()}
    ours = [intent.order for intent in read_journal(stack.journal).intents if began_ns <= intent.ts_ns < ended_ns]
    assert executed or [order for order in ours if order.client_order_id not in accepted]
    finish(stack, oracle)  # whose oracle looks that no place got another order before the fate of the first was known


def test_a_burst_of_429_sheds_creates_and_lets_cancels_pass(stack: Stack, oracle: Oracle) -> None:
    began_ns = begin(stack)
    with creates_spoilt(stack, "burst_429", None, until={"ms": 60_000}) as hits:
        until(hits, PATIENCE_S, "a create is refused for speed")
        refused_ns = now_ns()
        assert stack.command("pause").state in ("accepted", "done")
        assert_pulled(stack)
        until(lambda: stack.status().state == "paused", PATIENCE_S, "the pause is carried out")
        assert stack.command("resume").state == "done"
        time.sleep(FAULT_S)
        refused, took_s = hits(), (now_ns() - began_ns) / NS_PER_S
        assert refused <= 2 + 2 * took_s, f"{refused} creates were sent into the venue's refusals in {took_s:.1f} s"
        ended_ns = now_ns()
    assert_recovers(stack, oracle)
    assert_no_new_risk(oracle, refused_ns, ended_ns, bound_s=0.0)
    assert_cancels_passed(oracle, began_ns, ended_ns)
    finish(stack, oracle)


# --- what is asserted


def begin(stack: Stack) -> int:
    """Return a moment at which orders of ours rest on every instrument: what a fault does to them can be seen."""
    wanted = set(SYMBOLS.values())
    until(
        lambda: wanted <= {row["instrument"] for row in stack.open_orders()},
        PATIENCE_S,
        "orders rest on every instrument",
    )
    return now_ns()


def assert_market_data_fault(stack: Stack, oracle: Oracle, rule: FaultRule, *, bound_s: float) -> None:
    """BTC is withdrawn within the bound and stays so; the other instruments trade on, cancels among it."""
    until(rule.hits, PATIENCE_S, "the fault hits a frame")
    began_ns = now_ns()
    assert_pulled(stack, BTC)
    time.sleep(FAULT_S)
    for symbol in OTHERS:
        until(lambda symbol=symbol: goes_on(oracle, symbol, began_ns), PATIENCE_S, f"{symbol} trades on", poll_s=0.1)
    ended_ns = now_ns()
    assert_no_new_risk(oracle, began_ns, ended_ns, bound_s=bound_s, instrument=BTC)
    late = [order for order in oracle.audit.collect() if order.instrument == BTC and order.create_ns < began_ns]
    late = [order for order in late if order.update_ns - began_ns > (bound_s + PULLED_S) * NS_PER_S]
    assert not late, f"{len(late)} orders rested for longer than {bound_s + PULLED_S:g} s"


def goes_on(oracle: Oracle, symbol: str, began_ns: int) -> bool:
    """Orders and cancels of an instrument pass."""
    own = [order for order in oracle.audit.collect() if order.instrument == symbol]
    return bool(created(own, began_ns, now_ns()) and cancelled(own, began_ns, now_ns()))


def assert_cancels_passed(oracle: Oracle, began_ns: int, ended_ns: int) -> None:
    assert cancelled(oracle.audit.collect(), began_ns, ended_ns), "no cancel passed"


def assert_a_cancel_passes(oracle: Oracle, began_ns: int) -> None:
    """For faults that heal at once: the engine may be well again before any order had to go."""
    until(lambda: cancelled(oracle.audit.collect(), began_ns, now_ns()), PATIENCE_S, "a cancel passes", poll_s=0.1)


def cancels_sent(stack: Stack, since_ns: int) -> int:
    """How many cancels have left the engine, whatever became of them."""
    happened = (row for row in read_journal(stack.journal).records if isinstance(row, Happened))
    return sum(isinstance(row.event, CancelSent) and row.ts_ns >= since_ns for row in happened)


def assert_nothing_written(stack: Stack, began_ns: int, ended_ns: int, *, bound_s: float) -> None:
    """The engine meant to place nothing from the bound on."""
    intents = [intent.ts_ns for intent in read_journal(stack.journal).intents]
    late = [ts_ns for ts_ns in intents if began_ns + int(bound_s * NS_PER_S) <= ts_ns < ended_ns]
    assert not late, f"{len(late)} orders were meant, the first {(late[0] - began_ns) / NS_PER_S:.2f} s in"


def assert_pulled(stack: Stack, instrument: str | None = None) -> None:
    """The exchange itself shows none of our orders any more."""
    until(
        lambda: not [row for row in stack.open_orders() if instrument in (None, row["instrument"])],
        PATIENCE_S,
        "resting orders are pulled",
    )


def assert_no_new_risk(
    oracle: Oracle, began_ns: int, ended_ns: int, *, bound_s: float, instrument: str | None = None
) -> None:
    """The exchange accepted no order from the bound on until the fault was over."""
    late = created(oracle.audit.collect(), began_ns + int(bound_s * NS_PER_S), ended_ns)
    late = [order for order in late if instrument in (None, order.instrument)]
    assert not late, f"{len(late)} orders were accepted, the first {(late[0].create_ns - began_ns) / NS_PER_S:.2f} s in"


def assert_recovers(stack: Stack, oracle: Oracle) -> None:
    over_ns = now_ns()
    stack.wait_quoting(RECOVER_S, "every instrument is quoted again")
    print(f"quoting again {(now_ns() - over_ns) / NS_PER_S:.2f} s after the fault was over")
    oracle.judge_running()


def assert_private_stream_was_distrusted(stack: Stack, since_ns: int) -> int:
    """Return when; a gap shows in the next frame only, for which the market may let wait."""
    return until(lambda: loss_ns(stack, "private", since_ns), PATIENCE_S, "the private streams are lost", poll_s=0.1)


def loss_ns(stack: Stack, channel: str, since_ns: int) -> int:
    """Return when the engine noted the loss of a channel, 0 when it has not."""
    noted = (
        record.ts_ns
        for record in read_journal(stack.journal).records
        if isinstance(record, Said)
        and record.ts_ns >= since_ns
        and record.name == "link_changed"
        and (record.fields["channel"], record.fields["up"]) == (channel, "False")
    )
    return next(noted, 0)


def assert_closed(oracle: Oracle, since_ns: int) -> None:
    """Whatever rested at `since_ns` was closed at the exchange soon after."""
    deadline_ns = since_ns + int(PULLED_S * NS_PER_S)
    time.sleep(max(0, deadline_ns - now_ns()) / NS_PER_S)
    before = [order for order in oracle.audit.collect() if order.create_ns <= since_ns]
    late = [order for order in before if order.status == "OPEN" or order.update_ns > deadline_ns]
    assert not late, f"{len(late)} orders rested for longer than {PULLED_S:g} s"


def finish(stack: Stack, oracle: Oracle) -> None:
    assert stack.stop_engine() == 0
    oracle.judge_stopped()


def created(orders: list[VenueOrder], begin_ns: int, end_ns: int) -> list[VenueOrder]:
    return [order for order in orders if begin_ns <= order.create_ns < end_ns]


def cancelled(orders: list[VenueOrder], begin_ns: int, end_ns: int) -> list[VenueOrder]:
    return [order for order in orders if begin_ns <= order.update_ns < end_ns and order.reason in BY_US]


@contextmanager
def creates_spoilt(stack: Stack, action: str, symbol: str | None, **members: object) -> Iterator[Callable[[], int]]:
    """Spoil every request that creates orders, of one instrument or all; yields how many were."""
    with ExitStack() as faults:
        match = {} if symbol is None else {"symbol": symbol}
        rules = [faults.enter_context(stack.fault(action, match={"op": op, **match}, **members)) for op in CREATES]
        yield lambda: sum(rule.hits() for rule in rules)

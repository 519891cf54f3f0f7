"""A WebSocket to one of the venue's gateways: requests with answers, subscriptions that stay whole, one link at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from perpmaker.clock import Clock
from perpmaker.errors import AuthError, DataError, VenueError, VenueUnavailable
from perpmaker.logs import get
from perpmaker.model.units import NS_PER_S
from perpmaker.venues.grvt.answers import Answer, Lost, NotSent, Refusal, Reply
from perpmaker.venues.grvt.codec import Codec
from perpmaker.venues.grvt.objects import SubscribeParams, SubscribeResult
from perpmaker.venues.grvt.requests import OnAnswer, Requests
from perpmaker.venues.grvt.subscription import Broken, Gap, Numbered, State, StreamHandler, StreamKind, Subscription
from perpmaker.venues.transport.backoff import AttemptCap, FullJitter
from perpmaker.venues.transport.link import Link, open_link
from perpmaker.venues.transport.reconnect import keep_up

CONNECTS_PER_MINUTE: Final = 6
BACKOFF_BASE_S: Final = 0.25
BACKOFF_CAP_S: Final = 4.0
SUBSCRIBE_TIMEOUT_S: Final = 2.0
"""From asking to complete; then it is asked for again."""
MAX_SUBSCRIBE_FAILURES: Final = 4
"""In a row, for one stream: then the link itself is doubted."""
SETTLE_S: Final = 3.0
"""A stream that has been whole this long after it was asked for is well again: the next failure counts as the first."""
TICK_S: Final = 0.1

Headers = Mapping[str, str]


def connect_cap(past: Iterable[int] = ()) -> AttemptCap:
    """Return the cap on connects of one socket; `past` are the attempts of an earlier life (UTC ns)."""
    return AttemptCap(limit=CONNECTS_PER_MINUTE, window_s=60.0, past=past)


_log = get("venues.grvt.socket")


class SocketOwner(Protocol):
    """Who a socket tells about its link."""

    def on_link_up(self) -> None: ...
    def on_link_down(self, reason: str) -> None:
        """Called once for each link that was up."""
        ...


class Credentials(Protocol):
    """Where a socket gets its login from; a Session is one."""

    async def headers(self) -> Headers: ...
    def reject(self, headers: Headers) -> None: ...


class LinkCounters(msgspec.Struct):
    """What a socket has been through, for people and tests."""

    connects: int = 0
    frames: int = 0
    bad_frames: int = 0
    unmatched: int = 0


class GrvtSocket:
    """Keeps one link to `url` up and everything subscribed on it. Nothing that was to be sent waits for the next link."""

    def __init__(
        self,
        *,
        name: str,
        url: str,
        owner: SocketOwner,
        codec: Codec,
        clock: Clock,
        seed: int,
        session: Credentials | None = None,
        silence_s: float = 0.0,
        cap: AttemptCap | None = None,
    ) -> None:
        self.name = name
        self.codec = codec
        self.counters = LinkCounters()
        self.cap = cap or connect_cap()
        self._url = f"{url}/ws/{codec.encoding.value}"
        self._owner = owner
        self._clock = clock
        self._session = session
        self._headers: Headers = {}
        self._silence_ns = int(silence_s * NS_PER_S)
        self._backoff = FullJitter(base_s=BACKOFF_BASE_S, cap_s=BACKOFF_CAP_S, seed=seed)
        self._seed = seed
        self._subscriptions: dict[tuple[str, str], _Tracked] = {}
        self._link: Link | None = None
        self._requests = Requests()
        self.last_frame_ns = 0
        """Monotonic time at which the frame in hand was received."""
        self._doubted: asyncio.Future[str] | None = None

    @property
    def is_open(self) -> bool:
        return self._link is not None and self._link.is_open

    @property
    def is_congested(self) -> bool:
        return self._link is not None and self._link.is_congested

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
        await keep_up(self, clock=self._clock, backoff=self._backoff, cap=self.cap)

    def subscribe(self, stream: str, selector: str, handler: StreamHandler, kind: StreamKind) -> Subscription:
        """Want a stream from now on, over every reconnect; it is asked for at once when the link is up."""
        tracked = _Tracked(
            Subscription(stream, selector, handler, kind), FullJitter(base_s=0.2, cap_s=5.0, seed=self._seed)
        )
        self._subscriptions[stream, selector] = tracked
        if self.is_open:
            self._ask(tracked)
        return tracked.subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Want a stream no longer."""
        tracked = self._subscriptions.pop((subscription.stream, subscription.selector), None)
        if tracked is not None and subscription.stop() and self.is_open:
            self._send_subscription("unsubscribe", subscription, _ignore)

    def renew(self, subscription: Subscription, reason: Broken, text: str) -> None:
        """Distrust a subscription: its handler is told in this step, and it is asked for again."""
        tracked = self._subscriptions.get((subscription.stream, subscription.selector))
        if tracked is not None:
            self._break(tracked, reason, text)

    def request(self, method: str, params: bytes, on_answer: OnAnswer, *, timeout_s: float) -> None:
        """Write a request in this very step; raise VenueUnavailable when it is certain that nothing left.

        `on_answer` gets what became of it, and a late answer after a Lost one.
        """
        link = self._link
        if link is None:
            raise VenueUnavailable("the socket is not connected")
        request_id = self._requests.next_id()
        link.write(self.codec.request_head(method) + params + self.codec.request_tail(request_id))
        self._requests.expect(request_id, method, timeout_s, on_answer)

    def doubt(self, reason: str) -> None:
        """Give the link up and connect anew."""
        if self._doubted is not None and not self._doubted.done():
            self._doubted.set_result(reason)

    def session_is_over(self) -> None:
        """The venue no longer accepts the login that this link was opened with: log in and connect anew."""
        if self._session is not None:
            self._session.reject(self._headers)
        self.doubt("the session is over")

    async def serve(self) -> None:
        """Connect, then wait for the end of the link; see `keep_up`. Frames come to `_on_frame` meanwhile."""
        if self._session is not None:
            self._headers = await self._session.headers()
        try:
            link = await open_link(self._url, self._headers, self._on_frame)
        except AuthError:
            if self._session is not None:
                self._session.reject(self._headers)
            raise
        self.counters.connects += 1
        loop = asyncio.get_running_loop()
        self._doubted = loop.create_future()
        tasks: set[asyncio.Future[Any]] = {loop.create_task(link.ended()), loop.create_task(self._tick())}
        reason = "stopped"
        try:
            self._up(link)
            done, _ = await asyncio.wait({*tasks, self._doubted}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks & done:
                task.result()
            raise VenueUnavailable(self._doubted.result() if self._doubted.done() else "the link ended")
        except VenueError as error:
            reason = str(error)
            raise
        finally:
            self._doubted.cancel()
            for task in tasks:
                task.cancel()
            self._down(reason)
            await asyncio.gather(*tasks, return_exceptions=True)
            await link.close()

    def ended(self, reason: VenueError) -> None:
        """See `keep_up`."""
        _log.warning("link_ended", socket=self.name, reason=str(reason))

    def _up(self, link: Link) -> None:
        self._link = link
        self.last_frame_ns = self._clock.monotonic_ns()
        for tracked in list(self._subscriptions.values()):
            tracked.new_link()
            self._ask(tracked)
        self._owner.on_link_up()

    def _down(self, reason: str) -> None:
        self._link = None
        for tracked in list(self._subscriptions.values()):
            if tracked.subscription.stop():
                tracked.subscription.handler.on_broken(Broken.DISCONNECTED, reason)
        self._owner.on_link_down(reason)
        self._requests.lose_all(reason)

    def _on_frame(self, text: bytes) -> None:
        self.last_frame_ns = self._clock.monotonic_ns()
        self.counters.frames += 1
        book = self.codec.book_frame(text)
        if book is not None:
            tracked = self._subscriptions.get((book.stream, book.selector))
            if tracked is None:
                self.counters.unmatched += 1
            else:
                self._on_feed(tracked, book, book.feed)
            return
        try:
            frame = self.codec.incoming(text)
        except DataError as error:
            self.counters.bad_frames += 1
            _log.warning("frame_refused", socket=self.name, reason=str(error), length=len(text))
            return
        if bytes(frame.feed):
            tracked = self._subscriptions.get((str(frame.stream), frame.selector))
            if tracked is None:
                self.counters.unmatched += 1
                return
            self._on_feed(tracked, frame, frame.feed)
        elif not self._requests.answer(frame):
            self.counters.unmatched += 1

    def _on_feed(self, tracked: _Tracked, frame: Numbered, feed: Any) -> None:
        """`feed` is what the frame carries, unread or read."""
        subscription = tracked.subscription
        try:
            if isinstance(feed, msgspec.Raw):
                feed = self.codec.feed(subscription.stream, feed)
            subscription.take(frame, feed)
        except Gap as error:
            self._break(tracked, Broken.GAP, str(error))
        except DataError as error:
            subscription.counters.bad_frames += 1
            self._break(tracked, Broken.BAD_FRAME, str(error))
        else:
            if tracked.failures and subscription.state is State.LIVE:
                tracked.settle(self.last_frame_ns)

    def _ask(self, tracked: _Tracked) -> None:
        subscription = tracked.subscription
        subscription.asked(first_on_link=not tracked.asked_on_link)
        tracked.asked_on_link = True
        now_ns = self._clock.monotonic_ns()
        tracked.deadline_ns = now_ns + int(SUBSCRIBE_TIMEOUT_S * NS_PER_S)
        tracked.settled_ns = now_ns + int(SETTLE_S * NS_PER_S)
        generation = tracked.generation = tracked.generation + 1

        def on_answer(answer: Answer) -> None:
            if tracked.generation == generation:
                self._on_subscribed(tracked, answer)

        self._send_subscription("subscribe", subscription, on_answer)

    def _on_subscribed(self, tracked: _Tracked, answer: Answer) -> None:
        subscription = tracked.subscription
        match answer:
            case Reply(body=body):
                try:
                    subscription.acknowledge(self.codec.decode(body, SubscribeResult))
                except Gap as error:
                    self._break(tracked, Broken.GAP, str(error))
                except DataError as error:
                    self._break(tracked, Broken.REFUSED, str(error))
            case Refusal(code=code, text=text):
                self._break(tracked, Broken.REFUSED, f"{code} {text}")
                if answer.session_expired:  # the link was opened with a login that is over: asking again cannot help
                    self.session_is_over()
            case Lost() | NotSent():
                pass  # the deadline, or the end of the link, takes care of it

    def _break(self, tracked: _Tracked, reason: Broken, text: str) -> None:
        """Tell the handler in this step, then ask again: at once the first time, with back-off while it keeps failing."""
        subscription = tracked.subscription
        if not subscription.stop():
            return
        tracked.failures += 1
        tracked.generation += 1
        _log.warning(
            "stream_broken", socket=self.name, stream=subscription.stream, selector=subscription.selector,
            reason=reason.value, text=text, failures=tracked.failures,
        )  # fmt: skip
        subscription.handler.on_broken(reason, text)
        if not self.is_open:
            return
        self._send_subscription("unsubscribe", subscription, _ignore)
        if tracked.failures > MAX_SUBSCRIBE_FAILURES and subscription.kind.vital and reason is not Broken.REFUSED:
            self.doubt(f"{subscription.stream} {subscription.selector} cannot be made whole")
            return
        pause_s = tracked.backoff.next_s() if tracked.failures > 1 else 0.0
        tracked.deadline_ns = self._clock.monotonic_ns() + int(pause_s * NS_PER_S)
        if pause_s == 0.0:
            self._ask(tracked)

    def _send_subscription(self, method: str, subscription: Subscription, on_answer: OnAnswer) -> None:
        params = self.codec.form(SubscribeParams)(stream=subscription.stream, selectors=[subscription.selector])
        try:
            self.request(method, self.codec.encode(params), on_answer, timeout_s=SUBSCRIBE_TIMEOUT_S)
        except VenueUnavailable:
            pass  # the reader is about to see the end of the link, and everything is asked for on the next one

    async def _tick(self) -> None:
        """Look at the deadlines ten times a second."""
        while True:
            await asyncio.sleep(TICK_S)
            now_ns = self._clock.monotonic_ns()
            if self._silence_ns and self._subscriptions and now_ns - self.last_frame_ns > self._silence_ns:
                raise VenueUnavailable(f"no frame for {self._silence_ns / NS_PER_S:g} s")
            for tracked in list(self._subscriptions.values()):
                state = tracked.subscription.state
                if now_ns < tracked.deadline_ns or state is State.LIVE:
                    continue
                if state is State.ASKED:
                    self._break(tracked, Broken.SILENT, f"not complete in {SUBSCRIBE_TIMEOUT_S:g} s")
                else:
                    self._ask(tracked)


class _Tracked:
    """A subscription and how asking for it has been going."""

    __slots__ = ("asked_on_link", "backoff", "deadline_ns", "failures", "generation", "settled_ns", "subscription")

    def __init__(self, subscription: Subscription, backoff: FullJitter) -> None:
        self.subscription = subscription
        self.backoff = backoff
        self.failures = 0
        self.generation = 0
        self.deadline_ns = 0
        self.settled_ns = 0
        self.asked_on_link = False

    def new_link(self) -> None:
        self.asked_on_link = False
        self.failures = 0

    def settle(self, now_ns: int) -> None:
        if now_ns >= self.settled_ns:
            self.failures = 0
            self.backoff.reset()


def _ignore(_: Answer) -> None:
    """An unsubscription needs no answer: what still arrives is dropped."""

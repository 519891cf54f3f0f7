"""Client of the control API: plain functions for the command line and scripts, async ones for services and bots.

`ControlClient` stands on http.client alone, so that a command starts quickly. `AsyncControlClient` adds the stream of
frames; it acknowledges each, as the engine expects of a reader that keeps up.
"""

from __future__ import annotations

import http.client
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from perpmaker.control.home import RunFile, running
from perpmaker.control.messages import CommandAnswer, CommandKind, CommandRequest, FillRow, Frame, LogLine, Status
from perpmaker.errors import DataError, PerpmakerError

if TYPE_CHECKING:
    import aiohttp

TIMEOUT_S: Final = 5.0
EXPIRES_AFTER_NS: Final = 10_000_000_000
"""A command that did not reach the engine within this time is not carried out any more (RELIABILITY H7)."""
MAX_FRAME_BYTES: Final = 32 * 1024 * 1024
REMEMBERED: Final = 100
"""How many commands of a client can be asked about again; nobody waits for more at a time."""

T = TypeVar("T")


class EngineUnreachable(PerpmakerError):
    """The engine does not answer: it is not running, or hangs. A command may or may not have reached it."""

    exit_code = 9


class ControlRefused(PerpmakerError):
    """The engine does not let this client in: wrong token, foreign host or origin."""

    exit_code = 4


def new_command_id() -> str:
    """Return an idempotency key that nobody else uses."""
    return secrets.token_hex(12)


def make_request(
    kind: CommandKind, arguments: Mapping[str, str], *, actor: str, now_ns: int, command_id: str | None = None
) -> CommandRequest:
    """Return a command that expires ten seconds from now."""
    return CommandRequest(
        command_id=command_id or new_command_id(),
        kind=kind,
        expires_ns=str(now_ns + EXPIRES_AFTER_NS),
        arguments=dict(arguments),
        actor=actor,
    )


class ControlClient:
    """The control API, one blocking request at a time. Holds no connection between requests."""

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        address = urlsplit(url)
        if address.scheme != "http" or address.hostname is None or address.port is None:
            raise DataError(f"{url!r} is not the address of a control API (http://HOST:PORT)")
        self._host, self._port = address.hostname, address.port
        self._token = token
        self._timeout_s = timeout_s
        self._sent = _Sent()

    @classmethod
    def of(cls, run_file: RunFile) -> ControlClient:
        """Return a client of the engine that published this run file."""
        return cls(run_file.urls["control"], run_file.token)

    def status(self) -> Status:
        return self._get("/v1/status", Status)

    def trades(self, limit: int = 100) -> list[FillRow]:
        """Return the last fills, newest first."""
        return self._get(f"/v1/trades?{urlencode({'limit': limit})}", list[FillRow])

    def logs(self, after: int = 0) -> list[LogLine]:
        return self._get(f"/v1/logs?{urlencode({'after': after})}", list[LogLine])

    def metrics(self) -> str:
        """Return the metrics in the Prometheus text format."""
        return self._exchange("GET", "/v1/metrics", None).decode()

    def command(
        self,
        kind: CommandKind,
        arguments: Mapping[str, str] | None = None,
        *,
        actor: str,
        now_ns: int,
        command_id: str | None = None,
    ) -> CommandAnswer:
        """Send a command; the answer says done, accepted (ask `answer` again) or refused."""
        return self.send(make_request(kind, arguments or {}, actor=actor, now_ns=now_ns, command_id=command_id))

    def send(self, request: CommandRequest) -> CommandAnswer:
        """Send this request; sending it again is safe and gives the same answer."""
        self._sent.remember(request)
        body = self._exchange("POST", "/v1/commands", msgspec.json.encode(request))
        return _decode(body, CommandAnswer)

    def answer(self, command_id: str) -> CommandAnswer:
        """Ask what became of one of the last commands this client sent."""
        return self.send(self._sent.request(command_id))

    def _get(self, path: str, kind: type[T]) -> T:
        return _decode(self._exchange("GET", path, None), kind)

    def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineUnreachable(
                f"the engine at {self._host}:{self._port} does not answer: {_said(error)}"
            ) from error
        finally:
            connection.close()
        _check(response.status, content)
        return content


class AsyncControlClient:
    """The control API for asyncio programs; use it as `async with AsyncControlClient(url, token) as engine`."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        next_life: Callable[[], RunFile | None] = lambda: None,
    ) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._next_life = next_life
        self._open: aiohttp.ClientSession | None = None
        self._sent = _Sent()

    @classmethod
    def of(cls, run_file: RunFile, home: Path | None = None) -> AsyncControlClient:
        """Return a client of the engine that published this run file; of its next lives too if its `home` is given."""

        def next_life() -> RunFile | None:
            found = None if home is None else running(home, run_file.name)
            names = ("engine", "env")  # another engine in the same home is none of ours
            same = found is not None and [found.extra.get(name) for name in names] == [
                run_file.extra.get(name) for name in names
            ]
            return found if same else None

        return cls(run_file.urls["control"], run_file.token, next_life=next_life)

    async def __aenter__(self) -> AsyncControlClient:
        import aiohttp  # only who streams pays for the import

        self._open = aiohttp.ClientSession()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def status(self) -> Status:
        return await self._get("/v1/status", Status)

    async def trades(self, limit: int = 100) -> list[FillRow]:
        """Return the last fills, newest first."""
        return await self._get(f"/v1/trades?{urlencode({'limit': limit})}", list[FillRow])

    async def logs(self, after: int = 0) -> list[LogLine]:
        return await self._get(f"/v1/logs?{urlencode({'after': after})}", list[LogLine])

    async def command(
        self,
        kind: CommandKind,
        arguments: Mapping[str, str] | None = None,
        *,
        actor: str,
        now_ns: int,
        command_id: str | None = None,
    ) -> CommandAnswer:
        """Send a command; the answer says done, accepted (ask `answer` again) or refused."""
        return await self.send(make_request(kind, arguments or {}, actor=actor, now_ns=now_ns, command_id=command_id))

    async def send(self, request: CommandRequest) -> CommandAnswer:
        """Send this request; sending it again is safe and gives the same answer."""
        self._sent.remember(request)
        return _decode(await self._exchange("POST", "/v1/commands", msgspec.json.encode(request)), CommandAnswer)

    async def answer(self, command_id: str) -> CommandAnswer:
        """Ask what became of one of the last commands this client sent."""
        return await self.send(self._sent.request(command_id))

    async def frames(self) -> AsyncIterator[Frame]:
        """Yield frames as they come, the first one full, acknowledging each; raise EngineUnreachable at the end."""
        import aiohttp

        decoder = msgspec.json.Decoder(Frame)
        try:
            async with self._session.ws_connect(
                f"{self._url}/v1/stream", max_msg_size=MAX_FRAME_BYTES, compress=0, headers=self._authorization
            ) as socket:
                async for message in socket:
                    if message.type is not aiohttp.WSMsgType.TEXT:
                        break
                    frame = decoder.decode(message.data)
                    yield frame
                    await socket.send_str(f'{{"ack":{frame.number}}}')
        except aiohttp.WSServerHandshakeError as error:
            _check(error.status, error.message.encode())
        except msgspec.DecodeError as error:
            raise DataError(f"the engine speaks another version of the control API: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise EngineUnreachable(f"the engine at {self._url} does not answer: {_said(error)}") from error
        raise EngineUnreachable(f"the engine at {self._url} ended the stream")

    async def _get(self, path: str, kind: type[T]) -> T:
        return _decode(await self._exchange("GET", path, None), kind)

    async def _exchange(self, method: str, path: str, body: bytes | None) -> bytes:
        """Ask; where the engine was started again meanwhile, at its new address and with its new token."""
        try:
            return await self._ask(method, path, body)
        except (EngineUnreachable, ControlRefused):
            found = self._next_life()
            if found is None or (found.urls["control"].rstrip("/"), found.token) == (self._url, self._token):
                raise
            self._url, self._token = found.urls["control"].rstrip("/"), found.token
        return await self._ask(method, path, body)

    async def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self._timeout_s)
        headers = {**self._authorization, **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            async with self._session.request(
                method, self._url + path, data=body, headers=headers, timeout=timeout
            ) as response:
                content = await response.read()
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            raise EngineUnreachable(f"the engine at {self._url} does not answer: {_said(error)}") from error
        _check(status, content)
        return content

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            raise PerpmakerError("use the client as a context: async with AsyncControlClient(...) as engine")
        return self._open


class _Sent:
    """The last commands a client sent: a client may live as long as an engine."""

    def __init__(self) -> None:
        self._requests: dict[str, CommandRequest] = {}

    def remember(self, request: CommandRequest) -> None:
        self._requests.pop(request.command_id, None)
        self._requests[request.command_id] = request
        if len(self._requests) > REMEMBERED:
            del self._requests[next(iter(self._requests))]

    def request(self, command_id: str) -> CommandRequest:
        """Return the request itself; PerpmakerError when this client did not send it, or sent many since."""
        request = self._requests.get(command_id)
        if request is None:
            raise PerpmakerError(f"command {command_id} is not among the last {REMEMBERED} that this client sent")
        return request


def _said(error: Exception) -> str:
    """Return an error of the way there in words; those of connections repeat the address, and some have none."""
    known = getattr(error, "os_error", error)
    return getattr(known, "strerror", None) or str(error) or type(error).__name__


def _check(status: int, content: bytes) -> None:
    if status < 300:
        return
    text = content.decode(errors="replace")[:300]
    if status in {401, 403}:
        raise ControlRefused(f"the engine refuses this client: {text}")
    raise PerpmakerError(f"the engine answered with HTTP {status}: {text}")


def _decode(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        raise DataError(f"the engine speaks another version of the control API: {error}") from error

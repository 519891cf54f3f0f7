"""The routes. Who may pass is decided in `access.Guard`, before any of these sees a request."""

from __future__ import annotations

import math
from typing import Final, TypeVar

import msgspec
from fastapi import FastAPI, Request, Response, WebSocket

from perpmaker import __version__
from perpmaker.clock import Clock
from perpmaker.dashboard.access import Denied, Guard, Site, session_of
from perpmaker.dashboard.assets import Assets
from perpmaker.dashboard.commands import CommandBody, Commands
from perpmaker.dashboard.hub import Hub
from perpmaker.dashboard.link import Link
from perpmaker.dashboard.sessions import Backoff, Secret, Session, Sessions
from perpmaker.dashboard.stream import Stream

MAX_STREAMS: Final = 256
_JSON: Final = "application/json"
T = TypeVar("T")


class LoginBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The login token of the printed address, or the password where one is set."""

    token: str


class SessionBody(msgspec.Struct, frozen=True):
    """What a logged-in page needs to know."""

    csrf: str
    version: str
    page: str


class Dashboard:
    """Everything that the routes share."""

    def __init__(
        self,
        *,
        site: Site,
        secrets: list[Secret],
        sessions: Sessions,
        hub: Hub,
        link: Link,
        clock: Clock,
        assets: Assets,
    ) -> None:
        self.site = site
        self.secrets = secrets
        self.sessions = sessions
        self.hub = hub
        self.link = link
        self.clock = clock
        self.assets = assets
        self.backoff = Backoff()
        self.commands = Commands(clock, link.command, lambda: hub.status)
        self.streams = 0

    def application(self) -> Guard:
        """Return the ASGI application, guarded."""
        app = FastAPI(title="perpmaker dashboard", docs_url=None, redoc_url=None, openapi_url=None)
        app.add_exception_handler(Denied, _denied)
        app.add_api_route("/", self.index, methods=["GET"])
        app.add_api_route("/static/{path:path}", self.static, methods=["GET"])
        app.add_api_route("/api/login", self.login, methods=["POST"])
        app.add_api_route("/api/logout", self.logout, methods=["POST"])
        app.add_api_route("/api/session", self.session, methods=["GET"])
        app.add_api_route("/api/logs", self.logs, methods=["GET"])
        app.add_api_route("/api/commands", self.command, methods=["POST"])
        app.add_api_websocket_route("/api/stream", self.stream)
        return Guard(app, site=self.site, sessions=self.sessions, style_hashes=self.assets.style_hashes())

    async def index(self, request: Request) -> Response:
        return self._file(request, "index.html")

    async def static(self, request: Request, path: str) -> Response:
        return self._file(request, path)

    def _file(self, request: Request, path: str) -> Response:
        asset = self.assets.find(path)
        if asset is None:
            raise Denied(404, "no such page")
        headers = {"etag": asset.etag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == asset.etag:
            return Response(status_code=304, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)

    async def login(self, request: Request) -> Response:
        """Exchange the token for a session cookie. After five wrong ones everybody waits, the right one too."""
        body = _decoded(await request.body(), LoginBody)
        wait_s = self.backoff.wait_s(self.clock.monotonic_ns())
        if wait_s > 0:
            response = _json({"error": f"too many wrong tries; wait {math.ceil(wait_s)} s"}, status=429)
            response.headers["retry-after"] = str(math.ceil(wait_s))
            return response
        if not await self._is_right(body.token):
            self.backoff.failed(self.clock.monotonic_ns())
            raise Denied(401, "wrong token")
        self.backoff.succeeded()
        cookie, session = self.sessions.open()
        response = _json(self._session_body(session))
        response.set_cookie(
            self.site.cookie, cookie, httponly=True, samesite="strict", path="/", secure=self.site.secure
        )
        return response

    async def _is_right(self, attempt: str) -> bool:
        for secret in self.secrets:
            if await secret.matches(attempt):
                return True
        return False

    async def logout(self, request: Request) -> Response:
        self.sessions.close(session_of(request.scope))
        response = _json({"done": True})
        response.delete_cookie(self.site.cookie, path="/", httponly=True, samesite="strict", secure=self.site.secure)
        return response

    async def session(self, request: Request) -> Response:
        return _json(self._session_body(session_of(request.scope)))

    def _session_body(self, session: Session) -> SessionBody:
        return SessionBody(csrf=session.csrf, version=__version__, page=self.assets.page)

    async def logs(self, request: Request) -> Response:
        """Return the kept log lines: a full frame has the newest of them only."""
        session_of(request.scope)
        return _json(self.hub.logs())

    async def command(self, request: Request) -> Response:
        body = _decoded(await request.body(), CommandBody)
        return _json(await self.commands.submit(session_of(request.scope), body))

    async def stream(self, socket: WebSocket) -> None:
        session = session_of(socket.scope)
        if self.streams >= MAX_STREAMS:
            await socket.send_denial_response(_json({"error": "too many open pages"}, status=503))
            return
        self.streams += 1
        try:
            await Stream(
                socket,
                self.hub,
                self.link,
                self.clock,
                page=self.assets.page,
                alive=lambda: self.sessions.touch(session),
            ).run()
        finally:
            self.streams -= 1


def _json(value: object, status: int = 200) -> Response:
    return Response(
        msgspec.json.encode(value), status_code=status, media_type=_JSON, headers={"cache-control": "no-store"}
    )


def _decoded(content: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError:
        raise Denied(422, "the body is not what this address takes") from None  # never echo: it may hold a secret


async def _denied(_request: Request, error: Exception) -> Response:
    if not isinstance(error, Denied):
        raise error
    return _json({"error": error.text}, status=error.status)

"""The dashboard's own process: binds a port, publishes itself, follows the engine, and serves browsers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import uvicorn

from perpmaker import logs
from perpmaker.clock import Clock, WallClock
from perpmaker.control.home import RunFile, make_home, published
from perpmaker.dashboard.access import Site
from perpmaker.dashboard.app import Dashboard
from perpmaker.dashboard.asgi import ImpatientHttp, StreamProtocol
from perpmaker.dashboard.assets import Assets
from perpmaker.dashboard.hub import Hub
from perpmaker.dashboard.link import Link
from perpmaker.dashboard.remote import Remote
from perpmaker.dashboard.sessions import Secret, Sessions, Token
from perpmaker.errors import ConfigError

DEFAULT_PORT: Final = 8410
PORTS_TRIED: Final = 50
SESSIONS_FILE: Final = "dashboard.sessions"
STOP_TIMEOUT_S: Final = 2

Ready = Callable[[str], None]
"""Called once, when browsers can connect, with the address that carries the login token after `#`."""


def run(
    home: Path,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    ready: Ready | None = None,
    *,
    remote: Remote | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; what the command line calls."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signal(home, port, host, ready, remote))


async def serve(
    home: Path,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    ready: Ready | None = None,
    *,
    remote: Remote | None = None,
    stop: asyncio.Event | None = None,
    clock: Clock | None = None,
) -> None:
    """Serve the pages of the engine of `home` until `stop` is set.

    `port` is tried first, then the next ones; 0 takes any free one. `host` is a loopback address unless `remote` says how
    strangers are kept out. Raises ConfigError when it may not, or cannot, listen there.
    """
    clock = clock or WallClock()
    refuse_open_doors(host, remote)
    make_home(home)
    with contextlib.closing(bound(host, port)) as listener:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(32)
        logs.register_secret(token)
        hub = Hub()
        link = Link(home, hub, clock)
        dashboard = Dashboard(
            site=_site(home, host, port, remote),
            secrets=_secrets(token, remote),
            sessions=Sessions(clock, home / "run" / SESSIONS_FILE),
            hub=hub,
            link=link,
            clock=clock,
            assets=Assets(),
        )
        url = f"{'https' if remote else 'http'}://{_in_url(host)}:{port}"
        run_file = RunFile("dashboard", os.getpid(), {"dashboard": url}, token, clock.now_ns())
        server = _Server(_uvicorn_config(dashboard, remote))
        await _serve_until(
            server, link, listener, stop, lambda: published(home, run_file), lambda: _say(ready, url, token)
        )


def refuse_open_doors(host: str, remote: Remote | None) -> None:
    """Raise ConfigError for an address that others can reach, unless TLS and a password stand in front of it."""
    if host == "localhost":
        return
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        raise ConfigError(f"dashboard host {host!r} must be an IP address or localhost") from None
    if not loopback and remote is None:
        raise ConfigError(
            f"the dashboard does not listen on {host}: others could reach it. Use a tunnel "
            f"(ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} THIS_HOST), or give a certificate and a password"
        )


def bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to `port`, else to the next free one; 0 is any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    candidates = [0] if port == 0 else range(port, min(port + PORTS_TRIED, 65_536))
    problem = "no port was tried"
    for candidate in candidates:
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, candidate))
            listener.listen()  # only now is the port ours: two sockets may bind, one may listen
        except OSError as error:
            listener.close()
            problem = error.strerror or str(error)
            continue
        listener.setblocking(False)
        return listener
    raise ConfigError(f"the dashboard cannot listen on {host}, ports {port} to {port + PORTS_TRIED - 1}: {problem}")


class _Server(uvicorn.Server):
    """Leaves signals to `run`: uvicorn would raise them again at the end, and a good end would look like a bad one."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve_until(
    server: _Server,
    link: Link,
    listener: socket.socket,
    stop: asyncio.Event | None,
    publish: Callable[[], contextlib.AbstractContextManager[Path]],
    say: Callable[[], None],
) -> None:
    following = asyncio.create_task(link.run(), name="engine-link")
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    ending = asyncio.create_task((stop or asyncio.Event()).wait(), name="stop")
    try:
        listening = asyncio.create_task(server.listening.wait(), name="listening")
        await asyncio.wait({listening, serving}, return_when=asyncio.FIRST_COMPLETED)
        with publish():
            say()
            await asyncio.wait({following, serving, ending}, return_when=asyncio.FIRST_COMPLETED)
            server.should_exit = True
            await serving
            if following.done():
                following.result()
    finally:
        server.should_exit = True
        for task in (following, ending):
            task.cancel()
        await asyncio.gather(following, ending, serving, return_exceptions=True)


async def _until_signal(home: Path, port: int, host: str, ready: Ready | None, remote: Remote | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(home, port, host, ready, remote=remote, stop=stop)


def _uvicorn_config(dashboard: Dashboard, remote: Remote | None) -> uvicorn.Config:
    return uvicorn.Config(
        dashboard.application(),
        http=ImpatientHttp,
        ws=StreamProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_TIMEOUT_S,
        ssl_certfile=remote.certificate if remote else None,
        ssl_keyfile=remote.private_key if remote else None,
    )


def _site(home: Path, host: str, port: int, remote: Remote | None) -> Site:
    """Cookies know hosts and not ports, so the name of ours tells this home from another one on the same host."""
    names = {"127.0.0.1", "localhost", "[::1]", *(remote.names if remote else ())}
    if ip_address("127.0.0.1" if host == "localhost" else host).is_loopback:
        names.add(_in_url(host))
    cookie = f"perpmaker_{hashlib.sha256(str(home).encode()).hexdigest()[:8]}"
    return Site.of(names, port, cookie=cookie, secure=remote is not None)


def _secrets(token: str, remote: Remote | None) -> list[Secret]:
    known: list[Secret] = [Token(token)]
    if remote is not None:
        known.append(remote.password())
    return known


def _say(ready: Ready | None, url: str, token: str) -> None:
    logs.get("dashboard").info("dashboard_ready", url=url)
    if ready is not None:
        ready(f"{url}/#{token}")


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows has none; asyncio's own loop serves too
        return None
    return uvloop.new_event_loop

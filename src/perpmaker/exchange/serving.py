"""What the faces share of serving HTTP: JSON answers, the root of every request, calls for later."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

SILENCE_S: Final = 300.0
"""How long a request that a fault rule leaves unanswered is held open; clients give up before."""

logger = structlog.get_logger(__name__)


def json_response(payload: Any, status: int) -> web.Response:
    return web.Response(body=msgspec.json.encode(payload), status=status, content_type="application/json")


def later(ms: int, call: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(ms / 1000, call)


def answering_defects(unknown: Callable[[int], Any], defect: Any) -> Middleware:
    """The root of every request: a defect of ours is logged and answered with `defect`, a stranger with `unknown`."""

    @web.middleware
    async def answer(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status in (404, 405):
                return json_response(unknown(error.status), error.status)
            raise
        except Exception:
            logger.exception("request_failed", path=request.path)
            return json_response(defect, 500)

    return answer

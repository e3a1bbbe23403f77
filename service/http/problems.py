"""What the API refuses, in the catalog's own shape of errors: `{"trace": …, "errors": [{"code": …, "message": …}]}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

import structlog
from aiohttp import web

from service.errors import DataError, MirrorError, StoreUnavailable, TransientError

log = structlog.get_logger(__name__)

#: Seconds after which a client may try again what failed for the store's sake.
RETRY_AFTER_S = 5
#: Codes of what aiohttp refuses by itself, by status.
_CODES = {404: "does_not_exist", 405: "method_not_allowed", 413: "request_too_large", 415: "unsupported_media_type"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


def bad_request(message: str) -> Problem:
    """400: the request cannot be used as it is."""
    return Problem(400, "invalid_parameter", message)


def not_found(what: str, name: str) -> Problem:
    """404: it is not in the mirror, or not everybody may see it."""
    return Problem(404, "does_not_exist", f"The {what} {name!r} does not exist in the mirror.")


def forbidden(message: str) -> Problem:
    """403: known, but not allowed."""
    return Problem(403, "not_authorized", message)


@web.middleware
async def in_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put every failure into the catalog's shape."""
    try:
        return await handler(request)
    except Problem as problem:
        return response(problem)
    except DataError as error:
        return response(Problem(400, error.error_class, sentence(error)))
    except StoreUnavailable as error:
        log.warning("api_waits_for_store", path=request.path, problem=str(error))
        message = "The store cannot be used now; nothing was written. Try again."
        return response(Problem(503, "store_unavailable", message, {"Retry-After": str(RETRY_AFTER_S)}))
    except TransientError as error:
        return response(Problem(503, error.error_class, sentence(error), {"Retry-After": str(RETRY_AFTER_S)}))
    except web.HTTPException as refused:
        kept = {"Allow": refused.headers["Allow"]} if "Allow" in refused.headers else {}
        code = _CODES.get(refused.status, "bad_request")
        return response(Problem(refused.status, code, f"{refused.reason}: {request.method} {request.path}", kept))
    except Exception:
        trace = uuid4().hex
        log.exception("api_failed", method=request.method, path=request.path, trace=trace)
        message = f"This is a bug of the mirror; its log tells more under {trace}."
        return response(Problem(500, "internal_error", message), trace)


def sentence(error: MirrorError) -> str:
    """What happened, and what to do."""
    return " ".join(part for part in (str(error), error.advice()) if part)


def response(problem: Problem, trace: str | None = None) -> web.Response:
    """The problem as an answer."""
    body = {"trace": trace or uuid4().hex, "errors": [{"code": problem.code, "message": problem.message}]}
    return web.json_response(body, status=problem.status, headers=problem.headers)

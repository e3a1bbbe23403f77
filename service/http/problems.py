"""What the API refuses, in the catalog's own shape of errors: `{"trace": …, "errors": [{"code": …, "message": …}]}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

import structlog
from aiohttp import web

from service.errors import (
    ConfigurationError,
    DataError,
    EventFromTheFuture,
    MirrorError,
    QueryInvalid,
    StoreUnavailable,
    TransientError,
    UsageError,
)
from service.operations.acting import Conflict, Unknown

log = structlog.get_logger(__name__)

#: Seconds after which a client may try again what failed for our sake. OpenLineage's obeys it five times within a
#: task (openlineage-python 1.54, `transport/http_common.py`): ten seconds, as long as it tries where nobody listens.
RETRY_AFTER_S = 2
#: Codes of what aiohttp refuses by itself, by status.
_CODES = {404: "does_not_exist", 405: "method_not_allowed", 413: "request_too_large", 415: "unsupported_media_type"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Problem(Exception):
    """An answer that is no success."""

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None, trace: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})
        #: Under which the log tells more, and by which whoever got the answer can name it.
        self.trace = trace or uuid4().hex


def bad_request(message: str) -> Problem:
    """400: the request cannot be used as it is."""
    return Problem(400, "invalid_parameter", message)


def not_found(what: str, name: str) -> Problem:
    """404: it is not in the mirror, or not everybody may see it."""
    return Problem(404, "does_not_exist", f"The {what} {name!r} does not exist in the mirror.")


def refused(error: DataError, where: str = "") -> Problem:
    """What is well-formed and goes against our clock is 409; what else cannot be used is 400."""
    status = 409 if isinstance(error, EventFromTheFuture) else 400
    return Problem(status, error.error_class, where + sentence(error))


def try_again(code: str, message: str) -> Problem:
    """503: nothing is wrong with the request, and soon it may be taken."""
    return Problem(503, code, message, {"Retry-After": str(RETRY_AFTER_S)})


def forbidden(message: str) -> Problem:
    """403: known, but not allowed."""
    return Problem(403, "not_authorized", message)


@web.middleware
async def in_shape(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put every failure into the catalog's shape."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 (what is ours to mend is logged by problem_of)
        return response(problem_of(error, request))


def problem_of(error: Exception, request: web.Request) -> Problem:
    """What is answered for an error; one that is ours to mend is logged, under a trace that the answer names."""
    match error:
        case Problem():
            return error
        case DataError():
            return refused(error)
        case QueryInvalid():
            return bad_request(sentence(error))
        case ConfigurationError() | Unknown() | Conflict():
            return _of_action(error)
        case StoreUnavailable():
            log.warning("api_waits_for_store", path=request.path, problem=str(error))
            return try_again("store_unavailable", "The store cannot be used now; nothing was written. Try again.")
        case TransientError():
            return try_again(error.error_class, sentence(error))
        case web.HTTPException():
            kept = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            code = _CODES.get(error.status, "bad_request")
            return Problem(error.status, code, f"{error.reason}: {request.method} {request.path}", kept)
    trace = uuid4().hex
    log.error("api_failed", method=request.method, path=request.path, trace=trace, exc_info=error)
    message = f"This is a bug of the mirror; its log tells more under {trace}."
    return Problem(500, "internal_error", message, trace=trace)


def _of_action(error: MirrorError) -> Problem:
    """What somebody asked for cannot be done: it is wrong in itself, not there, or does not fit how things stand.

    Settings that do not allow it are nothing that whoever asks can mend.
    """
    if isinstance(error, Unknown):
        return Problem(404, "does_not_exist", sentence(error))
    if isinstance(error, Conflict):
        return Problem(409, "conflict", sentence(error))
    if isinstance(error, UsageError):
        return bad_request(sentence(error))
    return Problem(500, "settings", sentence(error))


def sentence(error: MirrorError) -> str:
    """What happened, and what to do."""
    return " ".join(part for part in (str(error), error.advice()) if part)


def response(problem: Problem) -> web.Response:
    """The problem as an answer."""
    body = {"trace": problem.trace, "errors": [{"code": problem.code, "message": problem.message}]}
    return web.json_response(body, status=problem.status, headers=problem.headers)

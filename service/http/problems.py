"""What the API refuses, in the catalog's own shape of errors: `{"trace": …, "errors": [{"code": …, "message": …}]}`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from uuid import uuid4

import structlog
from aiohttp import web

from service.errors import (
    DataError,
    EventFromTheFuture,
    MirrorError,
    QueryInvalid,
    StoreUnavailable,
    TransientError,
)

log = structlog.get_logger(__name__)

#: Seconds after which a client may try again what failed for our sake. OpenLineage's obeys it five times within a
#: task (openlineage-python 1.54, `transport/http_common.py`): ten seconds, as long as it tries where nobody listens.
RETRY_AFTER_S = 2
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
    except Problem as problem:
        return response(problem)
    except DataError as error:
        return response(refused(error))
    except QueryInvalid as error:
        return response(bad_request(sentence(error)))
    except StoreUnavailable as error:
        log.warning("api_waits_for_store", path=request.path, problem=str(error))
        message = "The store cannot be used now; nothing was written. Try again."
        return response(try_again("store_unavailable", message))
    except TransientError as error:
        return response(try_again(error.error_class, sentence(error)))
    except web.HTTPException as told:
        kept = {"Allow": told.headers["Allow"]} if "Allow" in told.headers else {}
        code = _CODES.get(told.status, "bad_request")
        return response(Problem(told.status, code, f"{told.reason}: {request.method} {request.path}", kept))
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

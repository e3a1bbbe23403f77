"""Calls as spans: each one, for whoever called with a trace, and for a share of the others."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from service.http.problems import Handler
from service.telemetry.traces import TRACEPARENT, Kind, Span, Traces, within


def traced(traces: Traces) -> list[Middleware]:
    """What puts a span around each call, outside of all else; nothing where tracing is off.

    The call is named by its route, so that no id, and nothing that somebody searched for, becomes part of a name.
    """
    if not traces.is_on:
        return []

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        method = request.method if request.method in hdrs.METH_ALL else "_OTHER"
        resource = request.match_info.route.resource
        about = {"http.request.method": method} | ({"http.route": resource.canonical} if resource else {})
        name = " ".join((method, resource.canonical)) if resource else method
        span = traces.begin(name, Kind.SERVER, request.headers.get(TRACEPARENT), about)
        if span is None:
            return await handler(request)
        with within(span):
            return await _answered(request, handler, span)

    return [around]


async def _answered(request: web.Request, handler: Handler, span: Span) -> web.StreamResponse:
    """The answer; the span ends with it."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        _end(span, error.status)
        raise
    except BaseException as error:
        span.end(type(error).__name__)
        raise
    _end(span, response.status)
    return response


def _end(span: Span, status: int) -> None:
    span.note({"http.response.status_code": status})
    span.end(str(status) if status >= 500 else None)

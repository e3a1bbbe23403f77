"""Calls as they are seen from outside: counted and timed by route, and spans for whoever traces."""

from __future__ import annotations

import time

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from service.http.problems import Handler
from service.telemetry.metrics import Metrics
from service.telemetry.traces import TRACEPARENT, TRACESTATE, Kind, Span, Traces, carried, within

#: The route of a call that has none.
_NONE = "other"
#: What lasts as long as somebody looks says nothing about how quickly it is answered.
_STREAM = "text/event-stream"
#: The status of a call whose caller did not wait for the answer, as nginx has it.
_GONE = 499


def watched(metrics: Metrics, traces: Traces) -> Middleware:
    """What counts and times each call, outside of all else, within a span where it is traced.

    A call is named by its route, so that no id, and nothing that somebody searched for, becomes part of a name.
    """

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource else None
        span = _span(request, route, traces) if traces.is_on else None
        began, status, lasts = time.perf_counter(), _GONE, False
        try:
            with within(span):
                response = await handler(request)
            status, lasts = response.status, response.content_type == _STREAM
        except web.HTTPException as error:
            status = error.status
            raise
        except BaseException as error:
            _end(span, type(error).__name__)
            span = None
            raise
        finally:
            metrics.http_requests.labels(route or _NONE, status).inc()
            if not lasts:
                exemplar = span.exemplar if span else None
                metrics.http_request_seconds.labels(route or _NONE).observe(time.perf_counter() - began, exemplar)
            if span:
                span.note({"http.response.status_code": status})
                _end(span, str(status) if status >= 500 else None)
        return response

    return around


def _span(request: web.Request, route: str | None, traces: Traces) -> Span | None:
    method = request.method if request.method in hdrs.METH_ALL else "_OTHER"
    about = {"http.request.method": method} | ({"http.route": route} if route else {})
    states = ",".join(request.headers.getall(TRACESTATE, ()))
    parent = carried({TRACEPARENT: request.headers.get(TRACEPARENT), TRACESTATE: states})
    return traces.begin(f"{method} {route}" if route else method, Kind.SERVER, parent, about)


def _end(span: Span | None, error: str | None) -> None:
    if span:
        span.end(error)

"""The admin API as one application: its calls, its door, and where it listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web

from service.errors import SettingInvalid
from service.http import probes
from service.http.access import Access, guarded, needs
from service.http.admin import openapi
from service.http.admin.calls import Means, answer
from service.http.admin.door import from_our_origin
from service.http.console.app import Console
from service.http.problems import in_shape
from service.http.query import Query
from service.http.tokens import Scope
from service.http.watching import watched
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Traces

log = structlog.get_logger(__name__)

_SETTING = "CATALOG_MIRROR_HTTP__ADMIN_PORT"


class AdminApi:
    """What answers on the admin port: calls, for the scope `operate` alone, and the console with its actions.

    Raises:
        SettingInvalid: the token file cannot be used, or an issuer lacks its audience.
    """

    def __init__(self, means: Means, metrics: Metrics, traces: Traces = OFF) -> None:
        self._means = means
        self._metrics = metrics
        self._traces = traces
        self._http = means.settings.http
        self._access = Access(self._http)
        self._console = Console(means.settings, means.store, self._access, acts=True)

    def application(self) -> web.Application:
        """The admin API as an aiohttp application."""
        app = web.Application(
            middlewares=[watched(self._metrics, self._traces), in_shape, from_our_origin, guarded(self._access)],
            client_max_size=self._http.max_body_bytes,
        )
        app.add_routes([call.route(self._means, openapi.CALLS) for call in openapi.CALLS])
        app.add_routes([web.get(openapi.PATH, needs(Scope.OPERATE, _describe), allow_head=False)])
        self._console.add_to(app)
        return app

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Answer while the block runs; gives the port.

        Raises:
            SettingInvalid: there are no tokens, or the port cannot be taken.
        """
        if not self._access.has_tokens or self._http.admin_port is None:
            problem = "the admin API is off without tokens: set HTTP__TOKENS_FILE or HTTP__OIDC_ISSUER"
            raise SettingInvalid(setting=_SETTING, problem=problem)
        host, port = self._http.admin_host, self._http.admin_port
        async with probes.listening(self.application(), host, port, _SETTING) as taken:
            log.info("admin_api_listening", host=host, port=taken)
            yield taken


async def _describe(request: web.Request) -> web.Response:
    Query(request)
    return answer(openapi.document())

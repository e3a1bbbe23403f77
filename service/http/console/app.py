"""The console as one part of an application: its screens, what lets people in, and the files that pages load."""

from __future__ import annotations

import structlog
from aiohttp import web

from service.http.access import Access
from service.http.console import files, parts
from service.http.console.collibra import CollibraScreen
from service.http.console.door import Door
from service.http.console.finding import Finding
from service.http.console.letters import Letters
from service.http.console.lineage import LineageScreen
from service.http.console.overview import Flow
from service.http.console.people import People
from service.http.console.reading import ReadingScreen
from service.http.console.rendering import Pages
from service.http.console.screens import Means, Screen
from service.http.console.steering import Steering
from service.mirror.store import Store
from service.settings.model import Settings

log = structlog.get_logger(__name__)


class Console:
    """What answers people at one port; `acts`: whether that port takes actions."""

    def __init__(self, settings: Settings, store: Store, access: Access, *, acts: bool) -> None:
        pages = Pages(acts=acts)
        means = Means(settings, store, access, pages, Door(access, store, pages, settings.http.session_s))
        self._flow = Flow(means)
        others = (Finding, LineageScreen, Letters, Steering, CollibraScreen, ReadingScreen, People)
        self._screens: list[Screen] = [self._flow, *(screen(means) for screen in others)]
        if not parts.are_there():
            log.warning("console_without_scripts", remedy="run `make install` where Node.js is, or install the wheel")

    def add_to(self, app: web.Application) -> None:
        """Have an application answer with the pages."""
        for screen in self._screens:
            app.add_routes(screen.routes())
        app.add_routes([web.get("/static/{name:.+}", files.serve, allow_head=False)])
        app.on_shutdown.append(self._flow.end)

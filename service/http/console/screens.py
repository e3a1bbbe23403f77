"""What every screen of the console is made with, and how it says what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from service.http.access import Access
from service.http.console.door import Door, Handler
from service.http.console.rendering import Pages
from service.http.tokens import Scope
from service.mirror.store import Store
from service.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Means:
    """What screens are made with."""

    settings: Settings
    store: Store
    access: Access
    pages: Pages
    door: Door


class Screen:
    """Some pages that belong together: those that show, and where the port takes actions, those that act."""

    def __init__(self, means: Means) -> None:
        self._store = means.store
        self._settings = means.settings
        self._pages = means.pages
        self._door = means.door

    def routes(self) -> list[web.RouteDef]:
        """What is answered at this port."""
        return [*self.shown(), *(self.acted() if self._pages.acts else ())]

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        raise NotImplementedError

    def acted(self) -> list[web.RouteDef]:
        """What is answered where actions are taken."""
        return []

    def see(self, path: str, handler: Handler, scope: Scope = Scope.OPERATE) -> web.RouteDef:
        """A page, for people with this scope."""
        return web.get(path, self._door.page(scope, handler), allow_head=False)

    def act(self, path: str, handler: Handler, scope: Scope = Scope.OPERATE) -> web.RouteDef:
        """An action, for people with this scope."""
        return web.post(path, self._door.page(scope, handler))

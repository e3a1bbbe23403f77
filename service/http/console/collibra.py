"""What Collibra has and the catalog has no longer: looked at, and removed there by a person."""

from __future__ import annotations

from urllib.parse import quote

from aiohttp import web

from service.http.console.forms import act_of, field, on
from service.http.console.screens import Screen
from service.operations import collibra_assets as operations

#: Things that are shown, and that one click removes while its page waits.
AT_ONCE = 500


class CollibraScreen(Screen):
    """`/collibra/TARGET/deletions`."""

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [self.see("/collibra/{target:[^/]+}/deletions", self.list)]

    def acted(self) -> list[web.RouteDef]:
        """What is answered where actions are taken."""
        return [self.act("/collibra/{target:[^/]+}/deletions", self.remove)]

    async def list(self, request: web.Request) -> web.Response:
        """The first of them, and whether they are so many that it has to be said twice."""
        name = request.match_info["target"]
        found = await operations.deletions(self._store, self._settings, name)
        number = len(found.orphans)
        return self._pages.show(
            request, "collibra.html", target=name, orphans=found.orphans[:AT_ONCE], number=number, all=found.all,
            is_much=self._settings.sync.is_mass_deletion(number, found.all), at_once=AT_ONCE,
        )  # fmt: skip

    async def remove(self, request: web.Request) -> web.Response:
        """Remove those that are shown."""
        name, beyond = request.match_info["target"], await field(request, "beyond_brake") == "yes"
        act = await act_of(request)
        done = await operations.remove(self._store, self._settings, name, act, beyond_brake=beyond, at_most=AT_ONCE)
        return on(f"/collibra/{quote(name, safe='')}/deletions", "removed", done.removed)

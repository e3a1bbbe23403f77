"""How the catalog is read: runs and how far they are, what differs, how fresh each kind is; and what starts a run."""

from __future__ import annotations

from aiohttp import web

from service.http.console.forms import act_of, field, on
from service.http.console.screens import Screen
from service.http.problems import bad_request
from service.http.query import Query
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.mirror.tables import VERSIONED
from service.operations import reading
from service.queries import parts
from service.sync.runs import COUNTS
from service.sync.sweep import Options

#: What may be asked for: the mode, and what the run may do.
_RUNS = {
    "snapshot": (SNAPSHOT, Options()),
    "compare": (RECONCILE, Options(repair=False, deletions=True, accept_deletions=False)),
    "repair": (RECONCILE, Options(repair=True, deletions=True, accept_deletions=False)),
    "repair_all": (RECONCILE, Options(repair=True, deletions=True, accept_deletions=True)),
}


class ReadingScreen(Screen):
    """`/reading`."""

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [
            self.see("/reading", self.show),
        ]

    def acted(self) -> list[web.RouteDef]:
        """What is answered where actions are taken."""
        return [
            self.act("/reading/ask", self.ask),
            self.act("/reading/hold", self.hold),
            self.act("/reading/refresh", self.refresh),
            self.act("/reading/gaps/close", self.close_gap),
        ]

    async def show(self, request: web.Request) -> web.Response:
        """Runs, freshness, gaps."""
        Query(request, "note", "n")
        standing = await reading.standing(self._store)
        async with self._store.reading() as connection:
            fresh = await parts.freshness(connection)
            waiting = await parts.refreshing(connection, parts.WAITING_ROWS)
        return self._pages.show(
            request, "reading.html", standing=standing, freshness=fresh, refreshing=waiting, counts=COUNTS,
            gaps=await reading.gaps(self._store), kinds=sorted(VERSIONED),
        )  # fmt: skip

    async def ask(self, request: web.Request) -> web.Response:
        """Have the running service read."""
        wanted = await field(request, "run")
        if wanted not in _RUNS:
            raise bad_request(f"run must be one of {', '.join(_RUNS)}.")
        mode, options = _RUNS[wanted]
        await reading.ask(self._store, mode, options, await act_of(request))
        return on("/reading", "asked")

    async def hold(self, request: web.Request) -> web.Response:
        """Hold the run that is going on, let it go on, or end it."""
        how, act = await field(request, "how"), await act_of(request)
        if how == "pause":
            await reading.hold(self._store, act)
        elif how == "resume":
            await reading.let_go(self._store, act)
        elif how == "stop":
            await reading.stop(self._store, act)
        else:
            raise bad_request("how must be one of pause, resume, stop.")
        return on("/reading", "asked")

    async def refresh(self, request: web.Request) -> web.Response:
        """Have one thing read again."""
        kind, thing = await field(request, "kind"), await field(request, "id")
        if not thing:
            raise bad_request("Give the id of what is to be read.")
        await reading.refresh(self._store, kind, thing, None, await act_of(request))
        return on("/reading", "asked")

    async def close_gap(self, request: web.Request) -> web.Response:
        """Close a gap of which a person knows that nothing is missing."""
        await reading.close_gap(self._store, await field(request, "gap"), await act_of(request))
        return on("/reading", "closed")

"""Consuming, targets and deliveries: how they stand, and the switches."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from service.http.console.forms import act_of, field, on
from service.http.console.screens import Screen
from service.http.query import Query
from service.operations import collibra_assets, consuming, deliveries, targets
from service.operations.targets import TargetUnknown
from service.queries import parts

#: Deliveries of one page, and those of which it is shown what would be sent.
PAGE, PLANNED = 50, 5


class Steering(Screen):
    """`/consuming` and `/targets`."""

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [
            self.see("/targets", self.list),
            self.see("/targets/{target:[^/]+}", self.one),
        ]

    def acted(self) -> list[web.RouteDef]:
        """What is answered where actions are taken."""
        return [
            self.act("/consuming/pause", self.pause_consuming),
            self.act("/consuming/resume", self.resume_consuming),
            self.act("/deliveries/release", self.release),
            self.act("/targets/{target:[^/]+}/pause", self.pause),
            self.act("/targets/{target:[^/]+}/resume", self.resume),
            self.act("/targets/{target:[^/]+}/retry", self.retry),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """Every target: its state, what waits for it, what was delivered."""
        held = await deliveries.held(self._store)
        async with self._store.reading() as connection:
            _, flows = await parts.replicas(connection, self._store)
            found = await parts.targets(connection, flows, held=held is not None, bound=parts.WAITING_ROWS)
        return self._pages.show(request, "targets.html", targets=found, held=held)

    async def one(self, request: web.Request) -> web.Response:
        """One target: what waits, and what it would be told."""
        name = request.match_info["target"]
        query = Query(request, "after", "note", "n")
        after = query.number("after", 0, 0, 2**31 - 1) or None
        known = {state.target: state for state in await targets.listed(self._store, self._settings)}
        if name not in known:
            raise TargetUnknown(name=name)
        waiting = await deliveries.pending(self._store, name, PAGE, after)
        is_on = known[name].origins not in (targets.TURNED_OFF, targets.LEADS_NOWHERE)
        plan = await targets.plan(self._store, self._settings, name, PLANNED) if is_on else None
        more = f"/targets/{quote(name)}?" + urlencode({"after": waiting[-1].seq}) if len(waiting) == PAGE else None
        bodies = [(one.to, len(one.deliveries), _parsed(one.body)) for one in plan.sendings] if plan else []
        return self._pages.show(
            request, "target.html", target=known[name], waiting=waiting, more=more,
            plan=plan, bodies=bodies, has_deletions=is_on and collibra_assets.is_one(self._settings, name),
        )  # fmt: skip

    async def pause_consuming(self, request: web.Request) -> web.Response:
        """Stop consuming on every replica."""
        await consuming.pause(self._store, await act_of(request))
        return on("/", "paused")

    async def resume_consuming(self, request: web.Request) -> web.Response:
        """Lift a pause and every brake."""
        await consuming.resume(self._store, await act_of(request))
        return on("/", "resumed")

    async def release(self, request: web.Request) -> web.Response:
        """Let held deliveries go."""
        await deliveries.release(self._store, await act_of(request))
        return on("/targets", "released")

    async def pause(self, request: web.Request) -> web.Response:
        """Stop delivering to a target."""
        name = request.match_info["target"]
        await targets.pause(self._store, name, await act_of(request))
        return on(await _back(request, name), "paused")

    async def resume(self, request: web.Request) -> web.Response:
        """Deliver to a target again."""
        name = request.match_info["target"]
        await targets.resume(self._store, name, await act_of(request))
        return on(await _back(request, name), "resumed")

    async def retry(self, request: web.Request) -> web.Response:
        """Try what waits at once, instead of after its pause."""
        name = request.match_info["target"]
        done = await deliveries.retry(self._store, name, (), await act_of(request))
        return on(f"/targets/{quote(name, safe='')}", "retried", done.number)


async def _back(request: web.Request, name: str) -> str:
    return "/targets" if await field(request, "back") == "list" else f"/targets/{quote(name, safe='')}"


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body

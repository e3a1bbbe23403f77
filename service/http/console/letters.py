"""Dead letters: by cause, one by one, mended and tried again."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web

from service.http.console.forms import act_of, field, on
from service.http.console.screens import Screen
from service.http.problems import bad_request
from service.http.query import Query
from service.mirror.dead_letters import DISCARDED, EVENT, OPEN, REPLAYED, SUPERSEDED, Filter
from service.operations import dead_letters
from service.operations.dead_letters import Replayed

#: Letters of one page.
PAGE = 50
#: Letters that are tried again while somebody waits for the page; the rest is the command's, or the API's.
AT_ONCE = 500
#: Bytes of a header and a body that are shown; the whole of it is edited in a file.
SHOWN_BYTES = 200_000
_STATES = (OPEN, REPLAYED, DISCARDED, SUPERSEDED)


class Letters(Screen):
    """`/dead-letters`."""

    def shown(self) -> list[web.RouteDef]:
        """What is answered at either port."""
        return [
            self.see("/dead-letters", self.list),
            self.see("/dead-letters/{letter:[^/]+}", self.one),
        ]

    def acted(self) -> list[web.RouteDef]:
        """What is answered where actions are taken."""
        return [
            self.act("/dead-letters/replay", self.replay),
            self.act("/dead-letters/discard", self.discard),
            self.act("/dead-letters/{letter:[^/]+}/diff", self.diff),
            self.act("/dead-letters/{letter:[^/]+}/edit", self.edit),
        ]

    async def list(self, request: web.Request) -> web.Response:
        """By cause; with a cause, the letters of it."""
        query = Query(request, "cause", "state", "topic", "after", "note", "n")
        cause, topic, state = query.text("cause"), query.text("topic") or None, query.text("state") or OPEN
        if state not in _STATES:
            raise bad_request(f"state must be one of {', '.join(_STATES)}.")
        groups = await dead_letters.groups(self._store)
        which = Filter(fingerprint=cause, topic=topic, state=state)
        found = await dead_letters.find(self._store, which, PAGE, query.id("after"))
        more = None
        if len(found.letters) == PAGE:
            here = {name: value for name, value in request.query.items() if name not in ("after", "note", "n")}
            more = "/dead-letters?" + urlencode({**here, "after": found.letters[-1].dead_letter_id})
        return self._pages.show(
            request, "letters.html", groups=groups, found=found, cause=cause, topic=topic, state=state, states=_STATES,
            chosen=next((group for group in groups if group.fingerprint == cause), None), more=more,
        )  # fmt: skip

    async def one(self, request: web.Request) -> web.Response:
        """One letter whole: why, what to do, and its body to be mended."""
        whole = await dead_letters.one(self._store, request.match_info["letter"])
        body = whole.body or b""
        return self._pages.show(
            request, "letter.html", whole=whole, letter=whole.letter,
            body=dead_letters.pretty(body[:SHOWN_BYTES]),
            cut=len(body) > SHOWN_BYTES, has_body=whole.letter.state == OPEN and whole.letter.kind == EVENT,
            original=dead_letters.pretty(whole.original_body[:SHOWN_BYTES]) if whole.original_body else None,
        )  # fmt: skip

    async def diff(self, request: web.Request) -> web.Response:
        """What an edit would change, before it is saved."""
        letter = request.match_info["letter"]
        body, digest = await _edited(request)
        lines = await dead_letters.diff(self._store, self._settings.pipeline, letter, body.encode())
        told: dict[str, Any] = {
            "letter_id": letter,
            "body": body,
            "digest": digest,
            "lines": lines,
        }
        return self._pages.show(request, "diff.html", **told)

    async def edit(self, request: web.Request) -> web.Response:
        """Save an edited body, and try it at once where that was asked for."""
        letter = request.match_info["letter"]
        body, digest = await _edited(request)
        act = await act_of(request)
        edited = await dead_letters.edit(self._store, self._settings.pipeline, letter, body.encode(), digest, act)
        if await field(request, "then") == "replay":
            counts = await dead_letters.replay(
                self._store, self._settings, Filter((edited.dead_letter_id,), exact=True), act
            )
            return on(f"/dead-letters/{quote(edited.dead_letter_id)}", *_outcome(counts))
        return on(f"/dead-letters/{quote(edited.dead_letter_id)}", "edited", 1)

    async def replay(self, request: web.Request) -> web.Response:
        """Try one letter again, or those of a cause."""
        which, back = await self._chosen(request)
        counts = await dead_letters.replay(self._store, self._settings, which, await act_of(request))
        return on(back, *_outcome(counts))

    async def discard(self, request: web.Request) -> web.Response:
        """Close one letter, or those of a cause, without trying it."""
        which, back = await self._chosen(request)
        return on(back, "discarded", await dead_letters.discard(self._store, which, await act_of(request)))

    async def _chosen(self, request: web.Request) -> tuple[Filter, str]:
        letter, cause = await field(request, "letter"), await field(request, "cause")
        if letter:
            return Filter((letter,), exact=True), f"/dead-letters/{quote(letter, safe='')}"
        if not cause:
            raise bad_request("Name a letter or a cause.")
        which = Filter(fingerprint=cause)
        found = await dead_letters.find(self._store, which, 1)
        if found.total > AT_ONCE:
            command = f"catalog-mirror dead-letters replay --fingerprint {cause}"
            raise bad_request(f"{found.total} letters are more than a page waits for ({AT_ONCE}): `{command}` does it.")
        return which, "/dead-letters"


async def _edited(request: web.Request) -> tuple[str, str]:
    """The edited body, with the line ends that were there before the browser sent it, and what its editor saw."""
    form = await request.post()
    body, digest = form.get("body"), form.get("digest")
    if not isinstance(body, str) or not isinstance(digest, str):
        raise bad_request("An edit is a body, and the digest of what was edited.")
    return body.replace("\r\n", "\n"), digest


def _outcome(counts: Replayed) -> tuple[str, int]:
    """What is said of a replay: what went wrong first."""
    for name in ("failed_again", "cannot_be_read", "cut_off", "to_be_read"):
        if number := getattr(counts, name):
            return name, number
    return "replayed", counts.replayed

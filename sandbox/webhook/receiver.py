"""The receiver: checks each signature with the official library and each event with the official SDK.

Whatever the contract does not allow is refused, and named: a wrong or old signature, an event that CloudEvents does not
know, an id that stands for another text than before, a change of a thing that is older than the one before it. Knobs
let it fail as real ones do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks import Webhook, WebhookVerificationError

from sandbox.serving import serving

_FORMAT = JSONFormat()
BATCH = "application/cloudevents-batch+json"
STRUCTURED = "application/cloudevents+json"


class Refused(ValueError):
    """What was sent is not as the contract says."""


@dataclass
class Failure:
    """An answer instead of taking what was sent."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = "not now"
    #: Seconds that it takes.
    after_s: float = 0.0


@dataclass
class PocketReceiver:
    """What one receiver took, and how it behaves."""

    #: Its secrets, each of which may sign; none: it does not look.
    secrets: list[str] = field(default_factory=list)
    #: Answered first, one after the other.
    failures: list[Failure] = field(default_factory=list)
    #: Subjects of events that it refuses for good.
    unwanted: set[str] = field(default_factory=set)
    #: Events in their order, each once.
    events: list[dict[str, Any]] = field(default_factory=list)
    #: Ids that came again.
    again: list[str] = field(default_factory=list)
    #: Why calls were refused.
    refusals: list[str] = field(default_factory=list)
    #: Events of each call, refused ones among them.
    sizes: list[int] = field(default_factory=list)
    #: Headers of each call.
    headers: list[Mapping[str, str]] = field(default_factory=list)
    #: Is told of each event that was taken.
    shows: Callable[[dict[str, Any]], None] | None = None
    _texts: dict[str, str] = field(default_factory=dict)
    _newest: dict[str, str] = field(default_factory=dict)

    def application(self) -> web.Application:
        """Takes events at `/`."""
        app = web.Application(client_max_size=4 * 1_048_576)
        app.router.add_post("/", self._take)
        return app

    def told(self, subject: str) -> list[dict[str, Any]]:
        """What was told of one thing."""
        return [event for event in self.events if event["subject"] == subject]

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.headers.append(dict(request.headers))
        if self.failures:
            failure = self.failures.pop(0)
            await asyncio.sleep(failure.after_s)
            return web.Response(status=failure.status, headers=failure.headers, text=failure.body)
        try:
            self._verify(request.headers, body)
            events = [_plain(event) for event in _events(request.headers, body)]
            self.sizes.append(len(events))
            for event in events:
                self._judge(event)
        except (Refused, WebhookVerificationError, ValueError) as refusal:
            self.refusals.append(str(refusal))
            return web.json_response({"error": str(refusal)}, status=400)
        for event in events:
            self._keep(event)
        return web.Response(status=204)

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        if not self.secrets:
            return
        problem: Exception = Refused("no secret")
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, dict(headers), json_parse=False)
                return
            except WebhookVerificationError as error:
                problem = error
        raise problem

    def _judge(self, event: dict[str, Any]) -> None:
        if event["subject"] in self.unwanted:
            raise Refused(f"{event['subject']} is not wanted here")
        before = self._texts.get(event["id"])
        if before is not None and before != _without_trace(event):
            raise Refused(f"{event['id']} is another event than before")
        version = event["data"].get("version", {}).get("key", "")
        if before is None and version < self._newest.get(event["subject"], ""):
            raise Refused(f"{event['subject']} is older than what came before")

    def _keep(self, event: dict[str, Any]) -> None:
        if event["id"] in self._texts:
            self.again.append(event["id"])
            return
        self._texts[event["id"]] = _without_trace(event)
        self._newest[event["subject"]] = event["data"].get("version", {}).get("key", "")
        self.events.append(event)
        if self.shows is not None:
            self.shows(event)


def _events(headers: Mapping[str, str], body: bytes) -> list[BaseCloudEvent]:
    """The events of a call, by its mode."""
    content_type = headers.get("Content-Type", "").split(";")[0]
    told = json.loads(body)
    whole = {BATCH: told, STRUCTURED: [told]}.get(content_type, [])
    if any(one.get("specversion") != "1.0" for one in whole):  # which the SDK would add
        raise Refused("specversion is not 1.0")
    if content_type == BATCH:
        return [_FORMAT.read(CloudEvent, json.dumps(one)) for one in told]
    if content_type == STRUCTURED or "ce-id" in headers:
        return [http.from_http(http.HTTPMessage(dict(headers), body), _FORMAT, CloudEvent)]
    raise Refused(f"{content_type!r} is no content type of CloudEvents")


def _plain(event: BaseCloudEvent) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(_FORMAT.write(event))
    return plain


def _without_trace(event: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in event.items() if name != "traceparent"}, sort_keys=True)


@asynccontextmanager
async def serve(receiver: PocketReceiver, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Answer in the running event loop; gives the URL."""
    async with serving(receiver.application(), port, host) as url:
        yield url

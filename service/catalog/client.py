"""The client of the catalog's API: signs in, keeps the pace, tries again what may pass, and says plainly what did not.

async with CatalogClient(settings.catalog, metrics) as catalog:
    answer = await endpoints.card(catalog.on(Lane.REFRESH), container, asset_id)
"""

from __future__ import annotations

import asyncio
import copy
import random
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from service.catalog.answer import Answer, moment_of
from service.catalog.auth import TokenSource
from service.catalog.names import Names
from service.catalog.refusals import read_refusal, refusal, sentence
from service.catalog.transport import Call, Query, Raw, Transport
from service.catalog.turns import Lane, Turns, turns_for
from service.errors import (
    CatalogAnswerInvalid,
    CatalogBusy,
    CatalogFailed,
    CatalogRefused,
    CatalogUnreachable,
    MirrorError,
)
from service.settings.model import CatalogSettings
from service.telemetry.metrics import Metrics
from service.text import documents
from service.text.shapes import Shapes

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Statuses that may pass; others of 500 and above will not by asking again.
PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often, and after how long, a call is tried again."""

    attempts: int = 5
    #: Seconds before the second attempt; doubled each time, with jitter.
    first_s: float = 0.5
    #: Longest pause in seconds, also where the catalog asks for a longer one.
    longest_s: float = 60.0


#: For callers that come back by themselves.
IMPATIENT = Patience(attempts=1)


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask the catalog. `endpoint` is its name in metrics."""

    endpoint: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    #: A JSON value, or bytes that are JSON.
    body: Any = None
    #: Statuses that are not tried again here although they may pass.
    final: frozenset[int] = frozenset()

    def with_query(self, query: Mapping[str, str]) -> Request:
        """The same with other parameters."""
        return replace(self, query=query)


class CatalogClient:
    """Calls the catalog. Open it with `async with`, or with `open` and `close`."""

    def __init__(
        self,
        settings: CatalogSettings,
        metrics: Metrics | None = None,
        patience: Patience | None = None,
        shapes: Shapes | None = None,
    ):
        """Raises `SettingInvalid`: no URL, nobody to sign in, an unusable CA file or parameter name."""
        self.settings = settings
        self.names = Names(settings.parameters)
        self._metrics = metrics
        self._patience = patience or Patience()
        self._shapes = shapes
        self.lane = Lane.SWEEP
        self._turns: Turns | None = None
        self._transport = Transport(settings)
        self._tokens = TokenSource(settings, self._sign_in)
        self._ahead: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def open(self) -> None:
        """Open the session, in the running loop. Nothing is sent yet."""
        self._turns = turns_for(self.settings)
        self._transport.open()

    async def close(self) -> None:
        """Stop what is being read ahead and close the connections."""
        await self.stop_ahead()
        await self._transport.close()

    async def stop_ahead(self) -> None:
        """Stop what is being read ahead; whoever waits for it is cancelled."""
        tasks = list(self._ahead)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on(self, lane: Lane) -> CatalogClient:
        """The same client, for calls of another urgency; a new one makes sweeps."""
        other = copy.copy(self)
        other.lane = lane
        return other

    def ahead(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run this while the caller does something else; `close` stops it at the latest."""
        task = asyncio.create_task(work)
        self._ahead.add(task)
        task.add_done_callback(self._ahead.discard)
        return task

    async def sign_in(self) -> None:
        """Get a token, if there is none; raises as `call` does."""
        await self._tokens.token()

    async def call(self, request: Request) -> Answer:
        """Ask, and answer what counts as success (any 2xx).

        Raises:
            CatalogUnreachable, CatalogFailed, CatalogBusy: after several attempts.
            CatalogRefused, CatalogForbidden, CatalogNotFound, CatalogGone, CatalogRejected: at once.
            CatalogAnswerTooLarge, CatalogLeadsElsewhere, CatalogAnswerInvalid: what came back is of no use.
        """
        return await self._patiently(request.endpoint, request.final, lambda: self._attempt(request))

    async def _attempt(self, request: Request) -> Answer:
        token = await self._tokens.token()
        call = self._prepared(request)
        raw = await self._send(request.endpoint, call, token)
        if raw.status == 401:
            token = await self._tokens.renewed(token)
            raw = await self._send(request.endpoint, call, token)
        if raw.status == 401:
            told = read_refusal(raw.body, self._tokens.secrets())
            problem = f"also with a new token: {sentence(401, told)}"
            raise CatalogRefused(call=call.name, problem=problem, setting=self._tokens.setting, status=401)
        if not 200 <= raw.status < 300:
            raise refusal(raw, call.name, self._tokens.secrets())
        answer = Answer(raw.status, raw.body, moment_of(raw.headers, raw.took_s), call.name)
        self._learn(request.endpoint, answer)
        return answer

    def _learn(self, endpoint: str, answer: Answer) -> None:
        """Look at the shape of one answer in some; what is no JSON is told to whoever asked."""
        if self._shapes and self._shapes.wants(endpoint):
            with suppress(CatalogAnswerInvalid):
                self._shapes.learn(f"answer {endpoint}", answer.value)

    def _prepared(self, request: Request) -> Call:
        query: Query = list(request.query.items())
        if request.body is None:
            return Call(request.method, self.settings.url or "", request.path, query)
        body = request.body if isinstance(request.body, bytes) else documents.canonical(request.body)
        headers = {"Content-Type": "application/json"}
        return Call(request.method, self.settings.url or "", request.path, query, headers, body)

    async def _send(self, endpoint: str, call: Call, token: str) -> Raw:
        signed = replace(call, headers={**call.headers, "Authorization": f"Bearer {token}"})
        async with turns_for(self.settings).turn(self.lane) as waited_s:
            if self._metrics:
                self._metrics.catalog_budget_wait.observe(waited_s)
            return await self._counted(endpoint, signed)

    async def _sign_in(self, call: Call) -> Raw:
        """A call without a token. It takes no turn: whoever waits for the token would wait for two."""

        async def attempt() -> Raw:
            raw = await self._counted("sign_in", call)
            if raw.status in PASSING or raw.status >= 500:
                raise refusal(raw, call.name, self._tokens.secrets())
            return raw

        return await self._patiently("sign_in", frozenset(), attempt)

    async def _counted(self, endpoint: str, call: Call) -> Raw:
        started, status = time.monotonic(), "none"
        try:
            raw = await self._transport.exchange(call)
            status = str(raw.status)
            return raw
        finally:
            if self._metrics:
                self._metrics.catalog_calls.labels(endpoint, status).inc()
                self._metrics.catalog_call_seconds.observe(time.monotonic() - started)

    async def _patiently(
        self, endpoint: str, final: frozenset[int], attempt: Callable[[], Coroutine[Any, Any, T]]
    ) -> T:
        try:
            async for turn in AsyncRetrying(
                retry=retry_if_exception(lambda error: _may_pass(error, final)),
                stop=stop_after_attempt(self._patience.attempts),
                wait=self._pause_s,
                before_sleep=lambda state: _log_retry(endpoint, state),
                reraise=True,
            ):
                with turn:
                    return await attempt()
        except MirrorError as error:
            error.details["tried"] = True  # signing in is part of a call: it is not tried five times five times
            raise
        raise AssertionError("unreachable")  # pragma: no cover

    def _pause_s(self, state: RetryCallState) -> float:
        """As long as the catalog asks, else twice as long each time; never the same for all who wait."""
        error = state.outcome.exception() if state.outcome else None
        asked_s = error.details.get("wait_s") if isinstance(error, MirrorError) else None
        if asked_s is not None:
            return float(min(asked_s * random.uniform(1, 1.1), self._patience.longest_s))
        pause_s = self._patience.first_s * 2.0 ** min(state.attempt_number - 1, 30)
        return float(min(pause_s * random.uniform(0.75, 1.25), self._patience.longest_s))


def _may_pass(error: BaseException, final: frozenset[int]) -> bool:
    if isinstance(error, MirrorError) and error.details.get("tried"):
        return False
    if isinstance(error, CatalogUnreachable):
        return True
    if isinstance(error, CatalogBusy | CatalogFailed):
        status = error.details.get("status")
        return status in PASSING and status not in final
    return False


def _log_retry(endpoint: str, state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    pause_s = round(state.next_action.sleep, 3) if state.next_action else None
    log.info("catalog_call_retried", endpoint=endpoint, problem=str(error), pause_s=pause_s)

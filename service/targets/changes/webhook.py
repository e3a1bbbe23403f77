"""Changes to any receiver over HTTP: CloudEvents, signed as Standard Webhooks says (docs/changes.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import structlog
from pydantic import Field

from service.errors import DataError, MirrorError, SettingInvalid, TargetUnavailable, TransientError
from service.mirror import controls
from service.settings.model import Settings, TargetSettings
from service.targets.abreast import abreast
from service.targets.base import Sending
from service.targets.changes.event import id_of
from service.targets.changes.options import ChangeOptions, need
from service.targets.changes.target import ChangeTarget, Parcel
from service.targets.options import options_of, setting_of
from service.targets.posting import Poster, Reply
from service.targets.sign_in import given
from service.targets.tracing import passing
from service.telemetry.traces import within

log = structlog.get_logger(__name__)

#: What a body is, by mode (CloudEvents HTTP Protocol Binding 1.0.2); in binary mode it is the data alone.
_STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
_BATCHED = {"Content-Type": "application/cloudevents-batch+json; charset=utf-8"}
#: Bytes of an array of events at most; one event alone may be larger.
MAX_BODY = 1_048_576
#: Posts at the same time, where each carries one event.
_CONCURRENCY = 4
#: What a receiver answers that is gone for good and wants no more (Standard Webhooks, "Responding to webhooks").
_GONE = 410


class TargetGone(TargetUnavailable):
    """The target {target} answered that it is gone for good (410), so nothing more is sent to it."""

    remedy = (
        "Look whether its URL is right, or take it out of the settings; then `catalog-mirror targets resume {target}`."
    )


class Options(ChangeOptions):
    """What this target alone can be told beside what is told to whom."""

    mode: Literal["batched", "structured", "binary"] = "batched"
    #: Events in one call at most.
    batch_max: int = Field(250, ge=1, le=1000)
    timeout_s: float = Field(30, gt=0)


class Webhook(ChangeTarget):
    """One receiver."""

    def __init__(self, name: str, chosen: TargetSettings, options: Options) -> None:
        from service.targets.changes.signing import Signer  # the extra `events`

        super().__init__(name, chosen.origins, options)
        self._mode, self._batch_max = options.mode, options.batch_max
        self._poster = Poster(name, chosen.url or "", given(name, chosen), options.timeout_s, chosen.ca_file)
        self._signer = Signer(name, chosen.secret_file) if chosen.secret_file else None

    @classmethod
    def create(cls, name: str, settings: Settings) -> Webhook | None:
        """On where a URL is set, unless turned off.

        Raises:
            SettingInvalid: the options or the secrets cannot be used, or the extra is not installed.
        """
        chosen = settings.target(name)
        if chosen.via == "off" or chosen.url is None:
            return None
        if chosen.via == "amqp":
            raise SettingInvalid(setting=setting_of(name, "VIA"), problem="a webhook is told over HTTP alone")
        need(name, "cloudevents", "events")
        return cls(name, chosen, options_of(name, chosen, Options))

    async def remarks(self) -> list[str]:
        """That nothing is signed, where nothing is."""
        told = f"Nothing is signed: {setting_of(self.name, 'SECRET_FILE')} is not set, so a receiver cannot know us."
        return [] if self._signer else [told]

    async def send(self, parcels: Sequence[Parcel]) -> list[MirrorError | None]:
        """Post arrays one after the other, or events several at a time; after the first obstacle the rest waits."""
        results: dict[str, MirrorError | None] = {}

        async def post(group: Sequence[Parcel]) -> MirrorError | None:
            told = await self._post(group)
            results.update(told)
            return next((one for one in told.values() if isinstance(one, TransientError)), None)

        at_once = 1 if self._mode == "batched" else _CONCURRENCY
        outcomes = await abreast([[group] for group in self._groups(parcels)], post, at_once)
        obstacles = [one for (one,) in outcomes if one is not None]
        if any(isinstance(one, TargetGone) for one in obstacles):
            await self._stop()
        return [results[one] if one in results else obstacles[0] for one in _ids(parcels)]

    async def _post(self, group: Sequence[Parcel]) -> dict[str, MirrorError | None]:
        """One call. An array that is refused is halved until what the receiver does not want stands alone."""
        try:
            result = await self._answer(group)
        except TransientError as error:
            result = error
        if isinstance(result, DataError) and len(group) > 1:
            middle = len(group) // 2
            first = await self._post(group[:middle])
            obstacle = next((one for one in first.values() if isinstance(one, TransientError)), None)
            rest = group[middle:]
            return first | (dict.fromkeys(_ids(rest), obstacle) if obstacle else await self._post(rest))
        return dict.fromkeys(_ids(group), result)

    async def _answer(self, group: Sequence[Parcel]) -> MirrorError | None:
        message_id, headers, body = self._message(group)
        with within(passing(group[0].delivery)):
            reply = await self._signed(message_id, headers, body)
            if self._signer and 400 <= reply.status < 500 and (ahead := self._signer.otherwise(reply.headers)):
                again = await self._signed(message_id, headers, body, ahead)
                if again.is_success:  # a `Date` alone may be that of a proxy
                    self._signer.adopt(ahead)
                    reply = again
        return self._judge(reply, max(parcel.delivery.attempts for parcel in group))

    async def _signed(
        self, message_id: str, headers: Mapping[str, str], body: bytes, ahead: timedelta | None = None
    ) -> Reply:
        signature = self._signer.headers(message_id, body, ahead) if self._signer else {"webhook-id": message_id}
        return await self._poster.post_bytes(body, {**headers, **signature})

    def _judge(self, reply: Reply, attempts: int) -> MirrorError | None:
        if reply.status == _GONE:
            return TargetGone(target=self.name)
        return self._poster.judge(reply, attempts)

    def _message(self, group: Sequence[Parcel]) -> tuple[str, Mapping[str, str], bytes]:
        """Id, headers and body of one call; the id is that of the event, or made of what all of them tell."""
        if self._mode == "batched":
            body = "[" + ",".join([parcel.text for parcel in group]) + "]"
            return str(uuid5(NAMESPACE_URL, "\n".join(_ids(group)))), _BATCHED, body.encode()
        (parcel,) = group
        if self._mode == "structured":
            return id_of(parcel.text), _STRUCTURED, parcel.text.encode()
        from service.targets.changes import bindings

        headers, body_bytes = bindings.over_http(parcel.text)
        return id_of(parcel.text), headers, body_bytes

    def _groups(self, parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
        """What goes in one call each."""
        at_most = self._batch_max if self._mode == "batched" else 1
        group: list[Parcel] = []
        size = 0
        for parcel in parcels:
            if group and (len(group) == at_most or size + len(parcel.text) > MAX_BODY):
                yield group
                group, size = [], 0
            group.append(parcel)
            size += len(parcel.text)
        if group:
            yield group

    async def _stop(self) -> None:
        """Pause this target, as the receiver asks for; what waits is kept."""
        reason = "it answered 410: it is gone for good, and wants no more"
        log.warning("target_gone", target=self.name, remedy=TargetGone(target=self.name).advice())
        async with self.store.writing() as connection:
            await controls.pause_target(connection, self.name, paused=True, reason=reason)

    def shown(self, parcels: Sequence[Parcel]) -> list[Sending]:
        """One post for each event or array."""
        return [
            Sending(f"POST {self._poster.url}", self._message(group)[2].decode(), tuple(_ids(group)))
            for group in self._groups(parcels)
        ]

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()


def _ids(group: Sequence[Parcel]) -> list[str]:
    return [parcel.delivery.delivery_id for parcel in group]

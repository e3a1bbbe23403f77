"""Changes to an exchange of a broker of your own: CloudEvents over AMQP, with confirms (docs/changes.md)."""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from yarl import URL

from service.amqp.channel import UNROUTABLE, Outgoing
from service.amqp.publisher import Publisher
from service.errors import MirrorError, SettingInvalid, Unroutable
from service.settings.model import AmqpSettings, Settings, TargetSettings
from service.targets.base import Sending
from service.targets.changes.event import id_of, words_of
from service.targets.changes.options import ChangeOptions, need
from service.targets.changes.target import ChangeTarget, Parcel
from service.targets.confirms import unconfirmed
from service.targets.options import options_of, setting_of
from service.targets.sign_in import password_of

#: What a routing key may name, of the event's `type`: its last two words.
_WORDS = frozenset({"kind", "what"})
_STRUCTURED = "application/cloudevents+json"


class ChangeUnroutable(Unroutable):
    """The broker has no queue for the key {routing_key!r} of exchange {exchange!r}: deliveries wait."""

    remedy = (
        "Whoever wants these changes binds a queue to exchange {exchange!r} with {binding!r}, or leave out what nobody "
        "wants by the options of the target."
    )


class Broker(AmqpSettings):
    """A broker of your own, which the target publishes to."""


def _is_key(text: str) -> str:
    try:
        unknown = {name for _, name, _, _ in Formatter().parse(text) if name is not None} - _WORDS
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error}") from None
    if unknown:
        raise ValueError(f"{text!r} uses {', '.join(sorted(unknown))}; there are {', '.join(sorted(_WORDS))}")
    return text


class Options(ChangeOptions):
    """What this target alone can be told beside what is told to whom."""

    exchange: str = Field(min_length=1, max_length=255)
    routing_key: Annotated[str, AfterValidator(_is_key)] = Field("{kind}.{what}", max_length=200)
    mode: Literal["binary", "structured"] = "binary"


class Amqp(ChangeTarget):
    """One exchange."""

    def __init__(self, name: str, chosen: TargetSettings, options: Options) -> None:
        super().__init__(name, chosen.origins, options)
        self._url = URL(chosen.url or "")
        self._user = chosen.username
        self._password = password_of(name, chosen)
        self._ca_file = chosen.ca_file
        self._exchange, self._key, self._mode = options.exchange, options.routing_key, options.mode
        self._publisher: Publisher | None = None
        self._signed_in_with: str | None = None

    @classmethod
    def create(cls, name: str, settings: Settings) -> Amqp | None:
        """On where a URL is set, unless turned off.

        Raises:
            SettingInvalid: the URL or the options cannot be used, or the extra is not installed.
        """
        chosen = settings.target(name)
        if chosen.via == "off" or chosen.url is None:
            return None
        if not chosen.url.startswith("amqp"):
            raise SettingInvalid(setting=setting_of(name, "URL"), problem="it must start with amqp:// or amqps://")
        need(name, "cloudevents", "events")
        return cls(name, chosen, options_of(name, chosen, Options))

    async def send(self, parcels: Sequence[Parcel]) -> list[MirrorError | None]:
        """Publish all at once and await their confirms."""
        if not parcels:
            return []
        messages = [self._message(parcel) for parcel in parcels]
        results = await (await self._opened()).publish(messages)
        return [self._result(one, result) for one, result in zip(messages, results, strict=True)]

    def shown(self, parcels: Sequence[Parcel]) -> list[Sending]:
        """One message for each event."""
        return [
            Sending(f"AMQP {self._exchange} {self._routing_key(one.text)}", one.text, (one.delivery.delivery_id,))
            for one in parcels
        ]

    async def close(self) -> None:
        """Close the connection."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.close()

    async def _opened(self) -> Publisher:
        """The publisher, anew where the password changed."""
        password = self._password()
        if self._publisher is None or password != self._signed_in_with:
            await self.close()
            url = self._url.with_user(self._user).with_password(password) if self._user else self._url
            broker = Broker(url=SecretStr(str(url)), exchange=self._exchange, ca_file=self._ca_file)
            self._publisher, self._signed_in_with = Publisher(broker), password
        return self._publisher

    def _message(self, parcel: Parcel) -> Outgoing:
        text = parcel.text
        if self._mode == "structured":
            return Outgoing(id_of(text), self._routing_key(text), text.encode(), {}, _STRUCTURED)
        from service.targets.changes import bindings  # the extra `events`

        headers, content_type, body = bindings.over_amqp(text)
        return Outgoing(id_of(text), self._routing_key(text), body, headers, content_type)

    def _routing_key(self, text: str) -> str:
        kind, what = words_of(text)
        return self._key.format(kind=kind, what=what)

    def _result(self, message: Outgoing, result: str | None) -> MirrorError | None:
        if result == UNROUTABLE:
            key = message.routing_key
            return ChangeUnroutable(routing_key=key, exchange=self._exchange, binding="#")
        return unconfirmed(self.name, result)

"""Changes to a topic of Kafka: CloudEvents, with the thing's id as key, so that its changes stay in order.

The client is confluent-kafka (extra `kafka`). It is tried against the mock cluster of its own library (librdkafka,
`test.mock.num.brokers`), as no broker can be had on a plain machine; docs/changes.md says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from service.errors import DeliveryRejected, MirrorError, SettingInvalid, TargetUnavailable
from service.settings.model import Settings, TargetSettings
from service.targets.base import Sending
from service.targets.changes.options import ChangeOptions, need
from service.targets.changes.target import ChangeTarget, Parcel
from service.targets.options import options_of, setting_of
from service.targets.sign_in import password_of

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Message, Producer

#: What settings decide, so that nothing of it is decided twice.
_OURS = frozenset({
    "bootstrap.servers", "sasl.username", "sasl.password", "ssl.ca.location", "enable.idempotence", "acks",
    "delivery.timeout.ms", "message.timeout.ms",
})  # fmt: skip
#: Errors by which one event alone is refused, for good: it is larger than the topic takes.
_REFUSED = ("MSG_SIZE_TOO_LARGE", "INVALID_RECORD")


class Options(ChangeOptions):
    """What this target alone can be told beside what is told to whom."""

    #: host:port, with commas between.
    brokers: str = Field(min_length=1, pattern=r"^[^\s@/]+:\d+(,[^\s@/]+:\d+)*$")
    topic: str = Field(min_length=1, max_length=249, pattern=r"^[a-zA-Z0-9._-]+$")
    mode: Literal["binary", "structured"] = "binary"
    #: Seconds until what is not confirmed counts as not arrived.
    timeout_s: float = Field(30, gt=0.1)
    #: Further settings of librdkafka, such as `security.protocol`; no secret stands here.
    client: dict[str, str] = Field(default_factory=dict)


class Kafka(ChangeTarget):
    """One topic."""

    def __init__(self, name: str, chosen: TargetSettings, options: Options) -> None:
        super().__init__(name, chosen.origins, options)
        self._topic, self._mode, self._timeout_s = options.topic, options.mode, options.timeout_s
        self._settings = _client_settings(name, chosen, options)
        self._password = password_of(name, chosen)
        self._producer: Producer | None = None
        self._signed_in_with: str | None = None
        self._check()

    @classmethod
    def create(cls, name: str, settings: Settings) -> Kafka | None:
        """On where options name brokers and a topic, unless turned off.

        Raises:
            SettingInvalid: the options cannot be used, or the extra is not installed.
        """
        chosen = settings.target(name)
        if chosen.via == "off" or not chosen.options:
            return None
        need(name, "confluent_kafka", "kafka")
        return cls(name, chosen, options_of(name, chosen, Options))

    async def send(self, parcels: Sequence[Parcel]) -> list[MirrorError | None]:
        """Give all to the client, and await what the brokers say."""
        return await asyncio.to_thread(self._send, parcels)

    def shown(self, parcels: Sequence[Parcel]) -> list[Sending]:
        """One record for each event."""
        return [Sending(f"Kafka {self._topic}", one.text, (one.delivery.delivery_id,)) for one in parcels]

    async def close(self) -> None:
        """Let go of the client; what it was not told of waits in the store."""
        self._producer = None

    def _check(self) -> None:
        """Have the client look at its settings, without reaching anybody.

        Raises:
            SettingInvalid: it cannot use them.
        """
        from confluent_kafka import KafkaException, Producer

        signed = {"sasl.password": self._password() or ""} if "sasl.username" in self._settings else {}
        try:
            Producer({**self._settings, **signed, "bootstrap.servers": ""})
        except KafkaException as error:
            problem = f"client: {error.args[0].str()}"
            raise SettingInvalid(setting=setting_of(self.name, "OPTIONS"), problem=problem) from None

    def _send(self, parcels: Sequence[Parcel]) -> list[MirrorError | None]:
        from confluent_kafka import KafkaException

        producer = self._opened()
        unheard = TargetUnavailable(target=self.name, problem=f"no answer within {self._timeout_s:g} s")
        results: list[MirrorError | None] = [unheard] * len(parcels)

        def told(place: int, error: KafkaError | None, _: Message) -> None:
            results[place] = self._result(error)

        for place, parcel in enumerate(parcels):
            key, headers, value = self._record(parcel)
            try:
                producer.produce(self._topic, value, key, headers=headers, on_delivery=partial(told, place))
            except (KafkaException, BufferError) as error:
                results[place] = self._result(error.args[0] if isinstance(error, KafkaException) else None, error)
        producer.flush(self._timeout_s + 1)
        if any(results):
            self._producer = None  # what it still holds would come late, beside what is sent again
            producer.purge()
        return results

    def _record(self, parcel: Parcel) -> tuple[bytes, list[tuple[str, str | bytes | None]], bytes]:
        from service.targets.changes import bindings

        return bindings.over_kafka(parcel.text, parcel.delivery.entity_id, structured=self._mode == "structured")

    def _result(self, error: KafkaError | None, raised: Exception | None = None) -> MirrorError | None:
        if error is None and raised is None:
            return None
        if error is not None and error.name().lstrip("_") in _REFUSED:
            return DeliveryRejected(target=self.name, problem=str(error))
        return TargetUnavailable(target=self.name, problem=str(error or raised))

    def _opened(self) -> Producer:
        """The client, anew where the password changed."""
        from confluent_kafka import Producer

        password = self._password()
        if self._producer is None or password != self._signed_in_with:
            signed = {"sasl.password": password} if password else {}
            self._producer, self._signed_in_with = Producer({**self._settings, **signed}), password
        return self._producer


def _client_settings(name: str, chosen: TargetSettings, options: Options) -> dict[str, Any]:
    """What the client is made with, but the password.

    Raises:
        SettingInvalid: options say what settings of our own are for.
    """
    if doubled := sorted(_OURS & options.client.keys()) + sorted(key for key in options.client if "password" in key):
        raise SettingInvalid(
            setting=setting_of(name, "OPTIONS"),
            problem=f"client: {doubled[0]} is set by BROKERS, USERNAME, PASSWORD_FILE and CA_FILE, or by us",
        )
    signed = {"sasl.username": chosen.username} if chosen.username else {}
    trusted = {"ssl.ca.location": str(chosen.ca_file)} if chosen.ca_file else {}
    return {
        **options.client, **signed, **trusted,
        "bootstrap.servers": options.brokers,
        "enable.idempotence": True,  # also: confirmed by all replicas in sync, in order
        "message.timeout.ms": int(options.timeout_s * 1000),
        "client.id": "catalog-mirror",
    }  # fmt: skip

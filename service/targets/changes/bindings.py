"""Events as protocols carry them: the official SDK of CloudEvents (extra `events`) reads ours, and says how."""

from __future__ import annotations

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings import http, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

_FORMAT = JSONFormat()
#: What the names of application properties begin with in the AMQP binding (1.0.2, 3.1.3.1), and what the SDK writes.
_AMQP, _RABBITMQ = "cloudEvents:", "ce-"


def read(text: str) -> BaseCloudEvent:
    """An event in JSON as the SDK knows it, its attributes checked."""
    return _FORMAT.read(CloudEvent, text)


def over_http(text: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of an event in binary mode (CloudEvents HTTP Protocol Binding 1.0.2)."""
    message = http.to_binary(read(text), _FORMAT)
    return message.headers, message.body


def over_amqp(text: str) -> tuple[dict[str, str], str, bytes]:
    """Headers, content type and body of an event in binary mode (CloudEvents AMQP Protocol Binding 1.0.2).

    RabbitMQ gives headers of AMQP 0-9-1 to receivers over AMQP 1.0 as application properties, and those to receivers
    over 0-9-1 as headers. All values are texts, as every receiver has to take them.
    """
    message = rabbitmq.to_binary(read(text), _FORMAT)
    headers = {_AMQP + name.removeprefix(_RABBITMQ): value for name, value in message.headers.items()}
    return headers, message.content_type or "", message.body


def over_kafka(text: str, key: str, *, structured: bool) -> tuple[bytes, list[tuple[str, str | bytes | None]], bytes]:
    """Key, headers and value of a record (CloudEvents Kafka Protocol Binding 1.0.2)."""
    convert = kafka.to_structured if structured else kafka.to_binary
    message = convert(read(text), _FORMAT, lambda _: key)
    return key.encode(), [*message.headers.items()], message.value or b""

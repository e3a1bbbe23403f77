"""What we take from the broker and give to it, and the changes that we tell, as an AsyncAPI 3 document."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from service import __version__
from service.events.lineage import LineageEvent
from service.pipeline.routing import Evidence, Handler, Route
from service.settings.model import Settings
from service.targets.changes.event import ChangeEvent, NoticeEvent

#: Message of what a handler reads as it comes, whatever its topic.
_UNTYPED = "unknownForm"
#: The message of our own lineage events.
_OWN_LINEAGE = "ownLineage"
#: What the targets of changes tell.
_TOLD: tuple[type[msgspec.Struct], ...] = (ChangeEvent, NoticeEvent)
_HOW_KNOWN = {
    "documented": "IBM documents this topic.",
    "observed": "This topic was seen on brokers; it is not documented.",
    "assumed": "That there is such a topic is our assumption.",
}


def document(routes: list[Route], settings: Settings) -> dict[str, Any]:
    """The document: one channel for each bound pattern, and one for our lineage."""
    ours = Evidence.OURS  # of what comes in over HTTP, which no broker sees
    bound = [(route, route.handler) for route in routes if route.handler is not None and route.evidence is not ours]
    typed = {handler.body for _, handler in bound if handler.body} | {LineageEvent.BODY, *_TOLD}
    exchange = {"name": settings.amqp.exchange, "type": "topic", "durable": True}
    channels = {_id_of(route.pattern.text): _channel(route, handler, exchange) for route, handler in bound}
    operations = {f"take_{name}": _operation("receive", name) for name in channels}
    channels["lineageBack"] = _lineage_channel(settings.amqp.lineage_key, exchange)
    channels["changes"] = _changes_channel()
    operations |= {f"tell_{name}": _operation("send", name) for name in ("lineageBack", "changes")}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Catalog Mirror",
            "version": __version__,
            "description": "What Catalog Mirror takes from the catalog's broker, the lineage that it gives back, and "
            "the changes that it tells to brokers and receivers of your own.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"broker": {"host": "broker.example.com:5671", "protocol": "amqps"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": _messages(typed), "schemas": _schemas(typed)},
    }


def _id_of(pattern: str) -> str:
    """A name for the channel: `v2.assets.*.*` is `v2_assets_any_any`."""
    return re.sub(r"\W", "_", pattern.replace("*", "any").replace("#", "more"))


def _channel(route: Route, handler: Handler, exchange: dict[str, Any]) -> dict[str, Any]:
    address, parameters = _address(route.pattern.text)
    how = _HOW_KNOWN.get(str(route.evidence), "This topic is routed by settings.")
    return {
        "address": address,
        "title": handler.name,
        "description": f"{handler.meaning} {how}".strip(),
        **({"parameters": parameters} if parameters else {}),
        "messages": {"event": {"$ref": f"#/components/messages/{_message_of(handler.body)}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }


def _lineage_channel(key: str, exchange: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": key,
        "title": "Lineage back",
        "description": "One event for each change that the mirror took; published with confirms, `mandatory`.",
        "parameters": {"event_id": {"description": "The lineage event's id"}} if "{event_id}" in key else {},
        "messages": {"event": {"$ref": f"#/components/messages/{_OWN_LINEAGE}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange}},
    }


def _changes_channel() -> dict[str, Any]:
    return {
        "address": "{kind}.{what}",
        "title": "Changes",
        "description": "CloudEvents 1.0: what of a thing was before and is after (docs/changes.md). The target `amqp` "
        "publishes them so to an exchange of your own; `webhook` posts the same, `kafka` sends it to a topic.",
        "parameters": {
            "kind": {"description": "Kind of the thing: asset, data_profile, …, or `notice`"},
            "what": {"description": "created, updated, deleted, state, or the name of a notice"},
        },
        "messages": {_message_of(body): {"$ref": f"#/components/messages/{_message_of(body)}"} for body in _TOLD},
        # Which one it is, options of the target say.
        "bindings": {"amqp": {"is": "routingKey", "exchange": {"name": "changes", "type": "topic", "durable": True}}},
    }


def _address(pattern: str) -> tuple[str, dict[str, Any]]:
    """`v2.assets.*.*` is `v2.assets.{id}.{action}`; a second `*` tells what happened."""
    words, parameters = pattern.split("."), {}
    names = iter(("id", "action", *(f"word{number}" for number in range(3, 9))))
    for place, word in enumerate(words):
        if word in {"*", "#"}:
            name = next(names) if word == "*" else "more"
            words[place] = f"{{{name}}}"
            parameters[name] = {"description": "One word" if word == "*" else "Any number of words, also none"}
    return ".".join(words), parameters


def _operation(action: str, channel: str) -> dict[str, Any]:
    names = [_message_of(body) for body in _TOLD] if channel == "changes" else ["event"]
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _message_of(body: type[msgspec.Struct] | None) -> str:
    return _name_of(body)[0].lower() + _name_of(body)[1:] if body else _UNTYPED


def _name_of(body: type[msgspec.Struct]) -> str:
    return body.__name__.strip("_")


def _messages(typed: set[type[msgspec.Struct]]) -> dict[str, Any]:
    messages: dict[str, Any] = {
        _message_of(body): {"payload": {"$ref": f"#/components/schemas/{_name_of(body)}"}} for body in typed
    }
    messages[_UNTYPED] = {"payload": {"type": "object"}, "summary": "Its form is not documented; what is known is read"}
    messages[_OWN_LINEAGE] = {
        "payload": {"$ref": f"#/components/schemas/{_name_of(LineageEvent.BODY)}"},
        "headers": {"type": "object"},
    }
    return dict(sorted(messages.items()))


def _schemas(typed: set[type[msgspec.Struct]]) -> dict[str, Any]:
    models = sorted(typed, key=lambda body: body.__name__)
    _, found = msgspec.json.schema_components(models, ref_template="#/components/schemas/{name}")
    public: dict[str, Any] = json.loads(re.sub(r'("|/schemas/)_(?=[A-Z])', r"\1", json.dumps(found)))
    return dict(sorted(public.items()))

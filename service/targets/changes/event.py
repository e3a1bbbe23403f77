"""One change as a CloudEvent 1.0: what of a thing was before and is after, in JSON, the same for every target.

The text that is made here is the event in CloudEvents' JSON format (structured mode); `bindings` makes of it what the
other modes want. Its id is made of what it tells, so a receiver knows a repetition by it.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

import msgspec

from service.changes import Container, Origin, Version
from service.mirror.effects import Changed, Effect
from service.text.times import to_datetime

#: What happened to a thing; `state` tells it as it is, because somebody asked (`targets backfill`).
What = Literal["created", "updated", "deleted", "state"]
#: What the type of every event begins with.
PREFIX = "catalog-mirror"
JSON = "application/json"

_encoder = msgspec.json.Encoder()
_NAMESPACE = uuid5(NAMESPACE_URL, "urn:catalog-mirror:events")


class VersionTold(msgspec.Struct, omit_defaults=True):
    """How new the state is: `key` of a newer state of the thing is the greater text, `at` is on the catalog's clock."""

    key: str
    at: str | None = None


class ChangeData(msgspec.Struct, omit_defaults=True):
    """What changed. Empty `changed`: something that the views do not show, such as figures of a profile."""

    kind: str
    id: str
    what: What
    origin: Origin
    version: VersionTold
    changed: dict[str, Changed]
    name: str | None = None
    asset_type: str | None = None
    #: Of what belongs to an asset: the asset.
    asset_id: str | None = None
    container: Container | None = None
    #: Of how many changes this is the sum, where the target lets what was overtaken collapse.
    collapsed: int = 1


class NoticeData(msgspec.Struct, omit_defaults=True):
    """Something that a person may have to see to: drift, a broken contract, a gap, a brake, a refused delivery."""

    notice: str
    title: str
    about: dict[str, Any]


class _Envelope(msgspec.Struct, kw_only=True, omit_defaults=True):
    specversion: str = "1.0"
    id: str
    source: str
    type: str
    subject: str
    time: str | None = None
    datacontenttype: str

    def text(self) -> str:
        """The event in CloudEvents' JSON format."""
        return _encoder.encode(self).decode()


class ChangeEvent(_Envelope, kw_only=True):
    """A CloudEvent of a change; its subject is kind and id of the thing."""

    data: ChangeData


class NoticeEvent(_Envelope, kw_only=True):
    """A CloudEvent of a notice."""

    data: NoticeData


def change_event(
    kind: str, thing_id: str, version: Version, effect: Effect, origin: Origin, source: str, *, as_state: bool = False
) -> ChangeEvent | None:
    """What is told of a change; None where nothing was to be seen, and nothing is.

    Args:
        as_state: the thing is told as it is, not what became of it.
    """
    what = "state" if as_state and effect.after is not None else _what(effect)
    if what is None:
        return None
    at = None if version.at_us is None else to_datetime(version.at_us).replace(tzinfo=None).isoformat() + "Z"
    key = version.key.hex()
    data = ChangeData(
        kind, thing_id, what, origin, VersionTold(key, at), effect.changed(),
        effect.value("name"), effect.value("asset_type"), effect.value("asset_id"), _container(kind, thing_id, effect),
    )  # fmt: skip
    return ChangeEvent(
        id=_id(kind, what, thing_id, key), source=source, type=f"{PREFIX}.{kind}.{what}",
        subject=f"{kind}/{thing_id}", time=at, datacontenttype=JSON, data=data,
    )  # fmt: skip


def notice_event(notice: str, key: str, title: str, at: str, about: dict[str, Any], source: str) -> NoticeEvent:
    """What is told of a notice; `key` names what it is about, so that the same is told under the same id."""
    return NoticeEvent(
        id=_id("notice", notice, key), source=source, type=f"{PREFIX}.notice.{notice}", subject=f"{notice}/{key}",
        time=at, datacontenttype=JSON, data=NoticeData(notice, title, about),
    )  # fmt: skip


def merged(former: str, later: str) -> str:
    """Two changes of one thing, one after the other, as the one that they are together, under the id of the later.

    Raises:
        msgspec.DecodeError: one of them is no change.
    """
    old, new = _decoder.decode(former), _decoder.decode(later)
    data = new.data
    data.changed = {
        name: one
        for name in old.data.changed | data.changed
        if (one := _together(old.data.changed.get(name), data.changed.get(name))) is not None
    }
    data.collapsed = old.data.collapsed + data.collapsed
    data.what = _BOTH.get((old.data.what, data.what), data.what)
    new.type = f"{PREFIX}.{data.kind}.{data.what}"
    return new.text()


def traced(text: str, traceparent: str | None) -> str:
    """The event with the extension `traceparent` (CloudEvents, "Distributed Tracing"), where it is traced."""
    return text if traceparent is None else f'{text[:-1]},"traceparent":"{traceparent}"}}'


def id_of(text: str | bytes) -> str:
    """The id of an event."""
    return _named.decode(text).id


def words_of(text: str) -> tuple[str, str]:
    """The last two words of an event's type: kind and what happened, or `notice` and its name."""
    kind, what = _named.decode(text).type.split(".")[-2:]
    return kind, what


class _Named(msgspec.Struct):
    id: str
    type: str


_decoder = msgspec.json.Decoder(ChangeEvent)
_named = msgspec.json.Decoder(_Named)
#: What two changes are together, where that is not what the later one is: who was told of none knows of no thing.
_BOTH: dict[tuple[What, What], What] = {("created", "updated"): "created", ("deleted", "created"): "updated"}


def _what(effect: Effect) -> What | None:
    if effect.after is None:
        return None if effect.before is None else "deleted"
    return "created" if effect.before is None else "updated"


def _id(*words: str) -> str:
    return str(uuid5(_NAMESPACE, "/".join(words)))


def _container(kind: str, thing_id: str, effect: Effect) -> Container | None:
    if kind == "container":
        return Container(effect.value("kind"), thing_id)
    container_id = effect.value("container_id")
    return Container(effect.value("container_kind"), container_id) if container_id else None


def _together(former: Changed | None, later: Changed | None) -> Changed | None:
    """What became of one field in two steps; None: it is again what it was."""
    if former is None or later is None:
        return former or later
    if isinstance(former.before, list) and isinstance(later.after, list):
        before = [*former.before, *(row for row in later.before or () if row not in (former.after or ()))]
        after = [*(row for row in former.after or () if row not in (later.before or ())), *later.after]
        before, after = ([r for r in before if r not in after], [r for r in after if r not in before])
        left_out = former.left_out + later.left_out
        return Changed(before, after, left_out) if before or after or left_out else None
    return Changed(former.before, later.after) if former.before != later.after else None

"""One change as a CloudEvent 1.0: what of a thing was before and is after, in JSON, the same for every target.

The text that is made here is the event in CloudEvents' JSON format (structured mode); `bindings` makes of it what the
other modes want. Its id is made of what it tells, so a receiver knows a repetition by it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Literal

import msgspec

from service.changes import Container, Origin
from service.mirror.effects import Effect
from service.telemetry.traces import headers_of

#: What happened to a thing; `state` tells it as it is, because somebody asked (`targets backfill`).
What = Literal["created", "updated", "deleted", "state"]
#: What the type of every event begins with.
PREFIX = "catalog-mirror"
JSON, SPECVERSION = "application/json", "1.0"

#: Bytes of an event that hold no text longer than may be; characters of a text that are told.
_LARGE, MAX_TEXT = 8192, 8192

_encoder = msgspec.json.Encoder(decimal_format="number")


class VersionTold(msgspec.Struct, omit_defaults=True):
    """How new the state is: `key` of a newer state of the thing is the greater text, `at` is on the catalog's clock."""

    key: str
    at: datetime | None = None


class ChangeData(msgspec.Struct, omit_defaults=True):
    """What changed: the fields that differ, as they were `before` and are `after`.

    Of what came into sight there is no `before`, of what is gone no `after`. Where both are empty something changed
    that no column shows, such as figures of a profile. Of a part of an asset (`columns`, `terms`, …) it is the rows
    that are no longer so, and those that are new; `left_out` says of how many more nothing is told.
    """

    kind: str
    id: str
    what: What
    origin: Origin
    version: VersionTold
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    left_out: dict[str, int] | None = None
    name: str | None = None
    asset_type: str | None = None
    #: Of what belongs to an asset: the asset.
    asset_id: str | None = None
    container: Container | None = None
    #: Of how many changes this is the sum, where the target lets what was overtaken collapse.
    collapsed: int = 1

    @property
    def fields(self) -> set[str]:
        """Names of the fields that differ."""
        return {*(self.before or ()), *(self.after or ())}


class NoticeData(msgspec.Struct, omit_defaults=True):
    """Something that a person may have to see to: drift, a broken contract, a gap, a brake, a refused delivery."""

    notice: str
    title: str
    about: dict[str, Any]


class _Envelope(msgspec.Struct, kw_only=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime | None = None
    datacontenttype: str

    def text(self) -> str:
        """The event in CloudEvents' JSON format."""
        text = _encoder.encode(self)
        if len(text) > _LARGE:
            text = _encoder.encode(_cut(msgspec.json.decode(text)))
        return text.decode()


class ChangeEvent(_Envelope, kw_only=True):
    """A CloudEvent of a change; its subject is kind and id of the thing."""

    data: ChangeData


class NoticeEvent(_Envelope, kw_only=True):
    """A CloudEvent of a notice."""

    data: NoticeData


def change_event(
    kind: str, thing_id: str, effect: Effect, origin: Origin, source: str, *, as_state: bool = False
) -> ChangeEvent | None:
    """What is told of a change; None where nothing was to be seen, and nothing is.

    Args:
        as_state: the thing is told as it is, not what became of it.
    """
    what = "state" if as_state and effect.after is not None else _what(effect)
    if what is None:
        return None
    at, key, differs = effect.at, effect.version.hex(), effect.difference()
    name, asset_type, asset_id, place_kind, place_id = _about(kind, effect)
    container = Container(place_kind, place_id or thing_id) if place_kind else None
    data = ChangeData(
        kind, thing_id, what, origin, VersionTold(key, at), differs.before, differs.after, differs.left_out,
        name, asset_type, asset_id, container,
    )  # fmt: skip
    return ChangeEvent(
        specversion=SPECVERSION, id=_id(kind, what, thing_id, key), source=source, type=f"{PREFIX}.{kind}.{what}",
        subject=f"{kind}/{thing_id}", time=at, datacontenttype=JSON, data=data,
    )  # fmt: skip


def notice_event(notice: str, key: str, title: str, at: datetime, about: dict[str, Any], source: str) -> NoticeEvent:
    """What is told of a notice; `key` names what it is about, so that the same is told under the same id."""
    return NoticeEvent(
        specversion=SPECVERSION, id=_id("notice", notice, key), source=source,
        type=f"{PREFIX}.notice.{notice}", subject=f"{notice}/{key}",
        time=at, datacontenttype=JSON, data=NoticeData(notice, title, about),
    )  # fmt: skip


def merged(former: str, later: str) -> str:
    """Two changes of one thing, one after the other, as the one that they are together, under the id of the later.

    Raises:
        msgspec.DecodeError: one of them is no change.
    """
    old, new = _decoder.decode(former), _decoder.decode(later)
    first, data = old.data, new.data
    data.what = _BOTH.get((first.what, data.what), data.what)
    before, after = _together(first, data)
    data.before = None if data.what == "created" else before
    data.after = None if data.what == "deleted" else after
    left_out = Counter(first.left_out or {}) + Counter(data.left_out or {})
    data.left_out = dict(left_out) or None
    data.collapsed = first.collapsed + data.collapsed
    new.type = f"{PREFIX}.{data.kind}.{data.what}"
    return new.text()


def traced(text: str, context: str | None) -> str:
    """The event with the extensions of CloudEvents' "Distributed Tracing", where it is traced."""
    return text if context is None else f"{text[:-1]},{msgspec.json.encode(headers_of(context)).decode()[1:]}"


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


#: What every id begins as; to copy it is half of the work to make one.
_unnamed = blake2b(digest_size=16, person=b"catalog-mirror")


def _id(*words: str) -> str:
    digest = _unnamed.copy()
    digest.update("/".join(words).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


#: By kind, what gives the columns that every event names.
_pickers: dict[str, Callable[[Sequence[Any]], tuple[Any, ...]]] = {}


def _about(kind: str, effect: Effect) -> tuple[Any, ...]:
    """Name, type, asset, and kind and id of the container; of a container itself its kind, and no id."""
    picker = _pickers.get(kind)
    if picker is None:
        place = ("kind", "") if kind == "container" else ("container_kind", "container_id")
        picker = _pickers[kind] = effect.shape.picking("name", "asset_type", "asset_id", *place)
    return picker(effect.last or ())


def _cut(value: Any) -> Any:
    """The same with texts of a length that every receiver takes."""
    if isinstance(value, dict):
        return {name: _cut(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_cut(one) for one in value]
    return value[:MAX_TEXT] + "…" if isinstance(value, str) and len(value) > MAX_TEXT else value


def _together(first: ChangeData, last: ChangeData) -> tuple[dict[str, Any], dict[str, Any]]:
    """What differs after two changes; what is again as it was does not."""
    before, after = {**(last.before or {}), **(first.before or {})}, {**(first.after or {}), **(last.after or {})}
    for name in first.fields & last.fields:
        gone, came = (first.before or {}).get(name), (last.after or {}).get(name)
        if isinstance(gone, list) or isinstance(came, list):  # rows of a part
            middle, until = (first.after or {}).get(name) or [], (last.before or {}).get(name) or []
            was = [*(gone or []), *(row for row in until if row not in middle)]
            now = [*(row for row in middle if row not in until), *(came or [])]
            before[name], after[name] = [row for row in was if row not in now], [row for row in now if row not in was]
        if before.get(name) == after.get(name):
            before.pop(name, None), after.pop(name, None)
    return before, after

"""Rows of what belongs to an asset: columns, terms, classifications, its connection, attributes and attachments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from service.changes import AssetSaved
from service.mirror.rows import joined_of, moment_of, text_of
from service.text import lookup
from service.text.documents import Distinct, canonical, column_text, key_text

#: Bytes of what is part of a key beside an asset's id, which has up to 1,024: together they fit an index entry.
_NAME_BYTES, _TERM_BYTES, _STANDING_BYTES = 1024, 512, 64
#: Bytes of what is indexed together: an attribute's name, its path, and a text. They fit an index entry.
_ATTRIBUTE_BYTES, _PATH_BYTES, _TEXT_BYTES = 512, 1024, 1024
#: Bytes of an attachment's id, which is part of a key beside an asset's.
_ATTACHMENT_BYTES = 1024
#: What is cut short: a text that goes on in the document, or the leaves, of which more follow.
_TEXT, _LEAVES = "text", "leaves"

#: A day and a time of day: what is written like that is nothing else.
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d(:?\d\d)?)?", re.ASCII)
_SHORTEST_TIME, _LONGEST_TIME = len("2026-05-10T15:04"), 40


def column_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The rows of an asset's columns; of several with the same name the later ones are numbered."""
    names = Distinct(_NAME_BYTES)
    for column in change.columns:
        yield (
            change.asset_id, names.of(column.name), column.position, text_of(column.data_type),
            text_of(column.native_type), column.length, column.scale, column.nullable, text_of(column.description),
            joined_of(column.tags), text_of(column.data_class_id), text_of(column.data_class), column.quality_score,
        )  # fmt: skip


def term_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The rows of the terms on an asset and its columns."""
    for term in change.terms:
        term_id, standing = key_text(term.term_id, _TERM_BYTES), key_text(term.standing, _STANDING_BYTES)
        yield (
            change.asset_id, key_text(term.column, _NAME_BYTES), term_id, standing, text_of(term.name), term.confidence
        )  # fmt: skip


def classification_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The rows of an asset's classifications."""
    for found in change.classifications:
        if found.column:
            continue
        classification_id = key_text(found.classification_id, _NAME_BYTES)
        standing = key_text(found.standing, _STANDING_BYTES)
        yield (change.asset_id, classification_id, standing, text_of(found.name), text_of(found.global_id))


def column_classification_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The rows of the classifications of an asset's columns."""
    for found in change.classifications:
        if found.column:
            keys = key_text(found.column, _NAME_BYTES), key_text(found.classification_id, _TERM_BYTES)
            yield (change.asset_id, *keys, text_of(found.name), text_of(found.global_id))


def connection_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The row of a connection."""
    if change.connection:
        told = change.connection
        texts = (told.datasource_type, told.context, told.host, told.port, told.database, told.bucket)
        yield (change.asset_id, *map(text_of, texts), joined_of(told.flags))


def attribute_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The rows of the leaves of an asset's attributes."""
    attributes: dict[str, str] = {}
    taken, paths = Distinct(_ATTRIBUTE_BYTES), Distinct(_PATH_BYTES)
    for number, (attribute, path, value) in enumerate(change.attributes, 1):
        if attribute not in attributes:
            attributes[attribute] = taken.of(attribute)
            paths = Distinct(_PATH_BYTES)
        # Of those in ASCII no two are alike; of others what a store cannot hold may have been the difference.
        told = path if path.isascii() and len(path) <= _PATH_BYTES and "\x00" not in path else paths.of(path)
        yield (change.asset_id, number, attributes[attribute], told, *_told(value))


def _told(value: Any) -> tuple[str | None, float | None, bool | None, datetime | None, str | None]:
    """A value as text, number, truth and time, and what of it is cut."""
    if isinstance(value, str):
        at_us = None
        if _SHORTEST_TIME <= len(value) <= _LONGEST_TIME and _TIME.fullmatch(value):
            at_us = lookup.moment(value)
        text, cut = _short(value)
        return text, None, None, moment_of(at_us), cut
    if value is None:
        return None, None, None, None, _LEAVES
    if isinstance(value, bool):
        return None, None, value, None, None
    text, cut = _short(canonical(value).decode())
    return text, lookup.number(value), None, None, cut


def _short(text: str) -> tuple[str, str | None]:
    text = column_text(text)
    if len(text) * 4 <= _TEXT_BYTES or len(raw := text.encode()) <= _TEXT_BYTES:
        return text, None
    return raw[:_TEXT_BYTES].decode(errors="ignore"), _TEXT


def attachment_rows(change: AssetSaved) -> Iterable[tuple[Any, ...]]:
    """The rows of an asset's attachments; one without an id has its place as one."""
    ids = Distinct(_ATTACHMENT_BYTES) if len(change.attachments) > 1 else None
    for place, one in enumerate(change.attachments, 1):
        attachment_id = one.attachment_id or f"#{place}"
        yield (
            change.asset_id, ids.of(attachment_id) if ids else key_text(attachment_id, _ATTACHMENT_BYTES),
            text_of(one.asset_type), text_of(one.name), text_of(one.mime), one.size, text_of(one.kind),
            text_of(one.connection_id), text_of(one.connection_path),
            moment_of(one.created_at_us),
        )  # fmt: skip

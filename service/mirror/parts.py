"""Rows of what belongs to an asset: columns, terms, classifications, its connection, attributes and attachments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from service.changes import AssetSaved
from service.mirror.rows import joined_of, moment_of, text_of
from service.mirror.tables import (
    asset_attachments,
    asset_attributes,
    asset_classifications,
    asset_columns,
    asset_terms,
    column_classifications,
    connections,
    row_of,
)
from service.text import lookup
from service.text.documents import Distinct, canonical, column_text, key_text

ColumnRow, TermRow, AttributeRow = map(row_of, (asset_columns, asset_terms, asset_attributes))
ClassificationRow, ColumnClassificationRow = map(row_of, (asset_classifications, column_classifications))
ConnectionRow, AttachmentRow = map(row_of, (connections, asset_attachments))

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


def column_rows(change: AssetSaved) -> Iterable[Any]:
    """The rows of an asset's columns; of several with the same name the later ones are numbered."""
    names = Distinct(_NAME_BYTES)
    for column in change.columns:
        yield ColumnRow(
            asset_id=change.asset_id,
            name=names.of(column.name),
            position=column.position,
            data_type=text_of(column.data_type),
            native_type=text_of(column.native_type),
            length=column.length,
            scale=column.scale,
            nullable=column.nullable,
            description=text_of(column.description),
            tags=joined_of(column.tags),
            data_class_id=text_of(column.data_class_id),
            data_class=text_of(column.data_class),
            quality_score=column.quality_score,
        )


def term_rows(change: AssetSaved) -> Iterable[Any]:
    """The rows of the terms on an asset and its columns."""
    for term in change.terms:
        yield TermRow(
            asset_id=change.asset_id,
            column_name=key_text(term.column, _NAME_BYTES),
            term_id=key_text(term.term_id, _TERM_BYTES),
            standing=key_text(term.standing, _STANDING_BYTES),
            term=text_of(term.name),
            confidence=term.confidence,
        )


def classification_rows(change: AssetSaved) -> Iterable[Any]:
    """The rows of an asset's classifications."""
    for found in change.classifications:
        if found.column:
            continue
        yield ClassificationRow(
            asset_id=change.asset_id,
            classification_id=key_text(found.classification_id, _NAME_BYTES),
            standing=key_text(found.standing, _STANDING_BYTES),
            classification=text_of(found.name),
            global_id=text_of(found.global_id),
        )


def column_classification_rows(change: AssetSaved) -> Iterable[Any]:
    """The rows of the classifications of an asset's columns."""
    for found in change.classifications:
        if found.column:
            yield ColumnClassificationRow(
                asset_id=change.asset_id,
                column_name=key_text(found.column, _NAME_BYTES),
                classification_id=key_text(found.classification_id, _TERM_BYTES),
                classification=text_of(found.name),
                global_id=text_of(found.global_id),
            )


def connection_rows(change: AssetSaved) -> Iterable[Any]:
    """The row of a connection."""
    if change.connection:
        told = change.connection
        yield ConnectionRow(
            asset_id=change.asset_id,
            datasource_type=text_of(told.datasource_type),
            context=text_of(told.context),
            host=text_of(told.host),
            port=text_of(told.port),
            database=text_of(told.database),
            bucket=text_of(told.bucket),
            flags=joined_of(told.flags),
        )


def attribute_rows(change: AssetSaved) -> Iterable[Any]:
    """The rows of the leaves of an asset's attributes."""
    attributes: dict[str, str] = {}
    taken, paths = Distinct(_ATTRIBUTE_BYTES), Distinct(_PATH_BYTES)
    for number, (attribute, path, value) in enumerate(change.attributes, 1):
        if attribute not in attributes:
            attributes[attribute] = taken.of(attribute)
            paths = Distinct(_PATH_BYTES)
        # Of those in ASCII no two are alike; of others what a store cannot hold may have been the difference.
        told = path if path.isascii() and len(path) <= _PATH_BYTES and "\x00" not in path else paths.of(path)
        text, as_number, truth, time, cut = _told(value)
        yield AttributeRow(
            asset_id=change.asset_id,
            number=number,
            attribute=attributes[attribute],
            path=told,
            text_value=text,
            number_value=as_number,
            truth_value=truth,
            time_value=time,
            cut=cut,
        )


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


def attachment_rows(change: AssetSaved) -> Iterable[Any]:
    """The rows of an asset's attachments; one without an id has its place as one."""
    ids = Distinct(_ATTACHMENT_BYTES) if len(change.attachments) > 1 else None
    for place, one in enumerate(change.attachments, 1):
        attachment_id = one.attachment_id or f"#{place}"
        yield AttachmentRow(
            asset_id=change.asset_id,
            attachment_id=ids.of(attachment_id) if ids else key_text(attachment_id, _ATTACHMENT_BYTES),
            asset_type=text_of(one.asset_type),
            name=text_of(one.name),
            mime=text_of(one.mime),
            size=one.size,
            kind=text_of(one.kind),
            connection_id=text_of(one.connection_id),
            connection_path=text_of(one.connection_path),
            created_at=moment_of(one.created_at_us),
        )

"""A message of the broker: routing key in the first line, then the body. Ends with rows, or a dead letter."""

from __future__ import annotations

from collections.abc import Iterable

from service.changes import AssetDeletionHinted, Change
from service.errors import DataError, HandlerFailed
from service.events.message import Message
from service.mirror.dead_letters import dead_letter_of
from service.mirror.parts import classification_rows, column_rows, connection_rows, term_rows
from service.mirror.planning import plan_of
from service.pipeline.decoding import Decoder, Read
from service.pipeline.routing import Router, installed_handlers
from service.settings.model import PipelineSettings, ScopeSettings
from service.settings.scope import Scope
from service.text import documents
from tests.fuzz.harness import Entry, headed

SETTINGS = PipelineSettings()


def decoder(settings: PipelineSettings = SETTINGS) -> Decoder:
    """What reads messages, with all handlers that come with the product."""
    return Decoder(
        Router(installed_handlers()), settings, "Catalog Mirror", Scope(ScopeSettings()), verifies_hints=True
    )


DECODER = decoder()


def settled(read: Read) -> None:
    """What becomes of what was read: rows, or a letter.

    Raises:
        DataError: why it became a letter.
    """
    assert not isinstance(read.error, HandlerFailed), "its traceback was logged"
    if read.error is not None:
        letter = dead_letter_of(read.source, read.error, 1024, SETTINGS.privacy(), read.clean)
        assert len(letter.body) <= 1024
        raise read.error
    rows_of(read.changes)


def rows_of(changes: Iterable[Change]) -> None:
    """Every row that the writer would make; hints are not written as they are."""
    plan = plan_of(enumerate(change for change in changes if not isinstance(change, AssetDeletionHinted)))
    for row in plan.assets.values():
        if row.change is not None:
            for parts in (column_rows, term_rows, classification_rows, connection_rows):
                list(parts(row.change))  # type: ignore[arg-type]


def take(raw: bytes) -> None:
    key, body = headed(raw)
    settled(DECODER.read(Message(key, body)))


def _columns() -> bytes:
    """A first event of 100,000 columns."""
    columns = [{"name": f"c{number}", "type": {"type": "varchar", "length": 10**400}} for number in range(100_000)]
    card = {"metadata": {"asset_id": "a1", "asset_type": "data_asset"}, "entity": {"data_asset": {"columns": columns}}}
    return b"v2.assets.a1.POST\n" + documents.canonical({"published": "2026-05-10T15:04:15Z", "state": card})


def _nesting() -> bytes:
    return b"v2.assets.a1.POST\n" + b'{"state":' + b'{"a":[' * 50_000 + b"]}" * 50_000 + b"}"


def _digits() -> bytes:
    return b'v2.assets.a1.POST\n{"published":' + b"9" * 100_000 + b',"state":{"x":1' + b"0" * 100_000 + b"e-99999}}"


ENTRY = Entry(take, (DataError,), large=(_columns, _nesting, _digits))

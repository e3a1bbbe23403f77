"""What the mirror holds, recorded as readings, makes the same mirror again; what is no reading is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from handlers.readings import reading_recorded
from service.changes import AssetSaved, Container, ContainerSaved, Origin, ProfileSaved, Rank, ThingSaved
from service.errors import FieldInvalid
from service.events.cards import profile_change, read_card
from service.events.message import Event
from service.events.things import container_change, thing_change
from service.kinds import KINDS
from service.mirror import writer
from service.mirror.tables import STATES
from service.queries.recorded import readings

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

WHERE = Container("project", "c1")
#: What the moment of writing decides, and what was before.
_OWN = ("mirrored_at", "replaces")


async def rows_of(mirror: Mirror) -> dict[str, list[dict[str, Any]]]:
    found = {}
    async with mirror.store.read() as connection:
        for kind, table in STATES.items():
            rows = (await connection.execute(sa.select(table).order_by(*table.primary_key))).mappings()
            found[kind] = [{name: value for name, value in row.items() if name not in _OWN} for row in rows]
    return found


def told() -> list[ContainerSaved | ProfileSaved | ThingSaved | Any]:
    card = {
        "metadata": {"asset_id": "a1", "name": "orders", "asset_type": "data_asset", "rating": 1},
        "entity": {"data_asset": {"columns": [{"name": "id"}]}},
    }
    project = {"metadata": {"guid": "c1"}, "entity": {"name": "Shop"}}
    profile = {"metadata": {"guid": "p1", "dataset_id": "a1"}, "entity": {"data_profile": {"columns": []}}}
    term = {"metadata": {"artifact_id": "t1", "name": "Customer", "artifact_type": "glossary_term"}, "entity": {}}
    return [
        container_change("project", project, 1_000_000),
        read_card(card, WHERE, 2_000_000, Rank.EVENT).saved(),
        profile_change(profile, "a1", WHERE, 3_000_000, Rank.READ),
        thing_change(KINDS["artifact"], term, None, None, None),
    ]


async def test_a_mirror_that_is_recorded_and_replayed_is_the_same(
    mirror: Mirror, opened: Callable[..., AbstractAsyncContextManager[Mirror]], tmp_path: Path
) -> None:
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(told()))
    async with opened(f"sqlite:///{tmp_path / 'again.db'}") as again:
        messages = [message async for message in readings(mirror.store)]
        outcome = await again.pipeline().process(messages, Origin.REPLAY)
        assert (len(messages), await again.one("SELECT count(*) FROM dead_letters")) == (4, 0), outcome
        assert await rows_of(again) == await rows_of(mirror)
        columns = "SELECT asset_id, name FROM v1_asset_columns"
        assert await again.all(columns) == await mirror.all(columns) == [("a1", "id")]


@pytest.mark.parametrize(
    ("kind", "more", "problem"),
    [
        ("lineage_event", {}, "no kind of thing"),
        ("asset", {"rank": "DELETED"}, "rank"),
        ("asset", {"id": ""}, "no id is given"),
        ("asset", {"at_us": "now"}, "at_us"),
        ("container", {}, "no kind of container"),
    ],
)
def test_what_is_no_reading_is_refused_with_its_field(kind: str, more: dict[str, Any], problem: str) -> None:
    body = {"id": "x", "at_us": 1, "rank": "READ", "document": {}} | more
    with pytest.raises(FieldInvalid, match=problem):
        list(reading_recorded.run(Event.of(f"mirror.{kind}.READING", json.loads(json.dumps(body)))))


def test_the_version_is_that_of_the_row_with_the_digests_of_this_code() -> None:
    body = {"id": "a1", "at_us": 7, "rank": "READ", "document": {"metadata": {"asset_id": "a1", "name": "n"}}}
    (change,) = reading_recorded.run(Event.of("mirror.asset.READING", body))
    assert isinstance(change, AssetSaved)
    assert (change.version.at_us, change.version.rank) == (7, Rank.READ)

"""A store that was restored from a backup is noticed by a marker outside of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from service.settings.model import AmqpSettings
from service.sync.epoch import Epoch, FileMarker, Marker, QueueMarker

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror


@pytest.fixture(params=["file", "queue"])
def marker(request: pytest.FixtureRequest, tmp_path: Path) -> Marker:
    """Both kinds of markers."""
    if request.param == "file":
        return FileMarker(tmp_path / "epoch")
    url = request.getfixturevalue("amqp_url")
    return QueueMarker(AmqpSettings(url=SecretStr(url)))


async def test_a_store_that_is_behind_its_marker_was_restored(mirror: Mirror, marker: Marker, events: Events) -> None:
    epoch = Epoch(mirror.store, marker)
    assert not await epoch.check()
    await mirror.take(events.profile())
    await epoch.count()
    backup = await mirror.one("SELECT value FROM controls WHERE name = 'epoch'")
    await epoch.count()
    assert not await epoch.check()

    await mirror.execute(f"UPDATE controls SET value = '{backup}' WHERE name = 'epoch'")

    assert await epoch.check()
    assert await mirror.one("SELECT kind FROM gaps") == "store_restored"
    assert await mirror.one("SELECT count(*) FROM controls WHERE name = 'deliveries_held'") == 1
    assert not await epoch.check()


async def test_an_empty_store_behind_a_marker_was_restored_too(mirror: Mirror, marker: Marker) -> None:
    await marker.write(7)
    assert await Epoch(mirror.store, marker).check()


async def test_a_new_store_with_a_new_marker_was_not(mirror: Mirror, marker: Marker) -> None:
    assert await marker.read() is None
    assert not await Epoch(mirror.store, marker).check()
    assert await mirror.one("SELECT count(*) FROM gaps") == 0


async def test_an_unusable_file_counts_as_none_and_costs_nothing(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "epoch").write_bytes(b"\xff not a number")
    marker = FileMarker(tmp_path / "epoch")
    assert await marker.read() is None
    await Epoch(mirror.store, marker).count()
    assert await marker.read() == 1
    await FileMarker(tmp_path / "no such directory" / "epoch").write(1)

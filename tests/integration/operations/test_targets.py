"""Targets as people see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import SecretStr

from service.operations import targets
from service.process.app import reachable_targets
from service.settings.model import AmqpSettings, Settings

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror


async def test_with_nowhere_to_tell_the_catalogs_lineage_is_off_and_said_to_be(mirror: Mirror) -> None:
    neither, broker = Settings(), Settings(amqp=AmqpSettings(url=SecretStr("amqp://guest:guest@localhost/")))
    assert [target.name for target in reachable_targets(neither)] == []
    assert [target.name for target in reachable_targets(broker)] == ["catalog_lineage"]
    assert [(one.target, one.origins) for one in await targets.listed(mirror.store, neither)] == [
        ("catalog_lineage", "off: nothing leads there")
    ]
    assert [(one.target, one.origins) for one in await targets.listed(mirror.store, broker)] == [
        ("catalog_lineage", "live")
    ]

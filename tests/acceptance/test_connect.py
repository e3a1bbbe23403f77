"""What docs/connect.md has people ask for is enough, and it is what the tests of rights are made of."""

import asyncio
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.mirror import MirrorProcess

PAGE = (Path(__file__).parents[2] / "docs" / "connect.md").read_text(encoding="utf-8")


async def test_the_rights_on_the_broker_that_the_page_asks_for_are_enough(
    broker: Any,
    amqp_url: str,
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    if not isinstance(broker, PrivateBroker):
        pytest.skip("rights are given by rabbitmqctl")
    vhost, user = amqp_url.rpartition("/")[2], f"user-{amqp_url.rpartition('-')[2]}"
    [line] = re.findall(r"^rabbitmqctl set_permissions (.*)$", PAGE, re.M)
    configure, write, read = shlex.split(line)[-3:]
    await asyncio.to_thread(broker.ctl, "add_user", user, "pw")
    await asyncio.to_thread(broker.ctl, "set_permissions", "-p", vhost, user, configure, write, read)
    url = sa.make_url(amqp_url).set(username=user, password="pw").render_as_string(hide_password=False)
    async with mirror_process(AMQP__URL=url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await catalog.publish([profile_event(1)])
        rows = rows_of(sqlite_url)
        await rows.until("SELECT count(*) FROM data_profiles", 1)
        await rows.until("SELECT count(*) FROM deliveries", 0)
        await rows.until("SELECT count(*) FROM controls WHERE name = 'epoch'", 1)
        assert await service.terminate() == 0
    assert len(await catalog.came_back()) == 1
    assert "epoch_unknown" not in service.log_text()
    assert "epoch_not_counted" not in service.log_text()

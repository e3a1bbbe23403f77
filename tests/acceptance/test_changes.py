"""Changes as events, from the catalog's broker to the receiver that docs/changes.md shows."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.process import free_port

PAGE = Path(__file__).parents[2] / "docs/changes.md"
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()


async def test_the_receiver_of_the_page_is_told_what_changed(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    postgres_url: str,
    tmp_path: Path,
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    found = re.search(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    assert found
    (tmp_path / "receiver.py").write_text(found[1], encoding="utf-8")
    (tmp_path / "secret").write_text(SECRET)
    port = free_port()
    receiver = await asyncio.create_subprocess_exec(
        sys.executable, str(tmp_path / "receiver.py"), str(port), stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"WEBHOOK_SECRET": SECRET},
    )  # fmt: skip
    assert receiver.stdout
    settings = {
        "AMQP__URL": amqp_url, "STORE__URL": postgres_url, "TARGETS__WEBHOOK__URL": f"http://127.0.0.1:{port}",
        "TARGETS__WEBHOOK__SECRET_FILE": str(tmp_path / "secret"),
        "TARGETS__WEBHOOK__OPTIONS": json.dumps({"kinds": ["data_profile"]}),
    }  # fmt: skip
    try:
        async with mirror_process(**settings) as service:
            await service.wait_ready()
            told = []
            for at_s in (1, 2):
                await catalog.publish([profile_event(1, at_s=at_s, rows=at_s)])
                async with asyncio.timeout(60):
                    told.append(json.loads(await receiver.stdout.readline()))
    finally:
        receiver.kill()
        await receiver.communicate()
    assert [kind for kind, _, _ in told] == [
        "catalog-mirror.data_profile.created",
        "catalog-mirror.data_profile.updated",
    ]
    (_, before, after), (_, was, now) = told
    assert (before, after["asset_id"], after["status"]) == (None, "a1", "finished")
    assert was.keys() == now.keys()

"""Changes are told to a pocket receiver, each signed, with what was before and what is after."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

from sandbox import story
from sandbox.webhook.receiver import Failure, PocketReceiver, serve
from service.cli.common import out
from service.cli.stories import Stage, came, take
from service.settings.model import TargetSettings

#: Seconds that the events may take.
PATIENCE_S = 20.0


async def tell(stage: Stage) -> None:
    """A profile is made, and finished; the first answer of the receiver is that it cannot now."""
    out.print("\nWhoever wants to react to a change is told it: CloudEvents over HTTP, signed as Standard Webhooks.\n")
    secret = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    path = stage.folder / "webhook.secret"
    path.touch(0o600)
    path.write_text(secret)
    receiver = PocketReceiver([secret], failures=[Failure(503)], shows=_show)
    async with serve(receiver) as url:
        told = TargetSettings(url=url, secret_file=path, options={"kinds": ["data_profile"]})
        settings = stage.settings.model_copy(update={"targets": {"webhook": told}})
        async with stage.running(settings) as service:
            await take(settings, service.store, story.STEPS[:2])
            try:
                async with asyncio.timeout(PATIENCE_S):
                    while len(receiver.events) < 2:
                        await asyncio.sleep(0.05)
            except TimeoutError:
                raise stage.fail(f"{len(receiver.events)} events came: {receiver.refusals}") from None
    after = [(event["data"].get("after") or {}).get("status") for event in receiver.events]
    if after != ["none", "finished"] or receiver.refusals:
        raise stage.fail(f"the receiver was told {after}, and refused {receiver.refusals}")
    out.print("  The receiver could not at first, and got each once, in order, every signature right.")


def _show(event: dict[str, Any]) -> None:
    before, after = ((event["data"].get(name) or {}).get("status") for name in ("before", "after"))
    came(f"{event['type']} of {event['subject']}: status {json.dumps(before)} → {json.dumps(after)}")

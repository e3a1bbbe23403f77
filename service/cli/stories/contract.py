"""After an upgrade the catalog sends what it did not send before, and the mirror says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from service.cli.common import opened_store, out, show_table
from service.cli.stories import Stage, said
from service.events.message import Message
from service.operations import contract as operations
from service.operations.acting import Act, Way
from service.operations.learning import learn

#: Messages before and after the upgrade: enough that what is missing in all of them is gone.
MANY = 40
#: A value that must be in no report.
CUSTOMER = "Ada Lovelace Ltd"


def _messages(metadata: dict[str, Any]) -> Iterator[Message]:
    for number in range(MANY):
        profile = f"profile-{number}"
        state = {"metadata": {"guid": profile, **metadata}, "entity": {"data_profile": {"columns": []}}}
        body = {"published": "2026-05-10T15:04:15Z", "state": state}
        yield Message(f"v2.data_profiles.{profile}.POST", json.dumps(body).encode())


async def tell(stage: Stage) -> None:
    """What was learnt is taken as the normal; the next version differs in three things, without a value told."""
    out.print("\nWhat does the catalog send, and what does it send otherwise after its upgrade?\n")
    act = Act("demo", Way.COMMAND, "what 5.3 sends")
    async with opened_store(stage.settings, migrate=True) as store:
        said(f"{MANY} messages of today are learnt, and taken as the normal")
        await learn(stage.settings, store, _messages({"dataset_id": "a1", "owner_id": "u1"}))
        await operations.accept(store, act)
        said(f"the catalog is upgraded; {MANY} messages come")
        await learn(stage.settings, store, _messages({"owner_id": {"iam": "u1"}, "tenant": CUSTOMER}))
        found = await operations.report(store)
    rows = [(one.path, one.what, one.before, one.types, f"{one.ratio:.0%}", one.example) for one in found]
    show_table("contract report", ("path", "what", "before", "now", "of samples", "example"), rows, "")
    told = {(one.path.removeprefix("state.metadata."), one.what) for one in found}
    if told != {("dataset_id", "gone"), ("owner_id", "retyped"), ("tenant", "new")} or CUSTOMER in str(found):
        raise stage.fail(f"the contract is told to differ by {sorted(told)}")

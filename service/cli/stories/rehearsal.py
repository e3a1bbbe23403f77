"""What would another setting make of what was recorded?"""

from __future__ import annotations

import asyncio
from functools import partial

from sandbox import story
from service.cli.common import out, show_table
from service.cli.stories import Stage, said
from service.events.message import Message
from service.events.recording import line_of
from service.operations.rehearsing import Other, rehearse


async def tell(stage: Stage) -> None:
    """The story of the demo, recorded, with a catalog left out: what lives in it would be missing, and nothing else."""
    out.print("\nRecorded messages by the present settings, and by others, into two throwaway stores.\n")
    path = stage.folder / "week.ndjson"
    privacy = stage.settings.pipeline.privacy()
    lines = (line_of(Message(step.routing_key, step.body), 100, privacy) for step in story.STEPS)
    path.write_bytes(b"".join(lines))
    said(f"{len(story.STEPS)} messages, rehearsed with SCOPE__EXCLUDE=catalog:{story.CATALOG}")
    other = Other(changes={"SCOPE__EXCLUDE": f"catalog:{story.CATALOG}"})
    found = await asyncio.to_thread(partial(rehearse, [path], other, stage.folder))
    rows = [(one.relation, one.only_present, one.only_other, one.changed) for one in found.differences]
    show_table("What would differ", ("rows of", "only present", "only other", "otherwise"), rows, "")
    profiles = [one for one in found.differences if one.relation == "v1_data_profiles"]
    if [(one.only_present, one.only_other) for one in profiles] != [(1, 0)]:
        raise stage.fail(f"of profiles {profiles} would differ")

"""What else may be told: profile drift, contracts that data does not keep, gaps, brakes, deliveries that were refused.

Drift is told as it is found, in its transaction. The rest is looked for in the store from time to time, by any replica:
what came up since a target first asked, each once. What was told is on record for longer than any transaction lasts, so
that one which commits late is told, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import DriftFound
from service.mirror import controls, deliveries
from service.mirror.clock import store_now
from service.mirror.dead_letters import DELIVERY
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.mirror.tables import controls as switches
from service.mirror.tables import dead_letters, gaps, sync_runs, things
from service.targets.changes.event import NoticeEvent, notice_event
from service.text.times import to_datetime

#: How deliveries of notices are called in the outbox.
NOTICE = "notice"
#: Transactions are shorter than this; and notices of one kind that one look takes at most.
_OVERLAP = timedelta(minutes=10)
_AT_ONCE = 200
#: The words by which a contract's test passed, as catalogs have them.
_PASSED = ("passed", "pass", "success", "succeeded")


class Notice(NamedTuple):
    """One thing to be told; `key` names it for good."""

    key: str
    title: str
    at: datetime
    about: dict[str, Any]


async def _gaps(connection: AsyncConnection, since: datetime) -> Iterable[Notice]:
    query = sa.select(gaps).where(gaps.c.noticed_at >= since).order_by(gaps.c.noticed_at).limit(_AT_ONCE)
    for_people = "Events may have been lost"
    return [
        Notice(row.gap_id, for_people, row.noticed_at, {"kind": row.kind, "detail": row.detail, "began": row.began_at})
        for row in await connection.execute(query)
    ]


async def _brakes(connection: AsyncConnection, since: datetime) -> Iterable[Notice]:
    """Both of them: too many events could not be used; too much would have been deleted."""
    pulled = switches.c.name.startswith(f"{controls.BRAKE}:", autoescape=True), switches.c.updated_at >= since
    stopped = [
        Notice(
            f"{row.name}@{row.updated_at.isoformat()}", "Consuming has stopped: too many events could not be used",
            row.updated_at, {"replica": row.name.partition(":")[2], "reason": row.value},
        )
        for row in await connection.execute(sa.select(switches).where(*pulled).limit(_AT_ONCE))
    ]  # fmt: skip
    run = sync_runs.c
    braked = run.state == "failed", run.finished_at >= since, run.progress.like('%"braked": [_%')
    return stopped + [
        Notice(row.run_id, "A reconcile would have deleted too much", row.finished_at, {"problem": row.problem})
        for row in await connection.execute(sa.select(sync_runs).where(*braked).limit(_AT_ONCE))
        if '"braked": []' not in row.progress
    ]


async def _refused(connection: AsyncConnection, since: datetime) -> Iterable[Notice]:
    """Deliveries that a target refused for good; of notices none, which would never end."""
    letter = dead_letters.c
    those = letter.kind == DELIVERY, letter.first_at >= since, letter.entity_kind != NOTICE
    query = sa.select(dead_letters).where(*those).order_by(letter.first_at).limit(_AT_ONCE)
    return [
        Notice(
            row.dead_letter_id, f"{row.target} refused a delivery", row.first_at,
            {"target": row.target, "kind": row.entity_kind, "id": row.entity_id, "reason": row.reason,
             "remedy": row.remedy},
        )
        for row in await connection.execute(query)
    ]  # fmt: skip


async def _contracts(connection: AsyncConnection, since: datetime) -> Iterable[Notice]:
    table = things["data_contract_test"]
    test = table.c
    failed = test.mirrored_at >= since, test.deleted_at.is_(None), sa.func.lower(test.result).not_in(_PASSED)
    shown = ("data_contract_id", "container_id", "result", "schema_result", "quality_result", "failed_checks")
    return [
        Notice(row.test_id, "Data does not keep a contract", row.mirrored_at,
               {name: getattr(row, name) for name in shown})
        for row in await connection.execute(sa.select(table).where(*failed).order_by(test.mirrored_at).limit(_AT_ONCE))
    ]  # fmt: skip


#: What is looked for, by the name that options have.
_LOOKS: dict[str, Callable[[AsyncConnection, datetime], Awaitable[Iterable[Notice]]]] = {
    "gaps": _gaps,
    "brakes": _brakes,
    "refused": _refused,
    "contracts": _contracts,
}


async def look(store: Store, target: str, chosen: Sequence[str], source: str) -> int:
    """Put what came up into the outbox; answers how much that was.

    Raises:
        StoreUnavailable: it is looked for the next time.
    """
    name = f"notices:{target}"
    async with store.writing() as connection:
        now = (await connection.execute(sa.select(store_now(store.dialect)))).scalar_one()
        known = await controls.read_control(connection, name)
        kept = known or {"since": now.isoformat(), "told": {}}
        since = datetime.fromisoformat(kept["since"])
        fresh = [
            (kind, notice)
            for kind in sorted(_LOOKS.keys() & set(chosen))
            for notice in await _LOOKS[kind](connection, since)
            if f"{kind}/{notice.key}" not in kept["told"]
        ]
        new = [_delivery(target, kind, notice, source) for kind, notice in fresh]
        await deliveries.create(connection, new)
        begins = max(since, now - _OVERLAP)
        told = kept["told"] | {f"{kind}/{notice.key}": notice.at.isoformat() for kind, notice in fresh}
        recent = {key: at for key, at in told.items() if datetime.fromisoformat(at) >= begins}
        if (after := {"since": begins.isoformat(), "told": recent}) != known:
            await controls.set_control(connection, name, after)
    return len(new)


def of_drift(change: DriftFound, source: str) -> NoticeEvent:
    """What is told of drift between two runs of profiling."""
    where = f"column {change.column} " if change.column else ""
    about = {
        "asset_id": change.asset_id, "column": change.column or None, "change": change.change,
        "container": change.container, "profile_id": change.profile_id, "run_id": change.run_id,
        "before": change.before_text if change.before_number is None else change.before_number,
        "after": change.after_text if change.after_number is None else change.after_number,
    }  # fmt: skip
    key = f"{change.asset_id}/{change.change}/{change.column}/{change.run_id}"
    title = f"Profiling found {where}of an asset changed: {change.change}"
    return notice_event("drift", key, title, to_datetime(change.after_at_us), about, source)


def _delivery(target: str, kind: str, notice: Notice, source: str) -> Delivery:
    at = notice.at.astimezone(UTC)
    event = notice_event(kind, notice.key, notice.title, at, notice.about, source)
    entity = f"{kind}/{notice.key}"
    return Delivery(
        f"{target}:{NOTICE}:{entity}", target, NOTICE, entity, "Notice", document=event.text(), keeps=True
    )  # fmt: skip

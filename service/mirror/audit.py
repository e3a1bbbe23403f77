"""The audit log: what people did, when, and why. It is only added to; the store itself refuses anything else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.clock import store_now
from service.mirror.tables import audit_log
from service.text.documents import column_text


async def record(
    connection: AsyncConnection,
    who: str,
    action: str,
    subject: str,
    reason: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down what somebody does, in the transaction that does it.

    Args:
        action: such as `dead_letter.edit`; `subject`: what it is done to, such as a dead letter's id.
        detail: nothing secret.
    """
    values = {
        "at": store_now(connection.dialect.name),
        "who": column_text(who),
        "action": action,
        "subject": column_text(subject),
        "reason": column_text(reason) if reason else None,
        "detail": column_text(json.dumps(dict(detail))) if detail else None,
    }
    await connection.execute(sa.insert(audit_log).values(values))


async def entries(
    connection: AsyncConnection,
    subject: str | None = None,
    action: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[Any]:
    """Entries, the newest first; `action` may be a family such as `dead_letter`, `before` is a place in the log."""
    query = sa.select(audit_log).order_by(audit_log.c.seq.desc()).limit(limit)
    if subject is not None:
        query = query.where(audit_log.c.subject == subject)
    if action is not None:
        query = query.where(sa.or_(audit_log.c.action == action, audit_log.c.action.startswith(f"{action}.")))
    if before is not None:
        query = query.where(audit_log.c.seq < before)
    return list(await connection.execute(query))

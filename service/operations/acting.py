"""Who acts, by which way and why: what every action is given, and what the audit log keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import MirrorError
from service.mirror import audit


class Way(StrEnum):
    """How somebody reached us."""

    COMMAND = "command"
    API = "api"
    CONSOLE = "console"


@dataclass(frozen=True, slots=True)
class Act:
    """Somebody does something: `by` is their name, as a token, a sign-in or the system tells it."""

    by: str
    way: Way
    reason: str | None = None

    async def record(
        self, connection: AsyncConnection, action: str, subject: str, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Write it into the audit log, in the transaction that does it.

        Args:
            action: such as `dead_letter.edit`; `subject`: what it is done to, such as a dead letter's id.
            detail: nothing secret.
        """
        told = {"way": self.way.value, **(detail or {})}
        await audit.record(connection, self.by, action, subject, self.reason, told)


class Unknown(MirrorError):
    """What is to be acted on is not there."""


class Conflict(MirrorError):
    """What is to be done does not fit how things stand by now."""

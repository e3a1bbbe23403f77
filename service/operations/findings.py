"""What `doctor` finds: a check, how it went, and what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from service.errors import MirrorError


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, its verdict, and what to do."""

    check: str
    verdict: Verdict
    detail: str
    remedy: str = ""


async def checked(check: str, work: Callable[[], Awaitable[str]]) -> Finding:
    """A check that passes with a detail, or fails with an error of ours."""
    try:
        return Finding(check, Verdict.OK, await work())
    except MirrorError as error:
        return Finding(check, Verdict.FAILED, str(error), error.advice())

"""What this target alone can be told, in `TARGETS__COLLIBRA__OPTIONS`."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.openlineage.naming import FIELDS, names_in
from service.settings.sections import Duration

#: What a template may use: what names data sets elsewhere, and the last words of the path.
TEMPLATE_FIELDS = FIELDS | {"schema", "name"}
#: A key that is exactly this becomes a key for each word of the path.
SEGMENTS = "{segments}"
#: Items of one submission at most (docs/contract.md, "Collibra").
MAX_ITEMS = 1000


def _is_template(text: str) -> str:
    try:
        unknown = names_in(text) - TEMPLATE_FIELDS if text != SEGMENTS else set()
    except ValueError as error:
        raise ValueError(f"{text!r} is no template: {error}") from None
    if unknown:
        raise ValueError(f"{text!r} uses {', '.join(sorted(unknown))}; there are {', '.join(sorted(TEMPLATE_FIELDS))}")
    if not text:
        raise ValueError("an empty text locates nothing")
    return text


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # not found, not a name, not a file
        raise ValueError(f"this machine knows no time zone {name!r}") from None
    return name


Template = Annotated[str, AfterValidator(_is_template)]


class LocatorRule(BaseModel):
    """Templates of what locates an asset in Collibra."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Template
    product: Template | None = None
    keys: tuple[Template, ...] = Field(min_length=1)


class Options(BaseModel):
    """All of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: By the id of a connection, or the type of connections.
    locators: dict[str, LocatorRule] = {}
    zone: Annotated[str, AfterValidator(_is_zone)] = "UTC"
    #: Seconds after the end of a window before it is counted, so that late logs are in it.
    delay: Duration = Field(3600, ge=0, le=6 * 86_400)
    batch_max: int = Field(MAX_ITEMS, ge=1, le=MAX_ITEMS)
    time_period: str | None = None
    path: str = Field("/rest/dataUsage/v1", pattern="^/.*[^/]$")
    #: Seconds between two looks at a job.
    poll: Duration = Field(30, gt=0)
    #: Seconds after which a batch that is in doubt is closed, and not sent again.
    deadline: Duration = Field(86_400, gt=0)
    #: The user that we sign in as, as its jobs name it.
    created_by: UUID | None = None
    timeout_s: float = Field(30, gt=0)

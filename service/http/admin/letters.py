"""`/api/admin/dead-letters`: see, mend, try again, let go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from service.errors import UsageError
from service.http.admin.calls import Asked, Body, Call, Limit, Moment, Parameters, Word
from service.mirror.dead_letters import OPEN, Filter
from service.operations import dead_letters as operations
from service.operations.dead_letters import Edited, Group, Letter, Page, Replayed, Whole
from service.operations.differences import Line
from service.operations.history import Entry
from service.operations.work import Work

_ROOT = "/api/admin/dead-letters"
#: Ids that one call may name.
_MOST_IDS = 500
#: What has to be said of a choice, at least one of it.
_FILTERS = ("error_class", "topic", "fingerprint", "entity", "since", "until")
_CHOSEN: list[Any] = [
    {"required": ["all"], "properties": {"all": {"const": True}}},
    {"required": ["ids"], "properties": {"ids": {"minItems": 1}}},
    *({"required": [name], "properties": {name: {"type": "string"}}} for name in _FILTERS),
]


class Listing(Parameters):
    """Which letters a listing has; what is not said means any."""

    error_class: Word | None = Field(None, description="Only of this class, such as not_json.")
    topic: Word | None = Field(None, description="Only with this routing key; * stands for anything.")
    fingerprint: Word | None = Field(None, description="Only with this cause.")
    entity: Word | None = Field(None, description="Only about this thing: its id, as keys and deliveries name it.")
    since: Moment | None = Field(None, description="Only last met at or after this moment.")
    until: Moment | None = Field(None, description="Only last met before this moment.")
    state: Literal["open", "replayed", "superseded", "discarded", "any"] = "open"
    limit: Limit = 50
    after: Word | None = Field(None, description="Only those that follow on this one, the last of a page.")


class Choice(Body):
    """Which open letters are meant: by ids (or their first characters), by a filter, or all of them."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _CHOSEN})

    ids: Annotated[tuple[Word, ...], Field(max_length=_MOST_IDS)] = ()
    error_class: Word | None = None
    topic: Word | None = None
    fingerprint: Word | None = None
    entity: Word | None = None
    since: Moment | None = None
    until: Moment | None = None
    all: bool = Field(False, description="All that are open; has to be said where nothing else is.")

    def filter(self) -> Filter:
        """What is chosen.

        Raises:
            UsageError: nothing is.
        """
        if not (self.ids or self.all or any(getattr(self, name) for name in _FILTERS)):
            raise UsageError("nothing is chosen", "Name ids, a filter, or `all`.")
        return Filter(
            self.ids, self.error_class, self.topic, self.fingerprint, OPEN, self.entity, self.since, self.until
        )


class Replay(Body):
    """How one letter is tried again."""

    deliver: bool = Field(False, description="Also create deliveries, as if it were live.")


class ReplayMany(Choice):
    """Which letters are tried again, and how."""

    deliver: bool = Field(False, description="Also create deliveries, as if it were live.")
    rate: float = Field(0, ge=0, le=10_000, description="LettersChosen per second at most; 0: as fast as it goes.")


class NewBody(Body):
    """A whole new body, as text."""

    body: str = Field(description="The whole new body, as text; secrets in it are blanked before it is written.")


class Edit(NewBody):
    """A whole new body, and which one it is made of."""

    digest: Word = Field(description="`digest` of the letter that was edited; another one is refused with 409.")


@dataclass(frozen=True, slots=True)
class LetterShown:
    """A dead letter whole; secrets in headers and bodies are blanked."""

    letter: Letter
    headers: dict[str, Any] | None
    #: Bytes that are not UTF-8 are shown as `\\xff`.
    body: str | None
    #: What it had at first, where somebody edited it.
    original_body: str | None
    #: Names the body as it is now.
    digest: str
    #: What was done to it, the newest first.
    history: list[Entry]


@dataclass(frozen=True, slots=True)
class BodyDifference:
    """What an edit would change, line by line; nothing is saved."""

    lines: list[Line]


@dataclass(frozen=True, slots=True)
class LettersChosen:
    """How many letters there are of what was chosen."""

    letters: int


async def _list(asked: Asked[Listing, Body]) -> Page:
    told = asked.query
    state = None if told.state == "any" else told.state
    which = Filter((), told.error_class, told.topic, told.fingerprint, state, told.entity, told.since, told.until)
    return await operations.find(asked.means.store, which, told.limit, told.after)


async def _groups(asked: Asked[Parameters, Body]) -> list[Group]:
    return await operations.groups(asked.means.store)


async def _show(asked: Asked[Parameters, Body]) -> LetterShown:
    return _shown(await operations.one(asked.means.store, asked.names["letter"]))


async def _diff(asked: Asked[Parameters, NewBody]) -> BodyDifference:
    body, rules = _bytes(asked.body), asked.means.settings.pipeline
    return BodyDifference(await operations.diff(asked.means.store, rules, asked.names["letter"], body))


async def _edit(asked: Asked[Parameters, Edit]) -> Edited:
    body, rules = _bytes(asked.body), asked.means.settings.pipeline
    return await operations.edit(
        asked.means.store, rules, asked.names["letter"], body, asked.body.digest, asked.act
    )  # fmt: skip


async def _replay(asked: Asked[Parameters, Replay]) -> Replayed:
    which, deliver = await _this(asked), asked.body.deliver
    return await operations.replay(asked.means.store, asked.means.settings, which, asked.act, deliver=deliver)


async def _discard(asked: Asked[Parameters, Body]) -> LettersChosen:
    return LettersChosen(await operations.discard(asked.means.store, await _this(asked), asked.act))


async def _this(asked: Asked[Any, Any]) -> Filter:
    """The one letter of the path."""
    return Filter((await operations.open_one(asked.means.store, asked.names["letter"]),), exact=True)


async def _count(asked: Asked[Parameters, Choice]) -> LettersChosen:
    return LettersChosen(len(await operations.choose(asked.means.store, asked.body.filter())))


async def _replay_many(asked: Asked[Parameters, ReplayMany]) -> Work:
    return await operations.begin_replay(
        asked.means.desk, asked.means.store, asked.means.settings, asked.body.filter(), asked.act,
        deliver=asked.body.deliver, rate=asked.body.rate,
    )  # fmt: skip


async def _discard_many(asked: Asked[Parameters, Choice]) -> LettersChosen:
    return LettersChosen(await operations.discard(asked.means.store, asked.body.filter(), asked.act))


def _bytes(told: NewBody) -> bytes:
    return told.body.encode("utf-8", "surrogatepass")


def _text(body: bytes | None) -> str | None:
    return None if body is None else body.decode("utf-8", "backslashreplace")


def _shown(whole: Whole) -> LetterShown:
    return LetterShown(
        whole.letter, whole.headers, _text(whole.body), _text(whole.original_body), whole.digest, list(whole.history)
    )


_ONE = f"{_ROOT}/{{letter}}"
#: In the order in which they are described; a fixed word stands before what any letter may be called.
CALLS: tuple[Call, ...] = (
    Call("GET", _ROOT, "listDeadLetters", "Dead letters, the newest first", Page, _list, Listing,
         refusals=(404,)),
    Call("GET", f"{_ROOT}/groups", "groupDeadLetters", "Open ones by cause", list[Group], _groups),
    Call("POST", f"{_ROOT}/count", "countDeadLetters", "How many open ones a choice is", LettersChosen, _count,
         body=Choice, refusals=(404,)),
    Call("POST", f"{_ROOT}/replay", "replayDeadLetters", "Try many again", Work, _replay_many,
         body=ReplayMany, status=202, look="/api/admin/work/{work_id}", refusals=(404, 409)),
    Call("POST", f"{_ROOT}/discard", "discardDeadLetters", "Close many without trying them again", LettersChosen,
         _discard_many, body=Choice, refusals=(404,)),
    Call("GET", _ONE, "getDeadLetter", "One whole, with what was done to it", LetterShown, _show,
         refusals=(404,)),
    Call("POST", f"{_ONE}/diff", "diffDeadLetter", "What an edit would change", BodyDifference, _diff,
         body=NewBody, refusals=(404,)),
    Call("POST", f"{_ONE}/edit", "editDeadLetter", "Give it another body", Edited, _edit, body=Edit,
         refusals=(404, 409)),
    Call("POST", f"{_ONE}/replay", "replayDeadLetter", "Try it again", Replayed, _replay, body=Replay,
         refusals=(404,)),
    Call("POST", f"{_ONE}/discard", "discardDeadLetter", "Close it without trying it again", LettersChosen,
         _discard, refusals=(404,)),
)  # fmt: skip

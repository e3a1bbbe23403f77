"""What the documents say of an import's form and of its commands; the first thing that is wrong is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import BodyPartReader, web

from sandbox.collibra.checks import Invalid

#: Fields of the form (ImportJsonInJobRequest), and of which type they are.
_FLAGS = ("sendNotification", "simulation", "saveResult", "deleteFile", "continueOnError")
_FORM = frozenset((*_FLAGS, "batchSize", "fileId", "file", "fileName", "relationsAction"))
#: Fields of a command (AssetImportCommand), and of identifiers.
_COMMAND = frozenset(
    {
        "resourceType", "identifier", "indexes", "responsibilities", "name", "displayName", "domain", "type", "status",
        "attributes", "relations", "tags",
    }
)  # fmt: skip
_IDENTIFIER = frozenset({"id", "externalSystemId", "externalEntityId", "name", "domain"})
MAX_SYSTEM, MAX_ENTITY = 36, 255


async def read_form(request: web.Request) -> dict[str, Any]:
    """The fields of an import; raises `Invalid` for what its documents do not have."""
    if request.content_type != "multipart/form-data":
        raise Invalid("the body must be multipart/form-data")
    told: dict[str, Any] = {"continueOnError": False, "simulation": False}
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name not in _FORM:
            raise Invalid(f"there is no field {getattr(part, 'name', None)!r}")
        value = bytes(await part.read())
        told[part.name] = _flag(part.name, value) if part.name in _FLAGS else value
    if "file" not in told or "fileName" not in told or "fileId" in told:
        raise Invalid("either fileId, or file and fileName")
    if told["continueOnError"] and told["simulation"]:
        raise Invalid("continueOnError and simulation do not go together")
    return told


def _flag(name: str, value: bytes) -> bool:
    if value not in (b"true", b"false"):
        raise Invalid(f"{name} must be true or false")
    return value == b"true"


def read_commands(raw: bytes) -> list[dict[str, Any]]:
    """The commands of a file; raises `Invalid` for what their documents do not have."""
    try:
        told = msgspec.json.decode(raw, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise Invalid(str(error)) from None
    for command in told:
        _check_command(command)
    return told


def _check_command(command: dict[str, Any]) -> None:
    if command.get("resourceType") != "Asset":
        raise Invalid(f"the resource type {command.get('resourceType')!r} is not one of this pocket's: Asset")
    _only(command, _COMMAND, "command")
    _check_identifier(command.get("identifier"))
    for one in _all(command.get("attributes", {})):
        if set(one) != {"value"} or not isinstance(one["value"], str):
            raise Invalid("a value of an attribute is an object with `value`, a text")
    for end in _all(command.get("relations", {})):
        _check_identifier(end)
    for owner in _all(command.get("responsibilities", {})):
        _check_owner(owner)
    if not all(isinstance(tag, str) and tag for tag in command.get("tags", [])):
        raise Invalid("a tag is a text")


def _all(told: dict[str, list[Any]]) -> Iterator[Any]:
    return (one for some in told.values() for one in some)


def _only(told: dict[str, Any], known: frozenset[str], what: str) -> None:
    if unknown := sorted(told.keys() - known):
        raise Invalid(f"unrecognized field {unknown[0]!r} of the {what}")


def _check_identifier(told: Any) -> None:
    if not isinstance(told, dict):
        raise Invalid("Specify the criteria for identifying the asset")
    _only(told, _IDENTIFIER, "identifier")
    if told.keys() != {"externalSystemId", "externalEntityId"}:
        raise Invalid("this pocket identifies assets by externalSystemId and externalEntityId alone")
    system, entity = external(told)
    if not 0 < len(system) <= MAX_SYSTEM or not 0 < len(entity) <= MAX_ENTITY:
        raise Invalid(f"external ids have 1 to {MAX_SYSTEM} and 1 to {MAX_ENTITY} characters")


def _check_owner(told: Any) -> None:
    """Users and groups are identified by id alone (UserIdentifier, UserGroupIdentifier)."""
    held = next(iter(told.values())) if isinstance(told, dict) and len(told) == 1 else None
    if held is None or not told.keys() <= {"user", "userGroup"}:
        raise Invalid("a responsibility is of a `user` or of a `userGroup`")
    if not isinstance(held, dict) or held.keys() != {"id"}:
        raise Invalid("users and groups are identified by their id alone")


def external(identifier: dict[str, str]) -> tuple[str, str]:
    """The external system and the id there."""
    return identifier["externalSystemId"], identifier["externalEntityId"]

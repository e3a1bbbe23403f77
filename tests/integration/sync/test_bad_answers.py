"""Answers that are wrong in every way: named in v1_freshness, nothing deleted for them, and the rest is read."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.model import PocketCatalog
from service.settings.model import SyncSettings
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.test_deletions import tombstones
from tests.integration.sync.test_forms import KINDS, persistent, unread
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

#: Path of a listing → key of its list, and the kinds that are then not read.
LISTINGS = {
    "/v2/asset_types/asset/search": ("results", {"asset"}),
    "/v3/governance_artifact_types/all": ("resources", {"artifact"}),
    "/v2/asset_lists": ("asset_lists", {"asset_list"}),
    "/v2/jobs": ("results", {"job"}),
    "/data_quality/v4/issues": ("issues", {"quality_issue"}),
    "/v2/assets/search_relationships": ("resources", {"relationship"}),
}

Spoil = Callable[[dict[str, Any], str, Any], Any]
_WORD = "[^/]+"
_TESTED = f"/data_quality/v4/projects/{_WORD}/data_contracts/{_WORD}/test_results"
#: The same for every listing, by a pattern of its path.
EVERY: dict[str, tuple[str, set[str]]] = {
    **LISTINGS,
    "/v2/catalogs": ("catalogs", {"container"}),
    "/v2/projects": ("resources", {"container"}),
    "/v2/spaces": ("resources", {"container"}),
    f"/v2/catalogs/{_WORD}/members": ("members", {"member"}),
    f"/v2/projects/{_WORD}/members": ("members", {"member"}),
    f"/v2/spaces/{_WORD}/members": ("resources", {"member"}),
    "/v2/asset_types": ("resources", {"asset_type"}),
    "/v2/asset_relationship_types": ("resources", {"relationship_type"}),
    f"/v3/{_WORD}/{_WORD}/versions": ("resources", {"artifact_version"}),
    "/v3/relationships": ("relationships", {"artifact_relationship"}),
    "/v3/data_classes": ("resources", {"artifact"}),
    "/v3/search": ("rows", {"asset"}),
    f"/v2/asset_lists/{_WORD}/items": ("items", {"asset_list_item"}),
    f"/v2/jobs/{_WORD}/runs": ("results", {"job_run"}),
    "/v2/trashed_assets": ("resources", {"asset"}),
    "/data_quality/v4/assets": ("assets", {"quality_asset"}),
    "/data_quality/v4/checks": ("checks", {"quality_check"}),
    "/v2/assets/bulk": ("resources", {"asset"}),
    f"/data_quality/v3/projects/{_WORD}/rules": ("rules", {"quality_rule"}),
    f"/data_quality/v3/projects/{_WORD}/definitions": ("definitions", {"quality_definition"}),
    f"/data_quality/v3/projects/{_WORD}/rules/{_WORD}/executions": ("executions", {"quality_execution"}),
    "/v3/enforcement/rules": ("resources", {"protection_rule"}),
    f"/data_quality/v4/projects/{_WORD}/data_contracts": ("data_contracts", {"data_contract"}),
    "/v2/datasource_types": ("resources", {"datasource_type"}),
    _TESTED: ("test_results", {"data_contract_test"}),
    "/v3/categories/hierarchy": ("resources", {"category"}),
    f"/v3/categories/{_WORD}/collaborators": ("collaborators", {"category_member"}),
    f"/v4/reference_data_sets/{_WORD}/versions/ACTIVE/values": ("values", {"reference_value"}),
}
READ = {"member", *(kind for _, kinds in LISTINGS.values() for kind in kinds)}
PAGED = ("bookmark", "start", "offset", "next", "skip")


def _is_later(query: Any) -> bool:
    return any(query.get(name) not in (None, "", "0") for name in PAGED)


SPOILT: dict[str, Spoil] = {
    "list missing": lambda body, key, _: {name: value for name, value in body.items() if name != key},
    "list null": lambda body, key, _: {**body, key: None},
    "list empty under another key": lambda body, key, _: {**{n: v for n, v in body.items() if n != key}, "x": []},
    "nested": lambda body, key, _: {**body, key: {"items": body[key]}},
    "wrapped": lambda body, key, _: {"data": body},
    "a bare list": lambda body, key, _: body[key],
    "items are texts": lambda body, key, _: {**body, key: [json.dumps(item) for item in body[key]]},
    "items are null": lambda body, key, _: {**body, key: [None for _ in body[key]]},
    "items without ids": lambda body, key, _: {**body, key: [{"description": "x"} for _ in body[key]]},
    "doubled": lambda body, key, _: {**body, key: body[key] * 2},
    "an item very large": lambda body, key, _: {
        **body,
        key: [{**item, "y": "z" * 3_000_000} for item in body[key][:1]],
    },
    "nested very deep": lambda body, key, _: {**body, "z": json.loads("[" * 900 + "]" * 900)},
    "error inside": lambda body, key, _: {"trace": "t", "errors": [{"code": "internal", "message": "no"}]},
    "no object": lambda body, key, _: "text",
    "for people": lambda body, key, _: web.Response(text="<html>sign in</html>", content_type="text/html"),
    "not JSON": lambda body, key, _: web.Response(body=b"{", content_type="application/json"),
    "nothing": lambda body, key, _: web.Response(body=b""),
    "led elsewhere": lambda body, key, _: web.Response(status=302, headers={"Location": "https://elsewhere.invalid/"}),
    "bookmarks expire": lambda body, key, query: web.Response(status=400, text="{}") if _is_later(query) else body,
    "forbidden": lambda body, key, _: web.Response(status=403, text="{}"),
    "not there": lambda body, key, _: web.Response(status=404, text="{}"),
    "gone": lambda body, key, _: web.Response(status=410, text="{}"),
}


async def differing(reader: Reader, catalog: PocketCatalog, compared: set[str]) -> dict[str, Any]:
    """What differs of what is read here."""
    left = await differences(reader.mirror, catalog)
    return {kind: told for kind, told in left.items() if KINDS[kind] - {"container"} <= compared}


@on_one_store
@pytest.mark.parametrize("how", SPOILT)
async def test_one_listing_that_answers_wrongly_hides_nothing_else_and_deletes_nothing(
    reading: Reading, how: str
) -> None:
    path = random.Random(how).choice(list(LISTINGS))
    key, kinds = LISTINGS[path]
    await spoilt(reading, path, key, kinds, how)


#: Not there is how this one says that it is empty, while what it is below is there.
_EMPTY = {(_TESTED, "not there"), (_TESTED, "gone")}


@on_one_store
@pytest.mark.slow
@pytest.mark.parametrize(("path", "how"), [pair for pair in product(EVERY, SPOILT) if pair not in _EMPTY])
async def test_every_listing_in_every_way(reading: Reading, path: str, how: str) -> None:
    key, kinds = EVERY[path]
    await spoilt(reading, path, key, kinds, how, every_kind=True)


async def spoilt(reading: Reading, path: str, key: str, kinds: set[str], how: str, *, every_kind: bool = False) -> None:
    """Read a catalog one of whose listings answers wrongly, and again once it does not."""
    catalog = PocketCatalog(seed=8, assets=30, clock=SteppingClock())
    settings = SyncSettings() if every_kind else only(*READ)
    compared = set().union(*KINDS.values()) if every_kind else READ
    async with reading(catalog, settings, max_answer_bytes=2_000_000) as reader:
        await reader.snapshot()
        before = await tombstones(reader)
        spoil = SPOILT[how]

        def answer(at: str, query: Any, body: Any) -> Any:
            if not re.fullmatch(path, at) or not isinstance(body, dict) or not isinstance(body.get(key), list):
                return body
            return spoil(body, key, query)

        catalog.knobs.spoil = answer
        term = catalog.create_artifact("glossary_term", "made")
        catalog.create_asset(reader.container("catalog").id, "made")
        catalog.containers.add_member(reader.container("catalog").id, "somebody", "viewer")
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        await persistent(lambda: reader.reconcile(accept_deletions=True))
        await reader.poll()

        left, told = await differing(reader, catalog, compared), await unread(reader)
        assert not {kind for kind in left if not KINDS[kind] & (told | kinds)}, (path, told, left)
        assert not left or kinds & told, (path, told, left)
        assert await tombstones(reader) == before
        assert "members" not in left or "member" in kinds | told

        catalog.knobs.spoil = None
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        await persistent(lambda: reader.reconcile(accept_deletions=True))
        assert await differing(reader, catalog, compared) == {}
        assert await reader.mirror.one("SELECT name FROM v1_artifacts WHERE artifact_id = :term", term=term) == "made"

"""A certificate of what is mirrored, made on one mirror and checked on another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from service.changes import AssetDeleted, AssetMentioned, AssetSaved, Rank, Version
from service.mirror import controls, writer
from service.mirror.tables import sync_states
from service.operations import attesting
from service.operations.attesting import Checked, ContainerUnknown
from service.settings.model import Settings
from service.text.certificates import CertificateInvalid
from service.text.documents import document
from tests.integration.queries.conftest import AT_US, CATALOG, SALES

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

KEY = Ed25519PrivateKey.generate()


async def fill(mirror: Mirror, *more: Any) -> None:
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate([*CATALOG, *more]))


def saved(asset_id: str, name: str, seconds: int = 0) -> AssetSaved:
    told = document({"metadata": {"name": name}})
    version = Version(AT_US + seconds * 1_000_000, Rank.READ, told.digest, told.digest)
    return AssetSaved(asset_id, version, told, SALES, name=name)


async def made(mirror: Mirror, path: Path, things: Path | None = None) -> dict[str, Any]:
    path.write_bytes(await attesting.make(mirror.store, Settings(), "c-sales", KEY, things))
    told: dict[str, Any] = json.loads(path.read_bytes())
    return told


async def checked(mirror: Mirror, path: Path, things: Path | None = None) -> Checked:
    return await attesting.check_store(mirror.store, path, KEY.public_key(), things)


async def test_two_mirrors_of_one_catalog_have_one_root_whatever_their_kind(both: list[Mirror], tmp_path: Path) -> None:
    await fill(both[0], saved("a-1", "ONE"), saved("a-2", "TWO"))
    await fill(both[1], saved("a-2", "OLD"), AssetMentioned("a-stub", SALES))
    await fill(both[1], saved("a-2", "TWO", 5), saved("a-1", "ONE"))  # another order, and read at another moment

    certificates = [await made(mirror, tmp_path / f"{number}.json") for number, mirror in enumerate(both)]

    assert certificates[0]["tree"] == certificates[1]["tree"]
    assert certificates[0]["things"]["asset"] == certificates[1]["things"]["asset"] > 2
    for mirror in both:
        for number in (0, 1):
            found = await checked(mirror, tmp_path / f"{number}.json")
            assert (found.is_equal, found.steps, found.things, found.is_trusted) == (True, 1, [], True)
    other = attesting.check_other(tmp_path / "0.json", tmp_path / "1.json")
    assert (other.is_equal, other.rows_read, other.lines_read, other.steps) == (True, 0, 0, 1)


async def test_the_first_things_that_differ_are_named(mirror: Mirror, tmp_path: Path) -> None:
    await fill(mirror, saved("a-1", "ONE"), saved("a-2", "TWO"), saved("a-3", "THREE"))
    path, things = tmp_path / "c.json", tmp_path / "c.things"
    await made(mirror, path, things)
    deleted = AssetDeleted("a-3", Version(AT_US + 10_000_000, Rank.DELETED))
    await fill(mirror, saved("a-2", "OTHERWISE", 5), deleted, saved("a-4", "NEW"))

    found = await checked(mirror, path, things)
    assert not found.is_equal
    assert found.is_exact
    assert {(one["id"], one["how"]) for one in found.things} == {
        ("a-2", "another state"), ("a-3", "only in the certificate"), ("a-4", "only here"),
    }  # fmt: skip
    without = await checked(mirror, path)
    assert not without.is_exact
    assert {"a-2", "a-4"} <= {one["id"] for one in without.things}, "those that share a bucket with what differs"

    await made(mirror, tmp_path / "now.json", tmp_path / "now.things")
    other = attesting.check_other(path, tmp_path / "now.json", None, things, tmp_path / "now.things")
    assert [one for one in other.things if one["id"] == "a-2"] == [
        {"kind": "asset", "id": "a-2", "how": "another state"}
    ]
    assert other.rows_read == 0


async def test_it_says_how_far_it_can_be_trusted(mirror: Mirror, tmp_path: Path) -> None:
    await fill(mirror, saved("a-1", "ONE"))
    async with mirror.store.write() as connection:
        await connection.execute(
            sync_states.insert().values(
                container_id="c-sales", kind="asset", complete_as_of=mirror.store.now(), missing=2
            )
        )
        await connection.execute(sync_states.insert().values(container_id="c-sales", kind="data_profile"))
        await controls.record_gap(connection, "absence", "away for two hours", None)

    told = await made(mirror, tmp_path / "c.json")

    assert told["container"] == {"kind": "catalog", "id": "c-sales", "name": "Sales", "is_deleted": False}
    assert (told["readings"]["asset"]["missing"], told["readings"]["data_profile"]["complete_as_of"]) == (2, None)
    assert told["gaps"][0]["detail"] == "away for two hours"
    assert {"product", "schema", "scope", "refreshes", "dead_letters", "made_at"} <= told.keys()
    remarks = (await checked(mirror, tmp_path / "c.json")).remarks
    assert any("away for two hours" in one for one in remarks)
    assert any("never read whole" in one and "data_profile" in one for one in remarks)


async def test_what_cannot_be_attested_or_checked_is_told(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ContainerUnknown, match="nowhere"):
        await attesting.make(mirror.store, Settings(), "nowhere", KEY)
    await fill(mirror)
    path = tmp_path / "c.json"
    await made(mirror, path)
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b'"total":', b'"total":1', 1))
    with pytest.raises(CertificateInvalid, match="changed after it was signed"):
        await checked(mirror, path)


async def test_a_state_that_only_moved_on_in_time_is_the_same(mirror: Mirror, tmp_path: Path) -> None:
    await fill(mirror, saved("a-1", "ONE"))
    await made(mirror, tmp_path / "c.json")
    told = saved("a-1", "ONE", 60)
    await fill(mirror, structs.replace(told, version=structs.replace(told.version, rank=Rank.EVENT)))
    assert (await checked(mirror, tmp_path / "c.json")).is_equal

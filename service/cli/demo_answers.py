"""The demo's last chapter: why a row is so, whether a mirror is what a certificate says, and somebody is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.cli.common import opened_store, out
from service.mirror.store import Store
from service.operations import attesting, privacy
from service.operations.acting import Act, Way
from service.queries.explaining import explain
from service.settings.model import Settings

Fail = Callable[[str], Exception]
#: Somebody who owns something, the largest container, and one of its assets.
_OWNER = (
    "SELECT owner_id FROM v1_assets WHERE owner_id IS NOT NULL GROUP BY owner_id ORDER BY count(*), owner_id LIMIT 1"
)
_CONTAINER = (
    "SELECT container_id FROM v1_assets WHERE container_id IS NOT NULL "
    "GROUP BY container_id ORDER BY count(*) DESC, container_id LIMIT 1"
)
_ASSET = "SELECT asset_id FROM v1_assets WHERE owner_id = :owner ORDER BY asset_id LIMIT 1"


async def tell(demo: Settings, fail: Fail) -> None:
    """Tell the chapter over a mirror that has assets; what comes out otherwise is raised, as `fail` words it."""
    out.print("\nThree answers: why is this row so, is the mirror what it was, and can somebody be forgotten?\n")
    async with opened_store(demo) as store:
        owner, container_id = await _one(store, _OWNER), await _one(store, _CONTAINER)
        if owner is None or container_id is None:
            raise fail("nobody owns anything in the catalog that was read")
        asset_id = await _one(store, _ASSET, owner=owner)
        await _explain(store, asset_id, fail)
        with TemporaryDirectory() as directory:
            path = Path(directory) / "certificate.json"
            key = Ed25519PrivateKey.generate()
            path.write_bytes(await attesting.make(store, demo, container_id, key))
            await _check(store, path, key, fail)
            await _forget(store, demo, owner, fail)
            if await _one(store, "SELECT owner_id FROM v1_assets WHERE asset_id = :asset", asset=asset_id) == owner:
                raise fail(f"{asset_id} still names its owner")


async def _one(store: Store, query: str, **parameters: Any) -> Any:
    async with store.read() as connection:
        return (await connection.execute(sa.text(query), parameters)).scalar()


async def _explain(store: Store, asset_id: str, fail: Fail) -> None:
    async with store.read() as connection:
        found = await explain(connection, asset_id)
    if found is None or not found.states:
        raise fail(f"nothing is known of {asset_id}")
    state = found.states[0]
    out.print(f"  explain {asset_id}: told by {state.now.said_by}. {state.because}", markup=False, soft_wrap=True)


async def _check(store: Store, path: Path, key: Ed25519PrivateKey, fail: Fail) -> None:
    found = await attesting.check_store(store, path, key.public_key())
    if not found.is_equal:
        raise fail(f"the certificate of {found.container} does not fit the mirror that it was made of")
    told = f"{found.rows_read} things, one root, signed by {found.signed_by}"
    out.print(f"  attest {found.container}: {told}", markup=False, soft_wrap=True)


async def _forget(store: Store, demo: Settings, owner: str, fail: Fail) -> None:
    done = await privacy.forget(store, demo, [owner], Act("demo", Way.COMMAND))
    left = await privacy.report(store, demo, [owner])
    if not done.rewritten or left.rewritten or left.removed:
        raise fail("somebody was not forgotten")
    rows = sum(done.rewritten.values()) + sum(done.removed.values())
    out.print(f"  privacy forget: {rows} rows named an owner, none does now; the audit log stays.", markup=False)

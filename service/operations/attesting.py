"""Certificates of what is mirrored: make one, and check one against a store or another certificate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta, Struct

from service import __version__
from service.changes import Container
from service.errors import UsageError
from service.mirror import schema
from service.mirror.store import Store
from service.operations.acting import Unknown
from service.queries import attesting
from service.settings.model import Settings
from service.settings.scope import Scope
from service.text import certificates
from service.text.certificates import CertificateInvalid
from service.text.digest_tree import Sorting, Things, Tree, compare, differing
from service.text.documents import fitted

#: How certificates name their form.
_FORM = "catalog-mirror attestation 1"
#: Buckets that are looked into for what differs, and things that are told.
MAX_BUCKETS, MAX_THINGS = 5, 20


class ContainerUnknown(Unknown):
    """The mirror has no container {container!r}."""

    remedy = "`SELECT container_id, name FROM v1_containers` tells which there are."


_Digest = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
_Bucket = Annotated[str, Meta(pattern="^[0-9a-f]{3}$")]


class _Of(Struct, frozen=True):
    id: str


class _Product(Struct, frozen=True):
    version: str


class _Gap(Struct, frozen=True):
    detail: str


class _Reading(Struct, frozen=True):
    complete_as_of: str | None


class _Digests(Struct, frozen=True):
    root: str
    buckets: dict[_Bucket, _Digest]


class _Certificate(Struct, frozen=True):
    """Of a certificate, what a check needs."""

    form: Literal["catalog-mirror attestation 1"]
    container: _Of
    product: _Product
    schema: str | None
    things: dict[str, int]
    readings: dict[str, _Reading]
    gaps: list[_Gap]
    tree: _Digests

    @property
    def total(self) -> int:
        """How many things."""
        return self.things.get("total", 0)


@dataclass(frozen=True, slots=True)
class Checked:
    """How a store, or another certificate, stands to a certificate."""

    container: str
    is_equal: bool
    #: The fingerprint of the key that signed the certificate, and whether somebody said that it is the right one.
    signed_by: str
    is_trusted: bool
    #: Things that differ, the first of them; of what is not known which, those that may.
    things: list[dict[str, Any]]
    #: The things are known one by one; else they are all that share a bucket with one that differs.
    is_exact: bool
    #: Buckets that differ, at most so many as were looked into, and digests of each tree that were looked at.
    buckets: list[str]
    steps: int
    #: Rows of the store, and lines of files of things, that were read.
    rows_read: int
    lines_read: int
    #: What else is otherwise: versions, counts.
    remarks: list[str]


async def make(
    store: Store, settings: Settings, container_id: str, key: Ed25519PrivateKey, things: Path | None = None
) -> bytes:
    """A signed certificate of a container, of one moment.

    Args:
        things: where to write its things one by one, by which a check names what differs.

    Raises:
        ContainerUnknown: the mirror does not have it.
    """
    sorting = Sorting() if things else None
    try:
        async with store.reading() as connection:
            await attesting.as_of_now(connection)
            row = await attesting.container_row(connection, container_id)
            if row is None:
                raise ContainerUnknown(container=container_id)
            found = await attesting.attested(connection, container_id, sorting.add if sorting else None)
            trust = await attesting.reliability(connection, container_id)
            made_at = (await connection.execute(sa.select(store.now()))).scalar_one()
        if sorting and things:
            sorting.write(things)
    finally:
        if sorting:
            sorting.close()
    content = {
        "form": _FORM,
        "container": {"kind": row.kind, "id": container_id, "name": row.name, "is_deleted": row.deleted_at is not None},
        "made_at": made_at.isoformat(),
        "product": {"name": "catalog-mirror", "version": __version__},
        "schema": await schema.current(store),
        "things": {"total": found.counts.total(), **dict(sorted((+found.counts).items()))},
        "scope": _scope(settings, row.kind, container_id),
        **asdict(trust),
        "tree": {"root": found.tree.root, "buckets": dict(found.tree.buckets)},
    }
    return certificates.signed(content, key)


def _scope(settings: Settings, kind: Any, container_id: str) -> dict[str, Any]:
    """What settings leave out: nothing is attested of it."""
    chosen = settings.scope.model_dump(mode="json", exclude_defaults=True)
    return {
        "admits_container": Scope(settings.scope).admits_container(Container(kind, container_id)),
        "settings": chosen,
    }


async def check_store(
    store: Store, path: Path, trusted: Ed25519PublicKey | None = None, things: Path | None = None
) -> Checked:
    """Whether a store has exactly what a certificate says: every row of the container is read once.

    Raises:
        CertificateInvalid, StrangerSigned, ThingsDamaged: with what to do.
    """
    told, theirs, signer = _opened(path, trusted)
    container_id = told.container.id
    async with store.reading() as connection:
        await attesting.as_of_now(connection)
        found = await attesting.attested(connection, container_id)
        compared = compare(theirs, found.tree, MAX_BUCKETS)
        ours = await attesting.in_buckets(connection, container_id, compared.buckets) if compared.buckets else []
    rows = found.counts.total() * (2 if compared.buckets else 1)
    file = Things(things) if things and compared.buckets else None
    if file:
        named = differing(ours, [one for name in compared.buckets for one in file.bucket(name, theirs)])
    else:
        named = [{"kind": one.kind, "id": one.id, "how": "perhaps"} for one in ours]
    remarks = _remarks(told, __version__, await schema.current(store), found.counts.total())
    is_exact = file is not None or not compared.buckets
    return Checked(
        container_id, found.tree.root == theirs.root, signer, trusted is not None, named[:MAX_THINGS], is_exact,
        compared.buckets, compared.steps, rows, file.read if file else 0, remarks,
    )  # fmt: skip


def check_other(
    path: Path, other: Path, trusted: Ed25519PublicKey | None = None,
    things: Path | None = None, other_things: Path | None = None,
) -> Checked:  # fmt: skip
    """Whether two mirrors had the same, by the certificates of both: no row of either is read.

    Raises:
        CertificateInvalid, StrangerSigned, ThingsDamaged: with what to do.
    """
    if (things is None) is not (other_things is None):
        raise UsageError(problem="things are compared by the files of both certificates: --things and --against-things")
    (told, theirs, signer), (known, ours, _) = _opened(path, trusted), _opened(other, trusted)
    if told.container.id != known.container.id:
        raise UsageError(problem="the certificates are of different containers")
    compared = compare(theirs, ours, MAX_BUCKETS)
    named: list[dict[str, Any]] = []
    lines = 0
    if things and other_things:
        there, here = Things(things), Things(other_things)
        for name in compared.buckets:
            named += differing(here.bucket(name, ours), there.bucket(name, theirs))
        lines = there.read + here.read
    remarks = _remarks(told, known.product.version, known.schema, known.total)
    return Checked(
        told.container.id, ours.root == theirs.root, signer, trusted is not None, named[:MAX_THINGS],
        things is not None or not compared.buckets, compared.buckets, compared.steps, 0, lines, remarks,
    )  # fmt: skip


def _opened(path: Path, trusted: Ed25519PublicKey | None) -> tuple[_Certificate, Tree, str]:
    """A certificate, its tree, and who signed it."""
    raw, signer = certificates.opened(path, trusted)
    try:
        told = fitted(raw, _Certificate)
    except msgspec.ValidationError as error:
        raise CertificateInvalid(path=path, problem=f"it is no attestation of ours: {error}") from None
    tree = Tree(told.tree.buckets)
    if tree.root != told.tree.root:
        raise CertificateInvalid(path=path, problem="its tree does not fit its root")
    return told, tree, signer


def _remarks(told: _Certificate, version: str, revision: str | None, total: int) -> list[str]:
    """What is otherwise besides the things."""
    pairs = (
        ("product version", told.product.version, version),
        ("schema", told.schema, revision),
        ("number of things", told.total, total),
    )
    remarks = [f"{what}: {there} in the certificate, {here} here" for what, there, here in pairs if there != here]
    remarks += [f"the certificate's mirror had an open gap: {gap.detail}" for gap in told.gaps]
    unread = sorted(kind for kind, one in told.readings.items() if not one.complete_as_of)
    return remarks + ([f"never read whole in the certificate's mirror: {', '.join(unread)}"] if unread else [])

"""`attest`: a signed certificate of what is mirrored, and whether a mirror is what one says."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import Json, on_store, out, print_json, quiet_settings, show_table
from service.errors import UsageError
from service.operations import attesting
from service.operations.attesting import Checked
from service.text import certificates


def attest(
    container: Annotated[str | None, typer.Argument(help="Id of the container to make a certificate of.")] = None,
    key: Annotated[Path | None, typer.Option(help="The key that signs: a PEM file of Ed25519.")] = None,
    to: Annotated[Path | None, typer.Option(help="Where to write the certificate; else it is printed.")] = None,
    check: Annotated[Path | None, typer.Option(help="Check this certificate instead.")] = None,
    public_key: Annotated[Path | None, typer.Option(help="The key that has to have signed it: a PEM file.")] = None,
    things: Annotated[
        Path | None, typer.Option(help="A file of the things one by one, beside the certificate: written, or read.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Check against another mirror's certificate, not this store.")
    ] = None,
    against_things: Annotated[Path | None, typer.Option(help="The file of things beside that certificate.")] = None,
    as_json: Json = False,
) -> None:
    """Make a signed certificate of what is mirrored of a container, or check one.

    With --check the exit code is 1 where something differs.
    """
    if (container is None) is (check is None):
        raise UsageError(problem="name a container to make a certificate of, or a certificate by --check")
    if container is not None:
        _make(container, key, to, things)
    elif check is not None:
        _check(check, public_key, things, (against, against_things), as_json=as_json)


def _make(container: str, key: Path | None, to: Path | None, things: Path | None) -> None:
    if key is None:
        raise UsageError(problem="a certificate is signed: name the key by --key")
    signer, settings = certificates.private_key(key), quiet_settings()
    made = on_store(lambda store: attesting.make(store, settings, container, signer, things))
    if to is None:
        sys.stdout.buffer.write(made)
        return
    part = to.with_name(to.name + ".part")
    part.write_bytes(made)
    part.replace(to)
    out.print(f"{to}: signed by {certificates.fingerprint(signer.public_key())}.", markup=False, soft_wrap=True)


def _check(
    path: Path, public_key: Path | None, things: Path | None, other: tuple[Path | None, Path | None], *, as_json: bool
) -> None:
    trusted = certificates.public_key(public_key) if public_key else None
    against, against_things = other
    if against is not None:
        found = attesting.check_other(path, against, trusted, things, against_things)
    else:
        found = on_store(lambda store: attesting.check_store(store, path, trusted, things))
    print_json(asdict(found)) if as_json else _show(found)
    if not found.is_equal:
        raise typer.Exit(1)


def _show(found: Checked) -> None:
    trust = "the key that was given" if found.is_trusted else "which --public-key has to confirm"
    out.print(f"Signed by {found.signed_by}, {trust}.", markup=False, soft_wrap=True)
    verdict = "the same" if found.is_equal else "NOT the same"
    looked = f"{found.steps} digests looked at, {found.rows_read} rows and {found.lines_read} lines read"
    out.print(f"Container {found.container}: {verdict} ({looked}).", markup=False, soft_wrap=True)
    for remark in found.remarks:
        out.print(f"Note: {remark}.", markup=False, soft_wrap=True)
    if found.things:
        title = "What differs first" if found.is_exact else "What differs is among these"
        rows = [(one["kind"], one["id"], one["how"]) for one in found.things]
        show_table(title, ("kind", "id", "how"), rows, "")

"""`docs …`: reference made from the code, so that it cannot be out of date."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

import typer
import yaml
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from service.cli import asyncapi, reference
from service.cli import views as described
from service.cli.common import Json, print_json
from service.http import openapi
from service.http.admin import openapi as admin_openapi
from service.pipeline.building import router_of
from service.settings.model import Section, Settings, TargetSettings, load
from service.settings.sources import PREFIX

app = typer.Typer(help="Reference, made from the code.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Reference, made from the code."""


@app.command("settings")
def settings(as_json: Json = False) -> None:
    """Print every setting with its default and meaning, as Markdown."""
    if as_json:
        print_json([row for _, rows in sections() for row in rows])
    else:
        typer.echo(markdown(), nl=False)


@app.command("views")
def views() -> None:
    """Print every view of the mirror with its columns, as Markdown."""
    typer.echo(described.markdown(), nl=False)


@app.command("dbt")
def dbt() -> None:
    """Print the views as a dbt source (sources.yml), with tests."""
    typer.echo(described.dbt_sources(), nl=False)


@app.command("commands")
def commands(context: typer.Context) -> None:
    """Print every command with its arguments and options, as Markdown."""
    typer.echo(reference.commands(context.find_root().command), nl=False)


@app.command("metrics")
def metrics() -> None:
    """Print every metric with its labels, as Markdown."""
    typer.echo(reference.metrics(), nl=False)


@app.command("tables")
def tables() -> None:
    """Print every table with its columns, as Markdown."""
    typer.echo(reference.tables(), nl=False)


@app.command("topics")
def topics() -> None:
    """Print every topic with the handler that takes it, as Markdown."""
    typer.echo(reference.topics(), nl=False)


@app.command("endpoints")
def endpoints() -> None:
    """Print every endpoint of probes, metrics and API, as Markdown."""
    typer.echo(reference.endpoints(), nl=False)


@app.command("asyncapi")
def asyncapi_document(as_json: Json = False) -> None:
    """Print what is taken from the broker and given to it, as an AsyncAPI 3 document, with these settings."""
    settings = load()
    made = asyncapi.document(router_of(settings).routes, settings)
    if as_json:
        print_json(made)
    else:
        typer.echo(yaml.safe_dump(made, sort_keys=False, width=110, allow_unicode=True), nl=False)


@app.command("openapi")
def openapi_document(
    admin: Annotated[
        bool, typer.Option("--admin", help="The admin API, as /api/admin/openapi.json serves it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print the API as an OpenAPI 3.1 document, as `/openapi.json` serves it."""
    made = admin_openapi.document() if admin else openapi.document()
    if as_json:
        print_json(made)
    else:
        typer.echo(yaml.dump(made, Dumper=_WithoutAliases, sort_keys=False, width=110, allow_unicode=True), nl=False)


class _WithoutAliases(yaml.SafeDumper):
    """Writes what occurs twice twice: readers of OpenAPI expect no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        """All of them."""
        return True


def sections() -> Iterator[tuple[type[Section], list[dict[str, Any]]]]:
    """Each section with its settings."""
    for name, field in Settings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            yield model, [_row(name.upper(), key, member) for key, member in model.model_fields.items()]
    rows = [_row("TARGETS__<NAME>", key, member) for key, member in TargetSettings.model_fields.items()]
    yield TargetSettings, rows


def _row(section: str, key: str, field: FieldInfo) -> dict[str, Any]:
    name = f"{PREFIX}{section}__{(field.alias or key).upper()}"
    return {
        "name": name,
        "default": _default(field),
        "secret": _holds_secret(field.annotation),
        "meaning": field.description or "",
    }


def _default(field: FieldInfo) -> Any:
    value = field.default
    if value is PydanticUndefined or value is None:
        return None
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value


def _holds_secret(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_holds_secret(part) for part in get_args(annotation))
    return annotation is SecretStr


def markdown() -> str:
    """The reference as Markdown."""
    lines = [
        "# Settings",
        "",
        "Made by `catalog-mirror docs settings`. Every setting is an environment variable; the YAML file that",
        "`CATALOG_MIRROR_CONFIG` names holds the same names in lower case, by section. The environment wins. Any",
        "setting of a section may also come from a file: append `_FILE` to its name and give the path (not for",
        "targets). A file in `$CREDENTIALS_DIRECTORY` that is called like a variable sets what the variable would; one",
        "for a setting that names a file is that file. [How secrets rotate](production.md#secrets-that-rotate).",
    ]
    for model, rows in sections():
        doc = (model.__doc__ or "").strip()
        lines += ["", f"## {doc}", "", "| setting | default | meaning |", "| --- | --- | --- |"]
        for row in rows:
            default = "" if row["default"] is None else f"`{json.dumps(row['default'], default=str)}`"
            meaning = str(row["meaning"]).replace("|", "\\|")
            lines.append(f"| `{row['name']}` | {default} | {meaning} |")
    return "\n".join(lines) + "\n"

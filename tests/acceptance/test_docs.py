"""The documents: every command in them runs, every reference is what the code says, every link leads somewhere."""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from service.cli import app, views
from service.cli.docs import markdown
from service.mirror.described import VIEWS
from service.pipeline.routing import Router, installed_handlers

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("[A-Z]*.md"), *(ROOT / "docs").glob("*.md")])
#: The page whose commands need a catalog.
READING = "reading.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def _blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind == language]


def _commands(page: Path) -> list[str]:
    """The commands of its scripts, each with its lines: those after a backslash, and what it reads (heredocs)."""
    commands: list[str] = []
    lines = iter("\n".join(_blocks(page, "sh")).splitlines())
    for line in lines:
        command = [line]
        while command[-1].endswith("\\"):
            command.append(next(lines))
        for end in re.findall(r"<<-?'?\"?(\w+)", "\n".join(command)):
            command.append(next(lines))
            while command[-1] != end:
                command.append(next(lines))
        commands.append("\n".join(command))
    return commands


def _own_commands(page: Path) -> list[str]:
    """Each of its commands once, without those that a page before it has too: they run there."""
    before = {command for other in PAGES[: PAGES.index(page)] for command in _commands(other)}
    return [command for command in dict.fromkeys(_commands(page)) if command not in before]


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "sh")], ids=lambda page: page.name)
async def test_every_command_of_a_page_runs(
    page: Path,
    catalog: Any,
    amqp_url: str,
    tmp_path: Path,
    pocket_settings: dict[str, str],
    commands_path: str,
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_MIRROR_")}
    environment |= {
        "PATH": commands_path,
        "CATALOG_MIRROR_AMQP__URL": amqp_url,
        "CATALOG_MIRROR_STORE__URL": f"sqlite:///{tmp_path / 'mirror.db'}",
    }
    if page.name == READING:
        environment |= {f"CATALOG_MIRROR_{name}": value for name, value in pocket_settings.items()}
    script = "\n".join(["catalog-mirror db upgrade", *_own_commands(page)])
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, cwd=tmp_path, env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "sql")], ids=lambda page: page.name)
async def test_every_query_of_a_page_runs(
    page: Path, store_url: str, run_command: Callable[..., Any], rows_of: Callable[..., Any]
) -> None:
    await run_command("db", "upgrade", STORE__URL=store_url)
    for query in _blocks(page, "sql"):
        await rows_of(store_url).all(query)


@pytest.mark.parametrize("page", [page for page in PAGES if _blocks(page, "python")], ids=lambda page: page.name)
def test_every_python_example_compiles_and_imports(page: Path) -> None:
    for example in _blocks(page, "python"):
        exec(compile(example, page.name, "exec"), {})  # noqa: S102 (our own pages)


def test_the_two_commands_of_the_readme_are_targets_of_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    commands = re.findall(r"^\$ make (\w+)", "\n".join(_blocks(ROOT / "README.md", "console")), re.M)
    assert commands == ["demo", "test"]
    assert all(re.search(rf"^{command}:", makefile, re.M) for command in commands)


@pytest.mark.parametrize("page", ["settings", "commands", "metrics", "tables", "topics", "endpoints"])
def test_every_page_of_reference_is_what_the_code_says(page: str) -> None:
    written = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["docs", page], prog_name="catalog-mirror").stdout == written, "run `make docs`"


@pytest.mark.parametrize(("file", "options"), [("openapi.yaml", []), ("openapi-admin.yaml", ["--admin"])])
def test_each_openapi_document_is_what_the_code_says(file: str, options: list[str]) -> None:
    written = (ROOT / "docs" / file).read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["docs", "openapi", *options]).stdout == written, "run `make docs`"


def test_the_asyncapi_document_is_what_the_code_says() -> None:
    written = (ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")
    assert CliRunner().invoke(app, ["docs", "asyncapi"]).stdout == written, "run `make docs`"
    document = yaml.safe_load(written)
    taken = {
        channel["address"] for name, channel in document["channels"].items() if name not in {"lineageBack", "changes"}
    }
    assert len(taken) == len(Router(installed_handlers()).bindings())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_setting_of_a_page_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [link for link in links if link and "://" not in link and not (page.parent / link).exists()]
    assert missing == []
    known = markdown()
    named = set(re.findall(r"`(?:CATALOG_MIRROR_)?([A-Z]+__[A-Z_]+[A-Z])\b", text)) - {"TARGETS__CATALOG_LINEAGE__VIA"}
    unknown = [name for name in named if not name.startswith("TARGETS__") and f"CATALOG_MIRROR_{name}`" not in known]
    assert unknown == []


def test_the_views_are_described_as_the_code_says() -> None:
    page = (ROOT / "docs" / "mirror.md").read_text(encoding="utf-8")
    assert page.endswith("## The views\n\n" + views.markdown()), "append `catalog-mirror docs views` to docs/mirror.md"
    sources = (ROOT / "examples" / "dbt" / "sources.yml").read_text(encoding="utf-8")
    assert sources == views.dbt_sources(), "run `catalog-mirror docs dbt > examples/dbt/sources.yml`"


async def test_every_column_of_every_view_is_described(
    sqlite_url: str, run_command: Callable[..., Any], rows_of: Callable[..., Any]
) -> None:
    await run_command("db", "upgrade", STORE__URL=sqlite_url)
    rows = rows_of(sqlite_url)
    names = await rows.all("SELECT name FROM sqlite_master WHERE type = 'view' AND name LIKE 'v1%'")
    assert {name for (name,) in names} == set(VIEWS)
    for view in VIEWS.values():
        columns = await rows.all(f"SELECT name FROM pragma_table_info('{view.name}')")
        assert {name for (name,) in columns} == set(view.columns), view.name


def test_contributing_leads_to_a_passing_test_in_three_commands() -> None:
    [block] = _blocks(ROOT / "CONTRIBUTING.md", "console")
    commands = [line.removeprefix("$ ") for line in block.splitlines()]
    assert [command.split()[:2] for command in commands] == [["git", "clone"], ["make", "install"], ["make", "test"]]
    assert (ROOT / commands[2].split("ARGS=")[1]).is_dir()


def _command_paths() -> set[str]:
    return set(re.findall(r"^## catalog-mirror (.+)$", (ROOT / "docs" / "commands.md").read_text("utf-8"), re.M))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    known = _command_paths()
    groups = {path.split()[0] for path in known if " " in path}
    known |= {path.rpartition(" ")[0] for path in known if path.count(" ") > 1}  # a group within a group
    for first, second in re.findall(
        r"catalog-mirror ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+(?:-[a-z]+)*))?\b(?![:.]\d)", page.read_text("utf-8")
    ):
        if first in {"command", "sidecar", "test", "in", "helm", "and"}:  # prose, or a release of that name
            continue
        # A group that is a command as well, such as `lineage`, takes what its default command does.
        whole = f"{first} {second}".rstrip() if first in groups and first not in known else first
        assert whole in known, f"catalog-mirror {first} {second}"


def test_every_value_of_the_chart_that_a_page_names_exists() -> None:
    values = yaml.safe_load((ROOT / "helm" / "values.yaml").read_text("utf-8"))
    page = (ROOT / "docs" / "production.md").read_text("utf-8")
    named = {
        word
        for word in re.findall(r"`([a-z]\w+(?:\.[a-z]\w+)+)(?:\.…)?`", page)
        if not word.endswith((".md", ".yaml", ".crt"))
    }
    assert len(named) > 5
    for name in named:
        place = values
        for word in name.split("."):
            if word in {"container", "native"}:  # a named template
                break
            assert word in place, name
            place = place[word]

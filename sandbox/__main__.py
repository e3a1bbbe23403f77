"""`python -m sandbox`: the pocket systems, each on its own."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.catalog import access
from sandbox.catalog.feed import connect_feed
from sandbox.catalog.glossary import VALUES
from sandbox.catalog.history import History
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra
from sandbox.collibra.backend import serve as serve_collibra
from sandbox.openlineage.backend import PocketBackend
from sandbox.openlineage.backend import serve as serve_openlineage
from sandbox.pentaho import server as pentaho_server
from sandbox.pentaho.server import Job, PocketPentaho
from sandbox.pentaho.server import serve as serve_pentaho
from sandbox.webhook.receiver import Failure, PocketReceiver
from sandbox.webhook.receiver import serve as serve_webhook

#: Changes a second at most are made in so many turns; more are made together.
_TURNS_A_SECOND = 20

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Pocket versions of the remote systems, to try out.")


@app.callback()
def main() -> None:
    """Run one of them."""


@app.command()
def catalog(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 9080,
    host: Annotated[str, typer.Option(help="On which address to listen.")] = "127.0.0.1",
    assets: Annotated[
        int, typer.Option(min=0, help="How many assets there are; a million need no more memory.")
    ] = 1000,
    terms: Annotated[int, typer.Option(min=0, help="How many terms the glossary has beside a few.")] = 0,
    values: Annotated[int, typer.Option(min=0, help="How many values each reference data set has.")] = VALUES,
    seed: Annotated[int, typer.Option(help="The same seed gives the same catalog, and the same changes.")] = 0,
    amqp: Annotated[
        str | None, typer.Option(metavar="URL", help="Publish the catalog's events to this broker (amqp://…).")
    ] = None,
    changes_per_second: Annotated[
        float, typer.Option(min=0, help="Random changes that its users make meanwhile; 0 is a quiet catalog.")
    ] = 0.0,
    search_feed: Annotated[
        bool, typer.Option("--search-feed", help="Publish the feed of the search index too (not documented).")
    ] = False,
    index_lag: Annotated[float, typer.Option(min=0, help="Seconds by which searching lags behind.")] = 0.0,
) -> None:
    """Answer like a data catalog: its REST API in the documented shapes, traps included, over made-up assets.

    Point a mirror at it with CATALOG_MIRROR_CATALOG__URL and CATALOG_MIRROR_CATALOG__API_KEY as told on start. Tokens
    come from POST /identity/token, or POST /icp4d-api/v1/authorize with the user name that is told. Ctrl-C ends it.
    """
    pocket = PocketCatalog(seed, assets, terms=terms, values=values)
    pocket.knobs.search_feed, pocket.knobs.index_lag_s = search_feed, index_lag
    what = f"listen on {host}:{port}, or cannot reach the broker" if amqp else f"listen on {host}:{port}"
    _run(_live_catalog(pocket, host, port, amqp, changes_per_second), what)


@app.command()
def openlineage(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 5000,
    host: Annotated[str, typer.Option(help="On which address to listen.")] = "127.0.0.1",
    ibm: Annotated[bool, typer.Option("--ibm", help="Refuse what IBM's endpoint refuses.")] = False,
) -> None:
    """Take OpenLineage events as Marquez does, judge each by the schema, and print what came. Ctrl-C ends it."""
    backend = PocketBackend(ibm=ibm, told=lambda event: typer.echo(json.dumps(event)))
    _serve(serve_openlineage(backend, port, host), host, port, "Pocket OpenLineage backend at {url}")


@app.command()
def collibra(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 5100,
    host: Annotated[str, typer.Option(help="On which address to listen.")] = "127.0.0.1",
    delay: Annotated[float, typer.Option(min=0, help="Seconds before each answer to a submission.")] = 0.0,
    lose: Annotated[int, typer.Option(min=0, help="So many submissions are taken and never answered.")] = 0,
    busy: Annotated[int, typer.Option(min=0, help="So many submissions are answered with 429.")] = 0,
    broken: Annotated[int, typer.Option(min=0, help="So many submissions are taken and answered with 500.")] = 0,
    failing: Annotated[int, typer.Option(min=0, help="So many jobs end as Failed.")] = 0,
    step: Annotated[float, typer.Option(min=0, help="Seconds that a job rests in each status.")] = 1.0,
    token_life: Annotated[float, typer.Option(min=0, help="Seconds that the token which is told is good for.")] = 3600,
) -> None:
    """Take figures of popularity as Collibra documents it, judge them, and print what came. Ctrl-C ends it."""
    pocket = PocketCollibra(told=typer.echo)
    knobs = pocket.knobs
    knobs.delay_s, knobs.lost, knobs.failing, knobs.step_s, knobs.token_life_s = delay, lose, failing, step, token_life
    knobs.refusals, knobs.broken = [429] * busy, [500] * broken
    who = f"user {USERNAME}, password {PASSWORD}, or token {pocket.issue_token()}"
    _serve(serve_collibra(pocket, port, host), host, port, f"Pocket Collibra at {{url}}: {who}")


@app.command()
def pentaho(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 8090,
    host: Annotated[str, typer.Option(help="On which address to listen.")] = "127.0.0.1",
    delay: Annotated[float, typer.Option(min=0, help="Seconds that each answer takes.")] = 0.0,
    lost_answers: Annotated[int, typer.Option(min=0, help="The first jobs are taken, and their answers lost.")] = 0,
    failures: Annotated[str, typer.Option(help="The first calls are answered so: 429,503,500.")] = "",
    token_calls: Annotated[int | None, typer.Option(min=1, help="Calls after which a token has expired.")] = None,
) -> None:
    """Answer like Pentaho Data Catalog: sign-in and jobs, strict where its documents are; prints each job taken."""
    pocket = PocketPentaho(delay_s=delay, lost_answers=lost_answers, token_calls=token_calls, told=_tell_job)
    pocket.failures = [int(status) for status in failures.split(",") if status.strip()]
    who = f"user {pentaho_server.USERNAME}, password {pentaho_server.PASSWORD}"
    _serve(serve_pentaho(pocket, port, host), host, port, f"Pocket Pentaho at {{url}}, {who}")


@app.command()
def webhook(
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.")] = 8091,
    host: Annotated[str, typer.Option(help="On which address to listen.")] = "127.0.0.1",
    secret_file: Annotated[
        Path | None, typer.Option(help="Secrets, one a line: what none of them signed is refused.")
    ] = None,
    failures: Annotated[str, typer.Option(help="The first calls are answered so: 429,503,410.")] = "",
) -> None:
    """Take changes as CloudEvents, signed as Standard Webhooks says, judge them, and print each. Ctrl-C ends it."""
    secrets = secret_file.read_text(encoding="utf-8").split() if secret_file else []
    receiver = PocketReceiver(secrets, shows=lambda event: typer.echo(json.dumps(event)))
    receiver.failures = [Failure(int(status)) for status in failures.split(",") if status.strip()]
    _serve(serve_webhook(receiver, port, host), host, port, "Pocket receiver at {url}")


def _tell_job(job: Job) -> None:
    typer.echo(json.dumps({"job": job.job_id, "operation": job.path, "fields": sorted(job.body)}))


def _serve(served: AbstractAsyncContextManager[str], host: str, port: int, greeting: str) -> None:
    """Serve until it is ended, greeting with the URL."""

    async def run() -> None:
        async with served as url:
            typer.echo(greeting.format(url=url), err=True)
            await _until_ended()

    _run(run(), f"listen on {host}:{port}")


def _run(work: Coroutine[Any, Any, None], what: str) -> None:
    try:
        asyncio.run(work)
    except OSError as error:
        typer.echo(f"Cannot {what}: {error}. Try --port 0.", err=True)
        raise typer.Exit(1) from error


async def _until_ended() -> None:
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    await ended.wait()


async def _live_catalog(
    pocket: PocketCatalog, host: str, port: int, amqp: str | None, changes_per_second: float
) -> None:
    async with AsyncExitStack() as stack:
        if amqp is not None:
            pocket.sink = await stack.enter_async_context(connect_feed(amqp))
        base_url = await stack.enter_async_context(serve(pocket, port, host))
        typer.echo(_greeting(pocket, base_url, amqp))
        async with asyncio.TaskGroup() as tasks:
            users = tasks.create_task(_live(pocket, changes_per_second))
            await _until_ended()
            users.cancel()


async def _live(pocket: PocketCatalog, changes_per_second: float) -> None:
    """Let users change something at this pace."""
    history, due = History(pocket, pocket.seed), 0.0
    while changes_per_second > 0:
        due += changes_per_second / _TURNS_A_SECOND
        while due >= 1:
            history.step()
            due -= 1
        await asyncio.sleep(1 / _TURNS_A_SECOND)


def _greeting(pocket: PocketCatalog, base_url: str, amqp: str | None) -> str:
    """One line: where it listens, how to sign in, what it holds."""
    holds = ", ".join(
        f"{len(ids)} {kind}{'s' * (len(ids) != 1)}"
        for kind, ids in ((kind, pocket.container_ids(kind)) for kind in ("catalog", "project", "space"))
    )
    events = "publishing events" if amqp else "no events"
    return (
        f"Pocket catalog at {base_url}, API key {access.API_KEY} (user {access.USERNAME}): "
        f"{pocket.generator.count} assets in {holds}; seed {pocket.seed}, {events}"
    )


if __name__ == "__main__":
    app(prog_name="python -m sandbox")

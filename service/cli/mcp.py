"""`mcp`: answer an assistant that started us, by the Model Context Protocol over stdin and stdout."""

from __future__ import annotations

from importlib.util import find_spec

from service.cli.common import opened_store, quiet_settings, run_async
from service.errors import UsageError
from service.openlineage.renaming import Renaming


def mcp() -> None:
    """Answer an assistant over stdin and stdout (Model Context Protocol); everything it can ask only reads.

    Name this command in the assistant's settings. The API answers the same at `/mcp`.
    """
    if find_spec("mcp") is None:
        raise UsageError(
            "The protocol's SDK is not installed", "Install the extra: `pip install 'catalog-mirror[mcp]'`."
        )
    run_async(_serve())


async def _serve() -> None:
    from mcp.server.stdio import stdio_server

    from service.mcp.server import server_of

    settings = quiet_settings()
    async with opened_store(settings) as store, stdio_server() as (incoming, outgoing):
        server = server_of(store, Renaming(settings.lineage.names))
        await server.run(incoming, outgoing, server.create_initialization_options())

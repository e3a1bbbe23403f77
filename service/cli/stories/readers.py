"""Who may see what: two roles of one PostgreSQL, and each has rows of its own."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from pydantic import SecretStr

from sandbox import story
from sandbox.parts.errors import PartFailed, PartMissing
from sandbox.parts.process import off_loop
from sandbox.parts.providers import provide_postgres
from service.cli.common import opened_store, out, show_table
from service.cli.stories import Stage, said, take
from service.errors import UsageError
from service.mirror.readers import Reader
from service.mirror.store import Store
from service.operations import readers
from service.operations.acting import Act, Way
from service.settings.model import Settings, StoreSettings

_ACT = Act("demo", Way.COMMAND, "who may see what")
_PROFILES = sa.text("SELECT profile_id, container_id FROM v1_data_profiles ORDER BY profile_id")


async def tell(stage: Stage) -> None:
    """Whoever reads the catalog sees nothing of the project, and the other way round."""
    out.print("\nOne mirror on a PostgreSQL of its own, and two roles that each see one container of it.\n")
    try:
        async with off_loop(provide_postgres()) as server:
            name = f"readers_{uuid4().hex[:8]}"
            store = StoreSettings(url=SecretStr(server.create_database(name)))
            await _tell(stage, stage.settings.model_copy(update={"store": store}), name)
            server.drop_database(name)
    except (PartMissing, PartFailed) as error:
        raise UsageError(problem=f"this story is told on PostgreSQL: {str(error).rstrip('.')}") from None


async def _tell(stage: Stage, settings: Settings, name: str) -> None:
    seen: list[tuple[str, str, str]] = []
    # Roles are the server's, which may be somebody's: ours have names that nobody else gave.
    containers = {f"{name}_retail": story.CATALOG, f"{name}_onboarding": story.PROJECT}
    async with opened_store(settings, migrate=True) as store:
        await take(settings, store, (step for step in story.STEPS if "data_profiles" in step.routing_key))
        for role, container in containers.items():
            said(f"db reader {role} --container {container} --apply")
            await _execute(store, f"CREATE ROLE {role}")
            reader = readers.reader_of(settings, role, [container], nowhere=False)
            await readers.apply(settings, reader, _ACT)
            seen += [(role, *row) for row in await _seen(store, reader)]
            await readers.drop(settings, reader, _ACT)
            await _execute(store, f"DROP ROLE {role}")
    show_table("v1_data_profiles, as each sees it", ("role", "profile", "container"), seen, "")
    if [(role, place) for role, _, place in seen] != list(containers.items()):
        raise stage.fail("each role should see the profile of its own container")


async def _seen(store: Store, reader: Reader) -> list[tuple[str, str]]:
    """The profiles, in the eyes of a reader."""
    async with store.read() as connection:
        await connection.exec_driver_sql(f"SET LOCAL ROLE {reader.role}")
        await connection.exec_driver_sql(f"SET LOCAL search_path = {reader.own_schema}")
        return [(row.profile_id, row.container_id) for row in await connection.execute(_PROFILES)]


async def _execute(store: Store, statement: str) -> None:
    async with store.write() as connection:
        await connection.exec_driver_sql(statement)

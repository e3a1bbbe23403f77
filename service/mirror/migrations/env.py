"""Alembic's entry: runs the migrations on the connection that `service.mirror.schema` hands over."""

from alembic import context

from service.mirror.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=context.config.attributes.get("schema"),
)
context.run_migrations()

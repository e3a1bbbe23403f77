"""Alembic migrations; `0101` is the first of generation 01. Within a generation migrations only expand."""

"""Alembic migrations; `0101` is the first of generation 01. Within a generation migrations only expand.

A table may be in parts (`service.mirror.partitions`): storage settings are then those of its parts, and what is unique
in it has to hold the column that parts are made by.
"""

"""What the catalog's events and answers look like, as far as they were looked at."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Table, Text, false

from service.mirror.tables.columns import UtcTime, metadata

contract_sources = Table(
    "contract_sources", metadata,
    Column("source", Text, primary_key=True, comment="event and the shape of its topic, or answer and the endpoint"),
    Column("samples", BigInteger, nullable=False, comment="How many were looked at"),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("learnt_at", UtcTime, comment="From then on what is new is told; null: all of it is still the normal"),
    Column("is_new", Boolean, nullable=False, server_default=false(), comment="It came when others were learnt"),
)  # fmt: skip

contract_paths = Table(
    "contract_paths", metadata,
    Column("source", Text, primary_key=True),
    Column("path", Text, primary_key=True, comment="Names with dots; lists are [], maps *"),
    Column("type", Text, primary_key=True, comment="object, list, text, number, truth or null"),
    Column("seen", BigInteger, nullable=False, comment="In how many samples"),
    Column("last_sample", BigInteger, nullable=False, comment="The number of the last one, about"),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("is_normal", Boolean, nullable=False, comment="Learnt, or accepted by a person"),
    Column("example", Text, comment="What holds it, with types instead of values"),
)  # fmt: skip

"""What search looks through: one row per thing that can be found, made of other tables; and the words of names."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR

from service.mirror.tables.columns import UtcTime, metadata

search_things = Table(
    "search_things", metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", Text, nullable=False, comment="asset, data_set, artifact or container"),
    Column("thing_id", Text, nullable=False),
    Column("sort_name", Text().with_variant(Text(collation="C"), "postgresql"), nullable=False,
           comment="The words of its name, by which it is sorted"),
    Column("thing_type", Text, comment="Type of the asset or artifact, kind of the container"),
    Column("container_id", Text),
    Column("owner_id", Text),
    Column("labels", Text, comment="JSON: its tags, terms and classes, for counting"),
    Column("changed_at", UtcTime, comment="The moment of its state on the catalog's clock"),
    Column("source_at", UtcTime, nullable=False, comment="When the row was written that this is made of"),
    Column("words", Text().with_variant(TSVECTOR(), "postgresql"),
           comment="PostgreSQL: words of its name (A) and of the rest (B), marks of what it has (D)"),
    UniqueConstraint("kind", "thing_id", name="search_things_thing"),
    Index("search_things_name", "sort_name", "seq"),
    Index("search_things_words", "words", postgresql_using="gin"),
)  # fmt: skip

search_words = Table(
    "search_words", metadata,
    Column("word", Text, primary_key=True, comment="As names have it: what a mistyped word is compared with"),
)  # fmt: skip

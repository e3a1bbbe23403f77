"""What a mirrored profile takes on disk."""

from __future__ import annotations

import asyncpg

#: Tables with fewer rows per profile are the service's own, a row per target or replica.
_LEAST_ROWS = 0.01
_BYTES = """
SELECT sum(pg_total_relation_size(oid)) / (SELECT count(*) FROM data_profiles)
FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
    AND reltuples >= $1 * (SELECT count(*) FROM data_profiles)
"""


async def bytes_per_profile(store: str) -> float:
    """Bytes of all tables that hold something of profiles, with their indexes and TOAST tables, for each profile.

    Dead rows are removed first, and what they took at the end of a file given back; what is free within stays.
    """
    connection = await asyncpg.connect(store)
    try:
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
        return float(await connection.fetchval(_BYTES, _LEAST_ROWS))
    finally:
        await connection.close()

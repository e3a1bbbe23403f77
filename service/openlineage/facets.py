"""Which of a run's facets for one thing counts: the latest, as a whole; of one moment the one that says more. Pure."""

from __future__ import annotations

#: Bytes of a moment, and of how much a facet says.
_AT_BYTES, _LENGTH_BYTES = 8, 4


def version_of(at_us: int, text: bytes, digest: bytes) -> bytes:
    """The version of what a facet tells; it sorts bytewise, and the highest counts.

    Args:
        at_us: the moment of its event, in microseconds.
        text: all that it tells, canonical.
        digest: of the same length for all, over all that makes two of them differ.
    """
    moment = (at_us + (1 << 63)).to_bytes(_AT_BYTES, "big")
    return moment + len(text).to_bytes(_LENGTH_BYTES, "big") + digest

"""Popularity to Collibra: how often each asset was used in 30 days, and by how many; not the assets themselves."""

from service.targets.collibra.target import Collibra

__all__ = ["Collibra"]

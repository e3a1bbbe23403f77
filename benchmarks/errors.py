"""What can go wrong with a measurement."""

from __future__ import annotations


class BenchFailed(Exception):
    """A run did not do what it should have done, so its figures would be of something else."""

"""Catalog Mirror: keeps a live copy of a data catalog outside of it."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("catalog-mirror")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"

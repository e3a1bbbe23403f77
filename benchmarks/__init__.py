"""Measures how fast the service is, beside an empty consumer and beside the same job written the usual way.

`make bench` runs it; docs/benchmarks.md tells how to read and repeat it.
"""

"""Reading the catalog: everything at once, what changed, what differs, one thing again.

Comes in: pages of the catalog, requests to read again. Goes out: what differs from the mirror, to the pipeline. It may
not import the broker's rooms, targets, http or the process.
"""

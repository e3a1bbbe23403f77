"""The mirror: the store's tables, and everything that reads and writes them.

Comes in: changes, in batches. Goes out: what took effect, deliveries, dead letters, rows for questions. It may not
import the pipeline, the catalog, the broker or anything above.
"""

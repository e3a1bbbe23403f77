"""What becomes of an event, from bytes to its transaction.

Comes in: messages, and what was read of the catalog. Goes out: one committed transaction per batch, and fresh
deliveries to whoever takes them. It may not import broker, catalog, sync, targets or anything above.
"""

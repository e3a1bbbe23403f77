"""What arrives: messages, routing keys, and the typed bodies of every event family.

Comes in: bytes from the queue, JSON of answers. Goes out: changes, in the words of `service.changes`. Pure: no I/O; it
may not import the mirror's store, the pipeline or anything above.
"""

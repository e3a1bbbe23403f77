"""The catalog's broker: connections, topology, the consumer, the publisher, and the watchdog over them.

Comes in: deliveries of our queue. Goes out: batches to the pipeline, acknowledgements, messages that are confirmed.
It may not import the catalog's client, sync, targets or anything above.
"""

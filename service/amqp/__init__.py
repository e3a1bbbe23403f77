"""The catalog's broker: connections, topology, the consumer, the publisher, and the watchdog over them."""

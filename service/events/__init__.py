"""What arrives: messages, routing keys, and the typed bodies of every event family."""

"""What becomes of an event, from bytes to its transaction."""

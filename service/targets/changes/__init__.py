"""Changes as CloudEvents, to whoever wants to react: over HTTP, AMQP or Kafka (docs/changes.md)."""

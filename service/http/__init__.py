"""What the service shows over HTTP: probes and metrics."""

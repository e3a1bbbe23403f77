"""What the service says about itself: `logs`, `metrics` and `traces`.

Comes in: settings of log and traces. Goes out: log lines with stable names, numbers for
Prometheus, spans for a collector. It imports settings alone.
"""

"""What the service says about itself: `logs` and `metrics`.

Comes in: settings of the log. Goes out: log lines with stable names, numbers for Prometheus. It imports settings alone.
"""

"""Builds the parts, runs and stops them, says how they are.

Comes in: settings, signals. Goes out: a running service and its health. It may
not import the commands, which alone import it.
"""

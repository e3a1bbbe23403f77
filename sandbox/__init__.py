"""Pocket versions of the three remote systems, and private real parts, for the demo and the tests."""

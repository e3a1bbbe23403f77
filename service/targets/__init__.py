"""Destinations of changes: `base` says what a target is, `relay` brings deliveries there, every other module is one.

Comes in: deliveries from the store or from memory. Goes out: calls and messages, in order, with retries and circuits.
It may not import sync, http or the process.
"""

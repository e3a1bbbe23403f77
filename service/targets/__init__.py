"""Destinations of changes: `base` says what a target is, every other module is one."""

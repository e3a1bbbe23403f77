"""Builds the parts, runs and stops them, says how they are."""

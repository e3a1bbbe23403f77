"""JSON as it comes and is kept: documents, redaction, places in it, times.

Comes in: bytes and values from outside. Goes out: canonical documents without secrets, digests, typed values. It
imports only errors.
"""

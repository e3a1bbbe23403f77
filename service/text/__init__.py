"""JSON as it comes and is kept: documents, redaction, places in it, times."""

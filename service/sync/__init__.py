"""Reading the catalog: everything at once, what changed, what differs, one thing again."""

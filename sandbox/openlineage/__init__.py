"""A pocket OpenLineage backend: takes events as Marquez does, or as IBM's endpoint does with all its limits."""

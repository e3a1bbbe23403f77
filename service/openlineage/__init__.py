"""OpenLineage (https://openlineage.io/spec) and the catalog's lineage, each told in the words of the other.

Comes in: events of either kind. Goes out: events of the other. Pure, but for `resolving`, which asks the mirror for
names; it may not import the pipeline or anything above.
"""

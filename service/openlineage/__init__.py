"""OpenLineage (https://openlineage.io/spec) and the catalog's lineage, each told in the words of the other."""

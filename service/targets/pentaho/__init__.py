"""Pentaho Data Catalog: changes become jobs there, for what is linked (docs/pentaho.md)."""

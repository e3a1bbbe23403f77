"""A pocket Pentaho Data Catalog: its sign-in and its fourteen operations on jobs, strict where its documents are."""

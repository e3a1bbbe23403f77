"""What profiles found: figures of columns, their history, and what changed from one run to the next.

Comes in: profiles, and what their documents say. Goes out: rows of columns and classes, runs, drift. It imports
changes, tables and bulk writes; nothing of it reads the catalog.
"""

"""What can be asked of the mirror: the overview, search, an asset whole, an artifact whole, pages of views.

Comes in: plain values, a connection that reads. Goes out: dataclasses, every list of them bounded. It may not import
what serves the answers (HTTP, commands), nor what writes.
"""

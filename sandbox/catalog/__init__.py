"""A pocket catalog: answers the REST API of the real one in the documented shapes, its traps included.

`model.PocketCatalog` is the state and what users do to it, `server.serve` its face over HTTP, `feed.Feed` its events
on a broker, and `history.random_history` a long random life. It keeps to the documented contract (docs/contract.md)
and knows nothing of the mirror.
"""

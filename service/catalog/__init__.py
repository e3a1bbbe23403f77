"""The catalog's REST API: `client` calls it, `listings` reads what kinds declare, `paging` walks from page to page.

Comes in: declarations of kinds, ids, cursors. Goes out: pages and answers as they came, with their moment. It knows no
mirror, and may not import amqp, sync, targets or anything above.
"""

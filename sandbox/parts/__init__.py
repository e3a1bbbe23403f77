"""Private real parts: a broker, a database, a pooler and a proxy of one's own, for the demo, the tests and the bench.

They are context managers without a loop, so that session fixtures and commands alike can hold them. Their methods
block; inside a loop call them with `asyncio.to_thread`, and hold a whole part with `off_loop`.
"""

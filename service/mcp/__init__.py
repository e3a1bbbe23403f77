"""What assistants may ask by the Model Context Protocol: tools that only read, and the views as resources.

Comes in: calls of tools, over stdio or HTTP. Goes out: answers of `service.queries`, bounded, marked as data. It may
not import what serves it (HTTP, commands); the protocol's SDK is the extra `mcp`, and imported only where it is served.
"""

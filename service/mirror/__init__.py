"""The mirror: the store's tables, and everything that reads and writes them."""

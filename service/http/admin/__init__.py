"""The admin API: what the commands do, over HTTP, on an address and port of its own."""

"""Large tables in parts by the hash of their key, beside everybody who reads and writes them; PostgreSQL alone."""

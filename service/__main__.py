"""`python -m service` is the same as `catalog-mirror`."""

from service.cli import main

main()

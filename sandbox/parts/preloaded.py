"""Imported once by the process that commands are forked from (`prepared`): what they would import each."""

import gc
from importlib import import_module

from service.cli import PLACES

#: The story of `demo` brings all of the sandbox along.
_LEFT_OUT = ("demo:demo",)
for _place in PLACES.values():
    if _place not in _LEFT_OUT:
        import_module(f"service.cli.{_place.partition(':')[0]}")

# Whoever looks for garbage in a fork would touch, and so copy, all of this.
gc.collect()
gc.freeze()

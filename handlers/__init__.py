"""One module per event family; an event in, changes out; no I/O."""

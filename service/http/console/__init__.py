"""The console: pages for people who look, ask and steer, made on the server and served at `/`.

Each page is made of what `queries` answers and acts through `operations`, so it shows and does nothing that the
API does not. Pages work without scripts but for the drawn lineage, and scripts make them live. Nothing is loaded from
elsewhere.
"""

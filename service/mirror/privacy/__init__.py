"""People who ask to be forgotten: where they are in the store, taking them out, and who is not to come back."""

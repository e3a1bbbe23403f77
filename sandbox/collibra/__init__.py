"""A pocket Collibra: takes figures of popularity as its "Catalog Popularity" API documents it, and refuses the rest."""

"""The lineage graph: assets on one side, events on the other, never asset to asset; and the questions it answers."""

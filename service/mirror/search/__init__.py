"""What makes things findable: a document per thing, written behind the pipeline in batches, so that no event waits."""

"""A pocket receiver of changes: takes CloudEvents over HTTP, signed as Standard Webhooks says, and nothing else."""

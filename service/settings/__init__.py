"""What is set: sections and files, and what of the world they mean."""

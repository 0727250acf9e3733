"""Local models: the catalogue, pulling and verifying files, what is installed, and whose turn it is to run."""

"""Reading files: what kind they are by their content, and their text in blocks. Runs in a jailed child only."""

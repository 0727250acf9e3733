"""In which order deployments are tried, how sure we are of an answer, and what becomes of it. Pure functions only."""

"""Stands in for the build backend of a source package that is only looked into: none of its own code is run."""

"""Private documents: read, cut, found again, quoted, erased."""

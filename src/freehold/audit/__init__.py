"""The proof: an append-only transparency log in the C2SP tlog-tiles format, the egress journal, and their verifier."""

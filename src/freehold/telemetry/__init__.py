"""What the operator sees: metrics in Prometheus' text format, and logs without secrets or prompts."""

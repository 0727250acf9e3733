"""Where a labelled text may go: labels, how they join, and the rules that hold them against deployments. Pure."""

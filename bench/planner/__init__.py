"""Benchmarks of the planner: its forms against measured machines, beside what others use."""

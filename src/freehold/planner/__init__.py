"""Whether a model fits on a machine and how fast it would answer: pure functions over a hardware profile."""

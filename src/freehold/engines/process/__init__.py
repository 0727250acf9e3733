"""A child process of ours: what it gives up, whether it lives, and who starts it again. Knows no engine."""

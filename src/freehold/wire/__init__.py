"""The public formats (OpenAI, Anthropic): decode and encode, shared by ``api`` and ``engines``. Pure, no I/O."""

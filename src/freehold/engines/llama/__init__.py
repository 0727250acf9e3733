"""llama.cpp in a supervised child process: its worker, its jail, its supervisor, and the engine that talks to it."""

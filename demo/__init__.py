"""The main job, shown on real models: `make demo`."""

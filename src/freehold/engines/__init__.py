"""One adapter for each way to reach a model, all behind the ``Engine`` protocol of ``domain.ports``."""

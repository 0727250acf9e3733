"""How every model of onnxruntime is opened; loaded in a worker only."""

from __future__ import annotations

from typing import Any


def opened(model: str | bytes, *, threads: int) -> Any:
    """A session on the processor that computes with so many threads and tells nobody of it.

    Args:
        model: Path of an ONNX file, or what would be in one.
        threads: Computing threads.
    """
    import onnxruntime

    runtime: Any = onnxruntime
    # Some builds of onnxruntime write a device id and tell their publisher what runs. The jail lets neither through.
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that spin while they wait would take the cores from the gateway.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

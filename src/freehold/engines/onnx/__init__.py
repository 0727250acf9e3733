"""ONNX models that embed and rerank, in a supervised child process that computes and does nothing else."""

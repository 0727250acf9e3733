"""Write the weights of a GGUF file as a Hugging Face folder, for servers that read no GGUF.

``python tools/gguf_to_hf.py MODEL.gguf FOLDER``, in an environment with torch, transformers, gguf and accelerate.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is imported


def main(source: Path, folder: Path) -> None:
    """Dequantise to bfloat16; config, weights and tokenizer are in ``folder`` afterwards."""
    import torch  # pyright: ignore[reportMissingImports]  # not in the project's own environment
    from safetensors.torch import save_file  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoTokenizer  # pyright: ignore[reportMissingImports]

    place = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    model = AutoModelForCausalLM.from_pretrained(**place, dtype=torch.bfloat16)
    weights = model.state_dict()
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    # save_pretrained of the model refuses what was read from a GGUF, and the config would say that it is one still.
    model.config.__dict__.pop("quantization_config", None)
    model.config.architectures = [type(model).__name__]
    folder.mkdir(parents=True, exist_ok=True)
    model.config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    save_file({name: each.contiguous() for name, each in weights.items()}, folder / "model.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]))

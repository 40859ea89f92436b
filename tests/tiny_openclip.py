"""A tiny configuration of open_clip with random weights, as its user would have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file

SIZE_PX = 64
CONFIG: dict[str, Any] = {
    "embed_dim": 48,
    "vision_cfg": {
        "image_size": SIZE_PX, "layers": 2, "width": 64, "head_width": 32, "patch_size": 16,
    },
    "text_cfg": {
        "context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2,
    },
}  # fmt: skip


def tiny(folder: Path, *, name: str = "tiny", **changes: Any) -> tuple[Any, str]:
    """Save a model in `folder`; return it, and the spec that serves it."""
    torch.manual_seed(7)
    config = {**CONFIG, **changes}
    kind: Any = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    model = kind(**{key: value for key, value in config.items() if key != "custom_text"}).eval()
    # As trained ones: a text tower of random weights gives every text nearly one vector.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(3.0)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config))
    save_file(model.state_dict(), folder / f"{name}.safetensors")
    return model, f"openclip:{path}={folder}/{name}.safetensors"

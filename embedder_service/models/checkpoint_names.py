"""Names of weights in checkpoints: what is a wrapper, and what a classifier."""

from __future__ import annotations

# torch.compile and DistributedDataParallel write these in the midst of names too.
_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")

# Modules that classify, project for a loss, or are the loss: as training programs call them.
_HEADS = frozenset(
    (
        *("head", "heads", "head_dist", "fc", "classifier", "classifiers", "cls_head", "clf"),
        *("last_linear", "linear", "logits", "output", "out", "predictor", "projector"),
        *("projection_head", "criterion", "loss", "loss_fn", "metric", "arcface", "margin"),
        *("AuxLogits", "aux1", "aux2", "mask_token"),
    )
)


def without_wrappers(name: str) -> str:
    """Return `name` without the segments that wrappers add anywhere."""
    if not any(wrapper in name for wrapper in _WRAPPERS):
        return name
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def is_head(name: str, heads: tuple[str, ...]) -> bool:
    """Tell whether `name`, which the backbone has not, is of a classifier.

    `heads` are the paths of the backbone's own classifiers.
    """
    if any(name == path or name.startswith(f"{path}.") for path in heads):
        return True
    first, _, rest = name.partition(".")
    if first in _HEADS or first.endswith("_head"):
        return True
    # A classifier that was put beside or in place of the model's own, as in "head.fc2.weight".
    return bool(rest) and any(path.startswith(f"{first}.") for path in heads)

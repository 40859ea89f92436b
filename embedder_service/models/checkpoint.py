"""Weights from a file of the user's: any usual checkpoint of a fitting backbone.

Files are .safetensors or what torch.save wrote. Nothing pickled is executed: objects
beside the tensors become inert. What training frameworks put around weights is taken
off: dictionaries of several things, prefixes of names, and classifiers.
"""

from __future__ import annotations

import pickle
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from embedder_service.models.checkpoint_names import is_head, without_wrappers
from embedder_service.models.definition import ModelError

State = dict[str, Tensor]

# Where training programs keep weights, the averaged ones first, as timm reads them.
_NESTS = (
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "module_ema"),
    *("state_dict", "model_state_dict", "model_state", "model", "module", "network", "net"),
    *("backbone", "encoder", "weights", "params", "teacher", "student"),
)
_DEEPEST = 4
_TOLD = 3


def fill(
    network: nn.Module,
    path: Path,
    *,
    heads: tuple[str, ...],
    name: str,
    convert: Callable[[State, nn.Module], State | None] | None = None,
) -> None:
    """Load the weights of `path` into `network`, which has no classifier.

    `heads` are the paths where its classifiers were; `name` is what it is called.
    `convert` puts weights that do not fit under the network's own names, as timm does
    if it is left out.

    Raises:
        ModelError: the file cannot be read, or does not fit; it names what differs.
    """
    state = read_state(path, name)
    wanted = network.state_dict()
    fitted = _fitted(state, wanted, heads)
    misfit = _misfit(fitted, wanted)
    convert = convert or _by_timm
    if misfit and (converted := convert(state, network)) is not None:
        fitted = _fitted(converted, wanted, heads)
        misfit = misfit if _misfit(fitted, wanted) else ""
    if misfit:
        raise ModelError(f"{name} cannot be loaded from {path}: {misfit}")
    network.load_state_dict({**wanted, **fitted})


def read_state(path: Path, name: str) -> State:
    """Return the tensors that `path` holds for a model.

    Raises:
        ModelError: it cannot be read, or holds none.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
        # A length of 8 bytes, and JSON.
        content = _safe(path) if start[8:] == b"{" else _unpickled(path)
    except OSError as error:
        raise ModelError(f"cannot read the weights file {path}: {error.strerror}") from error
    except Exception as error:  # torch and safetensors raise many things on a damaged file
        cause = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{name} cannot be loaded from {path}: {cause}") from error
    state = _nested(content, _DEEPEST)
    if not state:
        raise ModelError(
            f"{name} cannot be loaded from {path}: it holds no dictionary of weights, "
            "but another object: save model.state_dict()"
        )
    return state


def _safe(path: Path) -> State:
    from safetensors.torch import load_file

    return load_file(path)


def _unpickled(path: Path) -> Any:
    """Return what torch.save wrote; objects that are no weights become `_Inert`."""
    unknown: list[Any] = []
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        unknown = [(_Inert, name) for name in names]
    except (RuntimeError, ValueError):
        pass  # the format before torch 1.6 lists no names; its weights load all the same
    with warnings.catch_warnings(), torch.serialization.safe_globals(unknown):
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            raise ValueError(
                "it holds objects beside the weights that are not loaded: save "
                "model.state_dict() alone"
            ) from error


class _Inert:
    """Stands for an object of a checkpoint that is not needed; it does nothing."""

    def __init__(self, *arguments: object, **named: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        pass


def _nested(content: object, depth: int) -> State:
    """Return the dictionary of tensors in `content`, empty if there is none."""
    if not isinstance(content, Mapping) or depth == 0:
        return {}
    for key in _NESTS:
        if isinstance(content.get(key), Mapping) and (inner := _nested(content[key], depth - 1)):
            return inner
    tensors = {
        str(name): value
        for name, value in content.items()
        if isinstance(value, Tensor) and not value.is_sparse
    }
    if tensors:
        return tensors
    # Under a name of its own; an optimizer's tensors are in many small dictionaries.
    inner_ones = (_nested(value, depth - 1) for value in content.values())
    return max(inner_ones, key=len, default={})


def _fitted(state: State, wanted: Mapping[str, Tensor], heads: tuple[str, ...]) -> State:
    """Return `state` under the network's own names, without classifiers."""
    plain = {without_wrappers(name): tensor for name, tensor in state.items()}
    prefix = _prefix(plain, wanted)
    inside = {
        name.removeprefix(prefix): tensor
        for name, tensor in plain.items()
        if name.startswith(prefix)
    }
    return {
        name: tensor
        for name, tensor in inside.items()
        if name in wanted or not is_head(name, heads)
    }


def _prefix(state: State, wanted: Mapping[str, Tensor]) -> str:
    """Return what stands before most of the names, the shortest of equals."""
    votes: Counter[str] = Counter()
    for name in state:
        parts = name.split(".")
        for cut in range(len(parts)):
            if ".".join(parts[cut:]) in wanted:
                votes["".join(f"{part}." for part in parts[:cut])] += 1
    return min(votes, key=lambda prefix: (-votes[prefix], len(prefix)), default="")


def _misfit(state: State, wanted: Mapping[str, Tensor]) -> str:
    """Say what differs first; empty if nothing does."""
    missing = [
        f"{name} {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name not in state and not name.endswith("num_batches_tracked")
    ]
    unknown = [f"{name} {list(state[name].shape)}" for name in state if name not in wanted]
    shapes = [
        f"{name} {list(state[name].shape)} where the network has {list(wanted[name].shape)}"
        for name in wanted
        if name in state and state[name].shape != wanted[name].shape
    ]
    told = [
        _first(missing, "of the network's weights are missing"),
        _first(unknown, "weights of the file are unknown to the network"),
        _first(shapes, "weights have another shape"),
    ]
    return "; ".join(filter(None, told))


def _first(names: list[str], what: str) -> str:
    if not names:
        return ""
    more = ", …" if len(names) > _TOLD else ""
    return f"{len(names):,} {what}: {', '.join(names[:_TOLD])}{more}"


def _by_timm(state: State, network: nn.Module) -> State | None:
    """Return `state` under timm's names, where timm knows the names of its publishers."""
    module = sys.modules[type(network).__module__]
    convert = getattr(module, "checkpoint_filter_fn", None)
    if convert is None:
        return None
    try:
        converted = convert(dict(state), network)
    except Exception:  # noqa: BLE001 - it expects one publisher's file; others break it anyhow
        return None
    return {name: tensor for name, tensor in converted.items() if isinstance(tensor, Tensor)}

"""Whether a library's own weights can be had, found out within seconds.

The libraries' downloads try again and again: without a network timm's take 47 seconds
and more to fail (measured). One question with a time limit is asked first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import torch

from embedder_service.models.definition import ModelError

_TIMEOUT_S = 5.0
# Looking up a name is not bounded by the timeout of a connection.
_PATIENCE_S = 8.0

# The names that timm and open_clip look for in a repository.
_HUB_FILES = (
    *("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors"),
    *("open_clip_pytorch_model.bin", "open_clip_pytorch_model.safetensors"),
)


def check_hub(model: str, repository: str, *files: str) -> None:
    """Raise unless weights of a Hugging Face repository are cached, or it answers.

    `files` are their names, where those are not the usual ones.

    Raises:
        ModelError: neither, and what to do.
    """
    import huggingface_hub

    place = repository.partition("@")[0]
    for file in files or _HUB_FILES:
        if isinstance(huggingface_hub.try_to_load_from_cache(place, file), str):
            return
    _ask(model, huggingface_hub.hf_hub_url(place, "config.json"))


def check_url(model: str, url: str) -> None:
    """Raise unless torch's cache holds the file of `url`, or its host answers.

    Raises:
        ModelError: neither, and what to do.
    """
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(url).path).name
    if not cached.is_file():
        _ask(model, url)


def without(model: str, cause: str) -> str:
    """Say what to do where the weights of `model` cannot be had."""
    return (
        f"{model} has no weights here and they cannot be downloaded ({cause}): "
        f"give a file, as in {model}=FILE"
    )


def _ask(model: str, url: str) -> None:
    causes: list[str] = []
    asking = threading.Thread(target=_into(causes, lambda: _head(url)), daemon=True)
    asking.start()
    asking.join(_PATIENCE_S)
    if asking.is_alive():
        causes.append(f"{urlsplit(url).hostname} does not answer")
    if causes:
        raise ModelError(without(model, causes[0]))


def _into(causes: list[str], call: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        try:
            call()
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            causes.append(str(getattr(reason, "strerror", None) or reason))

    return run


def _head(url: str) -> None:
    """Return if the server says anything: what that means is told by the download itself."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=_TIMEOUT_S):  # noqa: S310 - https, from the library
            return
    except HTTPError as error:
        error.close()
        if error.code in (407, 502, 503, 504):
            raise OSError(f"{urlsplit(url).hostname} answers with {error.code}") from error

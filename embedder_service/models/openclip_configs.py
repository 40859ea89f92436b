"""Configurations of open_clip, and where the weights of each are."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedder_service.models import downloads
from embedder_service.models.definition import ModelError
from embedder_service.models.spec import ModelSpec

# The words of the tokenizer that open_clip ships.
_VOCABULARY = 49_408
# Names that a message tells of many.
_TOLD = 6
_PREPROCESSING = ("mean", "std", "interpolation", "resize_mode")


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration: open_clip's `model_cfg`, and how pictures are made; of 0..1.

    `published` is what open_clip knows of the weights of a tag, empty without one.
    """

    spec: ModelSpec
    model: Mapping[str, Any]
    published: Mapping[str, Any]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str
    resize_mode: str

    def weights_file(self) -> Path:
        """Return the file of weights, downloaded only if a tag asks for that.

        Raises:
            ModelError: there is none, or it cannot be had.
        """
        if self.spec.weights is not None:
            return self.spec.weights
        name = self.spec.model
        if not self.published:
            tags = _named(_tags(self.spec))
            more = f"; or have one of its own downloaded, as {name}@tag:TAG: {tags}" if tags else ""
            raise ModelError(f"{name} has no weights: give a file, as in {name}=FILE{more}")
        return _downloaded(self.spec, self.published)


def library() -> Any:
    """Return open_clip, which has no types.

    Raises:
        ModelError: it is not installed.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ModelError("open_clip is not installed: pip install 'lookalike[text]'") from error
    return open_clip


def read_config(spec: ModelSpec) -> Config:
    """Return the configuration that `spec` names.

    Raises:
        ModelError: there is none, or one that is not supported.
    """
    if spec.architecture.endswith(".json"):
        model, pictures = _of_file(spec)
    else:
        model, pictures = _of_library(spec)
    _check(spec, model)
    published = _published(spec, model)
    defaults = library().transform.PreprocessCfg()
    chosen = {key: getattr(defaults, key) for key in _PREPROCESSING}
    chosen |= published or pictures
    try:
        return Config(
            spec=spec,
            model=model,
            published=published,
            mean=_triple(chosen["mean"]),
            std=_triple(chosen["std"]),
            interpolation=str(chosen["interpolation"]),
            resize_mode=str(chosen["resize_mode"]),
        )
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{spec.model}: mean and std of preprocess_cfg are three numbers"
        ) from error


def _of_library(spec: ModelSpec) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    name = _library_name(spec)
    model = library().get_model_config(name) if ":" not in name else None
    if model is None:
        near = difflib.get_close_matches(name, library().list_models(), n=_TOLD)
        known = f", but {', '.join(near)}" if near else ""
        raise ModelError(
            f"open_clip has no configuration {spec.architecture}{known}; one of your own is a "
            "file, openclip:FILE.json=WEIGHTS"
        )
    return model, {} if spec.options.tag else _agreed(spec)


def _agreed(spec: ModelSpec) -> Mapping[str, Any]:
    """Return the preprocessing that all published weights of a name share.

    Weights say nothing of it, and a wrong one is never noticed: so where the published
    ones differ, a tag must say.
    """
    ways: dict[str, list[str]] = {}
    for tag in _tags(spec):
        ways.setdefault(json.dumps(_pictures(spec, tag), sort_keys=True), []).append(tag)
    if len(ways) > 1:
        tags = ", ".join(each[0] for each in ways.values())
        raise ModelError(
            f"the published weights of {spec.model} take pictures that are made in different "
            f"ways: say which, by the tag of weights that yours are like: @tag:{tags}"
        )
    return next((json.loads(way) for way in ways), {})


def _pictures(spec: ModelSpec, tag: str) -> dict[str, Any]:
    known = library().pretrained.get_pretrained_cfg(_library_name(spec), tag)
    return {key: known[key] for key in _PREPROCESSING if key in known}


def _published(spec: ModelSpec, model: Mapping[str, Any]) -> Mapping[str, Any]:
    tag = spec.options.tag
    if not tag:
        return {}
    known = library().pretrained.get_pretrained_cfg(_library_name(spec), tag)
    if not known:
        tags = _tags(spec)
        said = f"its tags are {_named(tags)}" if tags else "it has none: leave it away"
        raise ModelError(f"{spec.model} has no weights with the tag {tag}; {said}")
    if bool(known.get("quick_gelu")) != bool(model.get("quick_gelu")):
        other = f"{_library_name(spec)}-quickgelu".replace("-quickgelu-quickgelu", "")
        raise ModelError(
            f"the weights {tag} of {spec.model} were trained with another activation: "
            f"write openclip:{other}@tag:{tag}"
        )
    return dict(known)


def _of_file(spec: ModelSpec) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    path = Path(spec.architecture)
    try:
        content: Any = json.loads(path.read_text())
    except OSError as error:
        raise ModelError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:
        raise ModelError(f"the configuration {path} is no JSON") from error
    whole = content if isinstance(content, dict) else {}
    model = whole.get("model_cfg", whole)
    parts = {"vision_cfg": dict, "text_cfg": dict, "embed_dim": int}
    if not isinstance(model, dict) or not all(
        isinstance(model.get(key), kind) for key, kind in parts.items()
    ):
        raise ModelError(
            f"{path} is no configuration of open_clip: it needs embed_dim, vision_cfg and text_cfg"
        )
    pictures = whole.get("preprocess_cfg") or {}
    return model, {key: pictures[key] for key in _PREPROCESSING if key in pictures}


def _check(spec: ModelSpec, model: Mapping[str, Any]) -> None:
    """Raise unless the text tower runs on what open_clip ships."""
    text = model["text_cfg"]
    hub = text.get("hf_tokenizer_name") or text.get("hf_model_name")
    if hub:
        raise ModelError(
            f"{spec.model} reads words with the tokenizer {hub}, which would have to be "
            "downloaded: only configurations with open_clip's own tokenizer are served"
        )
    if (text.get("tokenizer_kwargs") or {}).get("reduction_mask"):
        raise ModelError(f"{spec.model} leaves words out at random, which gives no one vector")
    if int(text.get("vocab_size", _VOCABULARY)) < _VOCABULARY:
        raise ModelError(
            f"{spec.model} knows {text['vocab_size']:,} tokens; open_clip's own tokenizer has "
            f"{_VOCABULARY:,}"
        )


def _library_name(spec: ModelSpec) -> str:
    return spec.architecture.replace("/", "-")


def _tags(spec: ModelSpec) -> list[str]:
    tags: list[str] = library().list_pretrained_tags_by_model(_library_name(spec))
    return tags


def _named(tags: list[str]) -> str:
    return ", ".join(tags[:_TOLD]) + (", …" if len(tags) > _TOLD else "")


def _triple(value: Any) -> tuple[float, float, float]:
    red, green, blue = (float(part) for part in value)
    return red, green, blue


def _downloaded(spec: ModelSpec, published: Mapping[str, Any]) -> Path:
    model = f"{spec.model}@tag:{spec.options.tag}"
    hub = str(published.get("hf_hub") or "")
    if hub:
        place, _, file = hub.rpartition("/")
        downloads.check_hub(model, place, *([file] if file else []))
    else:
        downloads.check_url(model, str(published.get("url")))
    try:
        return Path(library().pretrained.download_pretrained(dict(published)))
    except (RuntimeError, ValueError, OSError) as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(downloads.without(model, cause)) from error

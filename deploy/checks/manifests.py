"""What manifests are held to: schemas without unknown keys, and settings that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
from cloudcoil.models.keda.v1alpha1 import ScaledObject, TriggerAuthentication
from cloudcoil.models.prometheus_operator.v1 import PrometheusRule, ServiceMonitor
from pydantic import ValidationError

from deploy.checks import ray_cluster

# Kinds that Kubernetes itself does not know.
FOREIGN = {
    "ScaledObject": ScaledObject,
    "TriggerAuthentication": TriggerAuthentication,
    "ServiceMonitor": ServiceMonitor,
    "PrometheusRule": PrometheusRule,
}
# Kinds that no package has schemas of, and that are held to what is known of them here.
KNOWN_HERE = {"RayCluster": ray_cluster.errors}
# All that the chart can make, but for dashboards, which are files beside it.
EXPECTED = {
    *FOREIGN,
    *KNOWN_HERE,
    "CronJob",
    "Deployment",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "Service",
    "ServiceAccount",
    "StatefulSet",
}


def schema_errors(document: dict[str, Any], versions: Sequence[str]) -> list[str]:
    """Return what is wrong with a manifest, in each version of Kubernetes."""
    if document["kind"] in FOREIGN:
        return list(_foreign_errors(document))
    if known := KNOWN_HERE.get(document["kind"]):
        errors, pods = known(document)
        documents = pods
    else:
        errors, documents = [], [document]
    for each in documents:
        errors += _kubernetes_errors(each, versions)
    return errors


def _kubernetes_errors(document: dict[str, Any], versions: Sequence[str]) -> list[str]:
    errors = []
    for version in versions:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            place = ".".join(str(each) for each in error.path)
            errors.append(f"Kubernetes {version}: {place}: {error.message}")
    return errors


def _foreign_errors(document: dict[str, Any]) -> Iterator[str]:
    model = FOREIGN[document["kind"]]
    try:
        read = model.model_validate(document)
    except ValidationError as error:
        for each in error.errors():
            yield f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
        return
    # The model leaves out what it does not know.
    known = read.model_dump(by_alias=True, exclude_unset=True, mode="json")
    yield from _unknown(document, known, "")


def _unknown(given: Any, known: Any, place: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(known, dict):
        for key, value in given.items():
            if key not in known:
                yield f"{place}{key} is not known"
            else:
                yield from _unknown(value, known[key], f"{place}{key}.")
    elif isinstance(given, list) and isinstance(known, list):
        for index, (one, other) in enumerate(zip(given, known, strict=True)):
            yield from _unknown(one, other, f"{place}{index}.")


def declared_settings(page: Path) -> set[str]:
    """Return the variables that the page of settings lists."""
    text = page.read_text(encoding="utf-8")
    names = set(re.findall(r"`(LOOKALIKE_[A-Z_]+)`", text))
    for section in re.findall(r"<!-- begin .*?<!-- end", text, flags=re.DOTALL):
        prefix = re.search(r"`(LOOKALIKE_[A-Z]+_)<OPTION>`", section)
        if prefix is None:
            raise ValueError(f"{page}: a table does not say what its variables begin with")
        for option in re.findall(r"^\| `--([a-z0-9-]+)`", section, flags=re.MULTILINE):
            names.add(prefix[1] + option.replace("-", "_").upper())
    return names


def unknown_variables(document: dict[str, Any], settings: set[str]) -> list[str]:
    """Return our variables in a manifest that are no settings, and those that it gives twice."""
    errors = []
    for container in _containers(document):
        names = [each["name"] for each in container.get("env", [])]
        for name in sorted(set(names)):
            if name.startswith("LOOKALIKE_") and name not in settings:
                errors.append(f"{name} is no setting")
            if names.count(name) > 1:
                errors.append(f"{name} is given twice")
    return errors


def _containers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield from node.get("containers", []) if isinstance(node.get("containers"), list) else []
        for value in node.values():
            yield from _containers(value)
    elif isinstance(node, list):
        for value in node:
            yield from _containers(value)

"""What a RayCluster of KubeRay (`ray.io/v1`) is held to: its own fields by name and kind, and
its pods, which the schemas of Kubernetes know.

The fields are those of ray-operator/apis/ray/v1/raycluster_types.go that the manifests use.
"""

from __future__ import annotations

from typing import Any

_SPEC: dict[str, type] = {
    "rayVersion": str,
    "authOptions": dict,
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": dict,
    "gcsFaultToleranceOptions": dict,
    "headGroupSpec": dict,
    "workerGroupSpecs": list,
}
_AUTH: dict[str, type] = {"mode": str}
_AUTOSCALER: dict[str, type] = {"upscalingMode": str, "idleTimeoutSeconds": int}
_FAULT_TOLERANCE: dict[str, type] = {"redisAddress": str, "redisPassword": dict}
_HEAD: dict[str, type] = {"rayStartParams": dict, "template": dict}
_WORKERS: dict[str, type] = {
    **_HEAD,
    "groupName": str,
    "replicas": int,
    "minReplicas": int,
    "maxReplicas": int,
}


def errors(document: dict[str, Any]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return what is wrong with a RayCluster, and its pods as documents of their own."""
    if document["apiVersion"] != "ray.io/v1":
        return [f"apiVersion {document['apiVersion']} is not ray.io/v1"], []
    spec = document["spec"]
    groups = [("headGroupSpec", spec.get("headGroupSpec", {}), _HEAD)]
    for number, group in enumerate(spec.get("workerGroupSpecs", [])):
        groups.append((f"workerGroupSpecs.{number}", group, _WORKERS))
    wrong = _unlike("spec", spec, _SPEC)
    wrong += _unlike("authOptions", spec.get("authOptions", {}), _AUTH)
    wrong += _unlike("autoscalerOptions", spec.get("autoscalerOptions", {}), _AUTOSCALER)
    fault_tolerance = spec.get("gcsFaultToleranceOptions", {})
    wrong += _unlike("gcsFaultToleranceOptions", fault_tolerance, _FAULT_TOLERANCE)
    pods = []
    for place, group, fields in groups:
        wrong += _unlike(place, group, fields)
        for name, value in group.get("rayStartParams", {}).items():
            if not isinstance(value, str):
                wrong.append(f"{place}.rayStartParams.{name} must be a text")
        metadata = {"name": place.lower(), **group["template"].get("metadata", {})}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
        pods.append({**pod, "spec": group["template"].get("spec", {})})
    return wrong, pods


def _unlike(place: str, given: dict[str, Any], fields: dict[str, type]) -> list[str]:
    wrong = [f"{place}.{name} is not known" for name in given.keys() - fields.keys()]
    for name, value in given.items():
        kind = fields.get(name)
        if kind is not None and type(value) is not kind:
            wrong.append(f"{place}.{name} must be {kind.__name__}, got {value!r}")
    return wrong

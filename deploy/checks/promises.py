"""What holds of manifests under whatever values, and the values that this is tried with."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

_TLS = ("tls.secret=tls",)
_KEYS = (*_TLS, "auth.keysSecret.name=keys", "auth.tokenSecret.name=token")
_BACKUP = ("backup.enabled=true", "backup.url=s3://bucket")
_EXTERNAL = ("redis.enabled=false", "redis.external.urlSecret.name=redis")
_KEDA = ("worker.autoscaling.kind=keda",)
_CLUSTER = ("cluster.enabled=true", "cluster.snapshots=s3://bucket")
_GPU = ("embedder.gpu.enabled=true",)
_VECTORS = ("embedder.enabled=false", "worker.enabled=false", "redis.enabled=false")
_NOBODY = ("networkPolicy.monitoring=null", "networkPolicy.dns=null", "networkPolicy.clients=null")

COMBINATIONS: tuple[tuple[str, ...], ...] = (
    (),
    _TLS,
    (*_TLS, "tls.mutual=true", *_BACKUP),
    _KEYS,
    (*_KEYS, *_BACKUP, "backup.tokenSecret.name=other"),
    (*_KEYS, "tls.mutual=true", *_BACKUP, "backup.tokenSecret.name=other", *_CLUSTER),
    (*_KEYS, *_VECTORS),
    (*_KEYS, *_EXTERNAL, *_GPU, "auth.keysSecret.key=x", "auth.tokenSecret.key=y"),
    _BACKUP,
    (*_BACKUP, "backup.credentialsSecret=cloud", "backup.extraEnv[0].name=AWS_REGION"),
    (*_EXTERNAL, *_KEDA, "redis.external.host=redis", "redis.external.passwordSecret.name=redis"),
    (*_KEDA, "worker.autoscaling.minReplicas=0"),
    (*_KEDA, "search.settings.key_prefix=other", "worker.settings.key_prefix=other"),
    (*_GPU, "embedder.autoscaling.enabled=true", "embedder.settings.cpu_threads=3"),
    (*_GPU, "embedder.settings.decode_processes=2", "worker.autoscaling.kind=hpa"),
    (*_CLUSTER, *_TLS),
    ("embedder.enabled=false", "search.extraEmbedders={one:1,two:2}"),
    _NOBODY,
    (*_NOBODY, *_CLUSTER, *_BACKUP),
    ("networkPolicy.enabled=false", "serviceAccount.annotations.role=x"),
    ("search.settings.traces_to=http://10.0.0.1", "worker.settings.traces_to=https://a.b:4318/"),
    ("fullnameOverride=a-name-that-is-longer-than-forty-characters-altogether", *_BACKUP),
    ("metrics.serviceMonitor.enabled=true", "metrics.rules.enabled=true", *_BACKUP),
)


# Paths that are no places of the container: what replicas use on their nodes, and what Ray's head
# is given although it searches nothing.
_ELSEWHERE = {("search", "LOOKALIKE_SEARCH_CLUSTER_DATA"), ("ray-head", "NUMBA_CACHE_DIR")}


def broken(document: dict[str, Any]) -> Iterator[str]:
    """Yield what does not hold of a manifest."""
    policy = document.get("spec", {}).get("podManagementPolicy")
    if document["kind"] == "StatefulSet" and policy != "Parallel":
        yield "a pod that cannot start would not be replaced when its settings are mended"
    if document["kind"] == "NetworkPolicy":
        yield from _open_to_all(document["spec"])
    for pod in _pods(document):
        yield from _volumes(pod)
        for container in pod["containers"]:
            yield from _variables(container)


def _open_to_all(policy: dict[str, Any]) -> Iterator[str]:
    for side, peers in (("ingress", "from"), ("egress", "to")):
        for rule in policy.get(side) or ():
            if peers in rule and not rule[peers]:
                yield f"{side}: an empty list of peers lets everybody through"
            if not rule.get(peers) and not rule.get("ports"):
                yield f"{side}: a rule without peers and ports lets everything through"


def _volumes(pod: dict[str, Any]) -> Iterator[str]:
    names = [each["name"] for each in pod.get("volumes", ())]
    mounts = list(chain(*(each.get("volumeMounts", ()) for each in pod["containers"])))
    mounted = {each["name"] for each in mounts}
    if len(set(names)) < len(names):
        yield f"two volumes of one name: {sorted(names)}"
    for name in sorted(mounted ^ set(names)):
        yield f"volume {name} is mounted and not there, or there and not mounted"


def _variables(container: dict[str, Any]) -> Iterator[str]:
    given = {each["name"]: each.get("value", "") for each in container.get("env", ())}
    places = [each["mountPath"] for each in container.get("volumeMounts", ())]
    for name, value in given.items():
        there = any(f"{value}/".startswith(f"{at}/") for at in places)
        if value.startswith("/") and not there and (container["name"], name) not in _ELSEWHERE:
            yield f"{container['name']}: {name} names {value}, where nothing is mounted"
        # A caller refuses to send a key in the clear, and a process that would have to does
        # not start.
        prefix = name.removesuffix("TOKEN_FILE")
        if prefix != name and not {prefix + "TLS_CA", prefix + "EMBEDDER_TLS_CA"} & set(given):
            yield f"{container['name']}: {name} is given without TLS"


def _pods(node: Any) -> Iterator[dict[str, Any]]:
    """Yield the specs of pods, those of a StatefulSet with the volumes that it claims."""
    if isinstance(node, list):
        for each in node:
            yield from _pods(each)
    if not isinstance(node, dict):
        return
    claims = [each["metadata"] for each in node.get("volumeClaimTemplates", ())]
    for name, value in node.items():
        if name == "template" and isinstance(value, dict) and "containers" in value.get("spec", {}):
            pod = value["spec"]
            yield {**pod, "volumes": [*pod.get("volumes", ()), *claims]}
        else:
            yield from _pods(value)

"""Settings of a search service whose collections live on a Ray cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lookalike.serving.settings.declared import setting
from lookalike.serving.settings.reading import SettingsInvalid
from search_service.limits import MAX_PARTITIONS, MAX_REPLICAS


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """The cluster, its log and its shared storage."""

    cluster_log: str = setting(
        "URL of the Redis that holds catalog and logs of a cluster, such as "
        "redis://user:password@host:6379/0, rediss: for TLS; with it collections live on Ray",
        unit="URL",
        secret=True,
    )
    cluster_snapshots: str = setting(
        "shared storage of snapshots: file:///folder that all nodes have, s3://bucket/prefix "
        "or gs://bucket/prefix",
        unit="URL",
    )
    cluster_data: Path = setting(
        "folder of replicas on each node, on a disk of its own; {node} stands for the node's "
        "address, where nodes share a disk",
        unit="folder",
    )
    cluster_address: str = setting(
        "address of the Ray head; auto takes the cluster that this machine is a node of",
        "auto",
        unit="host:port",
    )
    cluster_node_address: str = setting(
        "address of the Ray node to join through, where this machine runs several", "", unit="host"
    )
    cluster_key_prefix: str = setting(
        "first part of every key of the cluster in Redis", "lookalike-cluster"
    )
    cluster_log_tls_ca: Path | None = setting(
        "PEM file of the authority that signed the certificate of the log's Redis",
        None,
        unit="file",
        must_exist=True,
    )
    cluster_log_copies: int = setting(
        "replicas of Redis that have an entry of the log before it counts (WAIT)",
        0,
        least=0,
        most=8,
    )
    cluster_partitions: int = setting(
        "partitions of a collection that asks for none", 1, least=1, most=MAX_PARTITIONS
    )
    cluster_replicas: int = setting(
        "replicas of each partition of a collection that asks for none",
        2,
        least=1,
        most=MAX_REPLICAS,
    )
    cluster_write_replicas: int = setting(
        "replicas that have stored a change durably before it is acknowledged; at most those "
        "that a collection has",
        1,
        least=1,
        most=MAX_REPLICAS,
    )
    cluster_write_timeout_s: float = setting(
        "how long an acknowledgement waits for them", 30.0, unit="seconds", least=0.1, most=3600
    )
    cluster_retry_ms: float = setting(
        "how long a replica may take before another is asked as well",
        250.0,
        unit="milliseconds",
        least=1,
        most=60_000,
    )
    cluster_give_up_s: float = setting(
        "how long a partition is tried of which no replica can be reached; for callers without a "
        "deadline also one that does not answer",
        10.0,
        unit="seconds",
        least=0.1,
        most=3600,
    )
    cluster_snapshot_entries: int = setting(
        "entries of a partition's log after which a snapshot is taken and the log cut",
        100_000,
        least=1,
        most=1_000_000_000,
    )
    cluster_replica_cpus: float = setting(
        "processors of a node that Ray sets aside for each replica", 1.0, least=0.01, most=1024
    )
    cluster_replica_memory_mib: int = setting(
        "memory of a node that Ray sets aside for each replica; 0: none",
        0,
        unit="MiB",
        least=0,
        most=1 << 24,
    )

    def __post_init__(self) -> None:
        if self.cluster_log_tls_ca and not self.cluster_log.startswith("rediss:"):
            raise SettingsInvalid(
                "--cluster-log-tls-ca is set: --cluster-log must begin with rediss:"
            )
        if not self.cluster_snapshots.startswith(("file:///", "s3://", "gs://")):
            raise SettingsInvalid("--cluster-snapshots: must begin with file:///, s3:// or gs://")

"""Settings of the search service, read once from the command line and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.serving.settings.declared import group, setting
from lookalike.serving.settings.reading import Process, SettingsInvalid, read
from lookalike.serving.settings.shared import MOST_PORT, MOST_S, CallerSettings, ServerSettings
from lookalike.wire.channel import ChannelOptions, TlsFiles
from search_service.cluster.settings import ClusterSettings
from search_service.ingest.settings import IngestSettings
from search_service.shard.options import ShardOptions

PROCESS = Process("SEARCH", "search_service", "The search service of Lookalike.")

# A thousand is more than any machine has; a hundred million vectors more than it holds.
_MOST_THREADS = 1_024
_MOST_VECTORS = 100_000_000
_MOST_MIB = 1 << 20
# No disk gives more.
_MOST_CHECKED_MIB_PER_S = 100_000
# Without a queue nothing older than a deletion can come but what is under way.
_FORGET_DELETIONS_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Settings(ServerSettings, CallerSettings):
    """How the search service runs. `ingest` None runs without ingestion, `cluster` None on
    this machine alone."""

    port: int = setting("port to listen on; 0 takes a free one", 50051, least=0, most=MOST_PORT)
    data: Path = setting("directory of the collections; it is made if need be", unit="folder")
    embedders: tuple[str, ...] = setting("addresses of embedders", (), unit="host:port")
    embedder_tls_ca: Path | None = setting(
        "PEM file of the authority that signed the embedders' certificates; without it, that of "
        "--tls-ca where TLS is on",
        None,
        unit="file",
        must_exist=True,
    )
    threads: int = setting("threads that search one collection", 2, least=1, most=_MOST_THREADS)
    build_threads: int = setting("threads of a builder", 2, least=1, most=_MOST_THREADS)
    head_limit: int = setting(
        "new vectors that start the builder, beside most graphs twice it",
        20_000,
        least=1,
        most=_MOST_VECTORS,
    )
    unindexed_limit: int = setting(
        "vectors without a graph past which writes are refused; above the head's limit",
        400_000,
        least=1,
        most=_MOST_VECTORS,
    )
    item_cache_mib: int = setting(
        "memory for metadata of items that were found lately, of each collection",
        32,
        unit="MiB",
        least=0,
        most=_MOST_MIB,
    )
    recall_sample_share: float = setting(
        "share of live graph queries whose recall is measured", 0.01, least=0, most=1
    )
    drift_sample_share: float = setting(
        "share of live queries that are watched for drift; 0: none", 1.0, least=0, most=1
    )
    drift_mean_queries: float = setting(
        "watched queries that a false alarm of drift takes on average, at least",
        1_000_000.0,
        unit="queries",
        least=1_000,
        most=1e12,
    )
    erase_after_s: float = setting(
        "age past which a segment and the saved metadata index are built anew without what "
        "was deleted; 0: only once much was",
        86_400.0,
        unit="seconds",
        least=0,
        most=MOST_S,
    )
    store_check_rate: float = setting(
        "how fast each collection's store is read through for damage, again and again; 0: never",
        4.0,
        unit="MiB a second",
        least=0,
        most=_MOST_CHECKED_MIB_PER_S,
    )
    ingest: IngestSettings | None = group(None)
    cluster: ClusterSettings | None = group(None)

    def embedder_channel(self) -> ChannelOptions:
        """Return how to reach the embedders.

        Raises:
            InvalidField: there is no API key in the file.
        """
        tls = self.tls
        if self.embedder_tls_ca is not None:
            ca = self.embedder_tls_ca
            tls = TlsFiles(ca=ca, certificate=self.tls_certificate, key=self.tls_key)
        return ChannelOptions(tls=tls, token=self.token())

    @property
    def ledger(self) -> Path:
        """The file in which the front door notes what it accepted."""
        return self.data / "ingest.sqlite"

    def shard_options(self) -> ShardOptions:
        """Return how each shard works."""
        # Older mutations may still come from a queue, perhaps after another start.
        has_queue = self.ingest is not None or self.ledger.exists()
        return ShardOptions(
            threads=self.threads,
            build_threads=self.build_threads,
            head_limit=self.head_limit,
            unindexed_limit=self.unindexed_limit,
            item_cache_bytes=self.item_cache_mib << 20,
            erase_after_s=self.erase_after_s,
            forget_deletions_s=0.0 if has_queue else _FORGET_DELETIONS_S,
            check_bytes_per_s=self.store_check_rate * (1 << 20),
        )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unindexed_limit <= self.head_limit:
            raise SettingsInvalid(
                f"--unindexed-limit: must be above --head-limit ({self.head_limit:,}), got "
                f"{self.unindexed_limit:,}: writes would be refused before a build starts"
            )


def load(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings: an option outranks LOOKALIKE_SEARCH_<OPTION>.

    Raises:
        SettingsInvalid: a setting is missing, unknown, or has a value that cannot be.
        SystemExit: --help.
    """
    return read(Settings, PROCESS, arguments, environ)

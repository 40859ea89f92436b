"""What is to be indexed, and where to."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from lookalike_client import settings
from lookalike_client.settings import ClientSettings
from search_service.limits import MAX_PARTITIONS, MAX_REPLICAS

_OF_THE_SERVICE = ("address", "use_tls", "tls_ca", "tls_certificate", "tls_key", "token_file")
_PRESETS = ("fast", "balanced", "accurate")


class OptionsInvalid(Exception):
    """Options that do not go together."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """One job. With `cluster_log` it is published on a cluster, else at a search service."""

    uri: str
    collection: str
    work: Path
    prefix: str = ""
    model: str = "efficientnet-lite2"
    precision: str = "f32"
    device: str = "auto"
    cache_dir: Path | None = None
    preset: str = "balanced"
    block_images: int = 512
    embedders: int = 0
    ray_address: str = ""
    cluster_log: str = ""
    cluster_snapshots: str = ""
    cluster_key_prefix: str = "lookalike-cluster"
    partitions: int = 1
    replicas: int = 2
    json: bool = False

    @property
    def identity(self) -> dict[str, str]:
        """What a work folder is for: with something else in it nothing of it can be used."""
        kept = (
            *("uri", "prefix", "model", "precision", "block_images", "preset", "partitions"),
            *("cluster_snapshots", "cluster_key_prefix"),
        )
        fields = asdict(self)
        return {name: str(fields[name]) for name in kept}


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> tuple[Options, ClientSettings]:
    """Return the options of a command line, and how to reach the search service.

    What the command line does not say of the service, the variables of the client say. Its
    API key stays out of the options, which travel over Ray.

    Raises:
        OptionsInvalid: they do not go together.
        InvalidField: a variable of the client is wrong.
        SystemExit: --help, or an option that is not known.
    """
    parser = argparse.ArgumentParser(prog="lookalike bulk-index", description=__doc__)
    parser.add_argument("uri", help="a folder, s3://bucket/prefix, gs://bucket/prefix, or Parquet")
    parser.add_argument("--collection", required=True, help="name of the new collection")
    parser.add_argument("--work", required=True, type=Path, help="folder of what is under way")
    parser.add_argument("--prefix", default="", help="text before each id")
    parser.add_argument("--model", default="efficientnet-lite2", help="as --models of an embedder")
    parser.add_argument("--precision", default="f32", choices=("f32", "bf16"))
    parser.add_argument("--device", default="auto", help="as --device of an embedder")
    parser.add_argument("--cache-dir", type=Path, help="folder of converted models")
    parser.add_argument("--preset", default="balanced", choices=_PRESETS)
    parser.add_argument("--block-images", type=int, default=512, help="images of one block")
    parser.add_argument("--embedders", type=int, default=0, help="0: one a GPU, or one a node")
    parser.add_argument("--ray-address", default="", help="a cluster; without, this machine")
    service = parser.add_argument_group(
        "the search service", "What is not given is taken from LOOKALIKE_ADDRESS and so on."
    )
    service.add_argument("--address", help="host:port")
    service.add_argument("--tls", action="store_true", dest="use_tls", help="by the system's CAs")
    service.add_argument("--tls-ca", type=Path, help="PEM file of the authority to trust")
    service.add_argument("--tls-certificate", type=Path, help="PEM file of our certificate")
    service.add_argument("--tls-key", type=Path, help="PEM file of our key")
    service.add_argument("--token-file", type=Path, help="file with the API key")
    parser.add_argument("--cluster-log", default="", help="as that of a search service on Ray")
    parser.add_argument("--cluster-snapshots", default="", help="as that of the search service")
    parser.add_argument("--cluster-key-prefix", default="lookalike-cluster")
    parser.add_argument("--partitions", type=int, default=1, help="on a cluster")
    parser.add_argument("--replicas", type=int, default=2, help="on a cluster")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    given = vars(parser.parse_args(arguments))
    named = {name: given.pop(name) for name in _OF_THE_SERVICE}
    options = Options(**given)
    _check(options)
    said = {name: value for name, value in named.items() if value}
    server = settings.load(environ)
    if "token_file" in said:
        server = replace(server, token=None)
    return options, replace(server, **said)


def _check(options: Options) -> None:
    if bool(options.cluster_log) != bool(options.cluster_snapshots):
        raise OptionsInvalid("--cluster-log and --cluster-snapshots go together")
    if not options.cluster_log and options.partitions != 1:
        raise OptionsInvalid("--partitions is of a cluster: set --cluster-log as well")
    if not 1 <= options.partitions <= MAX_PARTITIONS:
        raise OptionsInvalid(f"--partitions must be 1 to {MAX_PARTITIONS}")
    if not 1 <= options.replicas <= MAX_REPLICAS:
        raise OptionsInvalid(f"--replicas must be 1 to {MAX_REPLICAS}")
    if not 1 <= options.block_images <= 100_000:
        raise OptionsInvalid("--block-images must be 1 to 100,000")
    if options.embedders < 0:
        raise OptionsInvalid("--embedders must be 0 or more")

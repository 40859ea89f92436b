"""What a run is about: flags, or the environment as `make` passes it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Options:
    """A run: `count` vectors of `dimension`, from `file` or generated.

    `queries` are not among the vectors. `seconds` is the length of each timed
    phase; `upsert_seconds` that of the durable upserts. `only` names the figures
    to measure ("2", "8"), all when empty. `peers` names those to run.
    """

    count: int
    dimension: int
    file: Path | None
    queries: int
    seconds: float
    upsert_seconds: float
    only: frozenset[str]
    peers: tuple[str, ...]
    work: Path
    command: str

    def wants(self, *figures: str) -> bool:
        """Say whether one of `figures` is to be measured."""
        return not self.only or not self.only.isdisjoint(figures)


PEERS = (
    "usearch",
    "hnswlib",
    "faiss",
    "chroma",
    "lancedb",
    "milvus",
    "svs-lvq",
    "svs-leanvec",
    "scann",
    "zvec",
    "qdrant-edge",
)


def parse(arguments: Sequence[str], *, target: str, count: int) -> Options:
    """Read flags; each has its default in a variable of the environment."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.bench.{target.replace('-', '_')}")
    env = os.environ.get
    parser.add_argument("--n", type=int, default=int(env("N") or count), help="vectors (N=)")
    parser.add_argument("--d", type=int, default=int(env("D") or 512), help="dimension (D=)")
    parser.add_argument(
        "--file", type=Path, default=env("FILE") or None, help=".npy or .hdf5 vectors (FILE=)"
    )
    parser.add_argument("--queries", type=int, default=int(env("QUERIES") or 1_000))
    parser.add_argument("--seconds", type=float, default=float(env("SECONDS") or 30))
    parser.add_argument("--upsert-seconds", type=float, default=float(env("UPSERT_SECONDS") or 60))
    parser.add_argument("--only", default=env("ONLY") or "", help="figures, as in 2,3,8 (ONLY=)")
    parser.add_argument(
        "--peers",
        default=env("PEERS") if env("PEERS") is not None else ",".join(PEERS),
        help="peers to measure against, of " + ", ".join(PEERS),
    )
    parser.add_argument(
        "--work", type=Path, default=env("WORK") or ROOT / "build" / "bench" / "work"
    )
    flags = parser.parse_args(arguments)
    return Options(
        count=flags.n,
        dimension=flags.d,
        file=flags.file,
        queries=flags.queries,
        seconds=flags.seconds,
        upsert_seconds=flags.upsert_seconds,
        only=frozenset(filter(None, flags.only.split(","))),
        peers=tuple(filter(None, (flags.peers or "").split(","))),
        work=flags.work,
        command=_command(target, flags),
    )


def _command(target: str, flags: argparse.Namespace) -> str:
    parts = [f"make bench-{target}", f"N={flags.n}", f"D={flags.d}"]
    if flags.file is not None:
        parts.append(f"FILE={flags.file.name}")
    return " ".join(parts)

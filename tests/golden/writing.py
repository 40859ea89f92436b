"""Writes the golden file of this release: a small data directory and a snapshot, as text.

    .venv/bin/python -m tests.golden.writing [_2]

Do so when a format has a new version, under the release's name, with a number where that
has one before. The files of earlier ones stay: this release must read them.
"""

from __future__ import annotations

import base64
import io
import json
import lzma
import sys
import tarfile
import tempfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from lookalike.serving.queue.entries import Kind, QueuedMutation
from search_service.catalog import names
from search_service.domain.mutations import Delete, Upsert
from search_service.drift import files as drift_files
from search_service.drift.monitor import Monitor
from search_service.filters import index_file
from search_service.ingest import ledger
from search_service.reembedding import pairs
from search_service.segments import current
from search_service.segments import manifest as segment_manifest
from search_service.snapshots import manifest as snapshot_manifest
from search_service.store import known_hashes, reviews, schema
from tests.unit.search_service.shard.kit import build, random_units
from tests.unit.search_service.snapshots.rig import NAME, UID, opened

HERE = Path(__file__).parent
DIMENSION = 8
VECTORS = random_units(40, DIMENSION, seed=4)
DECISION = reviews.Decision("item-1", "item-2", "different", 5)
HASH = known_hashes.KnownHash(b"h" * 32, 90, "known", "", 6)
PAIRED_UID = "f" * 32
# Everything that is kept on the disk of the search service, and its version now.
FORMATS = {
    # One with an item of several vectors; one without has the format before.
    "store": schema.FORMAT_VERSION + schema.SEVERAL_MORE,
    "names": names._FORMAT,
    "segment": segment_manifest.FORMAT_VERSION,
    "segments in use": current._FORMAT_VERSION,
    "metadata index": index_file.FORMAT_VERSION,
    "snapshot": snapshot_manifest.SIDE_FILES_FORMAT,
    "drift": drift_files.FORMAT,
    "decisions": reviews.FILE.format_version,
    "hashes": known_hashes.FILE.format_version,
    "ledger": ledger.FORMAT,
    "pairs": pairs.FORMAT,
}


def upserts(first: int, count: int) -> list[Upsert]:
    """Return items with what an item may have; the vector of item N is row N."""
    return [
        Upsert(f"item-{n}", VECTORS[n % 40], {"number": n, "odd": bool(n % 2)}, facts=b"f%d" % n)
        for n in range(first, first + count)
    ]


def write(root: Path) -> bytes:
    """Fill a data directory with one of everything; return a snapshot's archive."""
    collection = root / "collections" / UID
    with opened(root) as rig:
        shard = rig.shard()
        assert all(each.error is None for each in shard.submit(upserts(300, 40)).result(60))
        build(shard)  # type: ignore[arg-type]  # the factory's shards are `Shard`
        # An item that is gone, and one that is in no segment.
        gone = [Delete(f"item-{n}") for n in (7, 311)]
        assert all(each.error is None for each in shard.submit(gone).result(60))
        last = replace(upserts(400, 1)[0], further=(VECTORS[1], VECTORS[2]))
        assert shard.submit([last]).result(60)[0].error is None
        rig.catalog.set_alias("live", NAME)
        reviews.Reviews(collection).decide([DECISION], [])
        known_hashes.KnownHashes(collection).put([HASH])
        archive = b"".join(rig.snapshots.download(rig.snapshots.create(NAME).id))
        (one,) = rig.snapshots.list()
        rig.snapshots.delete(one.id)
        moved_to = replace(rig.shard().spec, uid=PAIRED_UID, name="next")
        target = rig.catalog.create(moved_to)
        pairs.Pairs(root / pairs.FILE, rig.catalog).begin(rig.catalog.find(NAME), target)
    drift_files.save(collection / drift_files.FILE, Monitor("model-1", DIMENSION, 1e6))
    book = ledger.Ledger(str(root / "ingest.sqlite"))
    book.begin([QueuedMutation(UID, "item-500", Kind.UPLOAD, 9, 1)])
    book.confirm([(UID, 9, "1-0")])
    book.close()
    return archive


def packed(root: Path) -> bytes:
    """Return a directory as an archive; sparse and empty room costs nothing in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(root, arcname=".")
    return content.getvalue()


def text(content: bytes) -> list[str]:
    """Return bytes as lines of text."""
    encoded = base64.b85encode(lzma.compress(content, preset=9)).decode("ascii")
    return [encoded[start : start + 2_000] for start in range(0, len(encoded), 2_000)]


def content(lines: list[str]) -> bytes:
    """Return what `text` was given."""
    return lzma.decompress(base64.b85decode("".join(lines)))


def main() -> int:
    """Write the file of this release."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        root.mkdir()
        archive = write(root)
        document = {
            "formats": FORMATS,
            "data": text(packed(root)),
            "snapshot": text(archive),
        }
    place = HERE / f"{metadata.version('lookalike')}{''.join(sys.argv[1:])}.json"
    place.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(f"{place.name}: {place.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

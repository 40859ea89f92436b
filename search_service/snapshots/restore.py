"""Makes the directory of a new collection from a snapshot.

The new collection has a UID of its own, so that nothing that was meant for the
old one (a queued image, a client that holds the old UID) reaches it. The store
is copied and told its new UID and name; ordinals and versions go on. Decisions on
duplicates and lists of known hashes, which name no UID, are copied too. The files
of the segments hold ordinals, vectors and graphs, and no UID but in their
manifests: they are shared by hard link, and their manifests written anew. So a
restored collection is searched by its graph at once, without a build.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from lookalike.wire.errors import SnapshotInvalid
from search_service.durable_files import SyncedWriter, sync_directory, sync_file
from search_service.segments import manifest as segment_manifest
from search_service.segments.current import write_current
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import Identity
from search_service.snapshots.capture import link_files
from search_service.snapshots.manifest import SEGMENTS, STORE, FileEntry, Manifest
from search_service.snapshots.pace import PIECE_BYTES, Pace, claim_room
from search_service.store import schema
from search_service.store.side_files import SIDE_FILES

_log = logging.getLogger(__name__)


def fill_collection(
    snapshot: Path,
    manifest: Manifest,
    target: Path,
    *,
    uid: str,
    name: str,
    pace: Pace,
    step: Callable[[str], None],
) -> None:
    """Fill the empty directory `target` of collection `name`, durably.

    Raises:
        SnapshotInvalid: the snapshot's store, or a file beside it, is not what was written.
        OSError: a file cannot be read or written.
        apsw.Error: the store cannot be.
        Unavailable: the service is stopping.
    """
    copied = [each for each in manifest.files if each.name in (STORE, *SIDE_FILES)]
    claim_room(target, sum(each.size for each in copied))
    for entry in copied:
        _copy_checked(snapshot / entry.name, target / entry.name, entry, pace)
    step("copied")
    _rename_store(target / STORE, uid, name)
    identity = Identity(manifest.collection_uid, manifest.dimension, manifest.model_fingerprint)
    segments = target / SEGMENTS
    segments.mkdir()
    kept = [
        segment
        for segment in manifest.segments
        if _adopt_segment(snapshot / SEGMENTS / segment, segments / segment, identity, uid)
    ]
    write_current(segments, kept)
    sync_directory(target)
    step("filled")


def _copy_checked(source: Path, target: Path, entry: FileEntry, pace: Pace) -> None:
    digest = hashlib.sha256()
    with source.open("rb", buffering=0) as reading, target.open("xb") as writing:
        writer = SyncedWriter(writing)
        while piece := reading.read(PIECE_BYTES):
            digest.update(piece)
            writer.write(piece)
            pace.spend(len(piece))
        writer.sync()
    if digest.hexdigest() != entry.sha256:
        raise SnapshotInvalid(
            "the snapshot is damaged: take another, or upload a copy", field="snapshot_id"
        )


def _rename_store(path: Path, uid: str, name: str) -> None:
    with closing(schema.open_writer(path, "")) as db, db:
        spec = schema.spec_from_json(bytes(schema.read_meta(db, "spec")))
        now_us = time.time_ns() // 1_000
        spec = replace(spec, uid=uid, name=name, create_time_us=now_us)
        schema.write_meta(db, "spec", schema.spec_to_json(spec))


def _adopt_segment(source: Path, target: Path, identity: Identity, uid: str) -> bool:
    """Share a segment with the new collection; False: it is damaged, to be rebuilt."""
    try:
        manifest = segment_manifest.read_manifest(source, identity)
    except SegmentDamaged as error:
        _log.warning("a segment of a snapshot is left out and will be rebuilt: %s", error)
        return False
    link_files(source, target, leave_out=segment_manifest.MANIFEST)
    own = replace(manifest, identity=replace(identity, uid=uid))
    segment_manifest.write_manifest(target, own)
    sync_file(target / segment_manifest.MANIFEST)
    sync_directory(target)
    return True

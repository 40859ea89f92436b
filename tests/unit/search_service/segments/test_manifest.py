from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from search_service.domain.collection import Dtype, IndexSettings, Preset
from search_service.segments.checksums import FileSum
from search_service.segments.errors import SegmentDamaged
from search_service.segments.manifest import (
    MANIFEST,
    Identity,
    Manifest,
    read_manifest,
    write_manifest,
)

IDENTITY = Identity("uid-1", 512, "model-1")
MANIFEST_1 = Manifest(
    identity=IDENTITY,
    settings=IndexSettings(Preset.FAST, Dtype.I8, 24, 128, 64, 256),
    after_ordinal=10,
    upto_ordinal=30,
    nodes=19,
    ordinals=20,
    side=1,
    has_graph=True,
    graph_dimension=256,
    captured_energy=0.90625,
    quantum=0.0078125,
    rows_per_chunk=32_768,
    rows_per_block=32,
    files={"side.i64": FileSum(8, 4_022_250_974)},
)
MANIFEST_2 = replace(
    MANIFEST_1, settings=IndexSettings(Preset.LEAN, Dtype.I4, 16, 240, 512, 256), quantum=0.00390625
)
# As formats are on disks: never to be changed, only to be joined by another.
FORMAT_1 = (
    b'{"crc32":457228921,"manifest":{"after_ordinal":10,"captured_energy":0.90625,'
    b'"files":{"side.i64":{"crc32":4022250974,"size":8}},"format":1,"graph_dimension":256,'
    b'"has_graph":true,"identity":{"dimension":512,"model_fingerprint":"model-1","uid":"uid-1"},'
    b'"nodes":19,"ordinals":20,"quantum":0.0078125,"rows_per_block":32,"rows_per_chunk":32768,'
    b'"settings":{"connectivity":24,"dtype":"i8","expansion_add":128,"expansion_search":64,'
    b'"graph_dimension":256,"preset":"fast"},"side":1,"upto_ordinal":30}}\n'
)

FORMAT_2 = (
    b'{"crc32":2645215033,"manifest":{"after_ordinal":10,"captured_energy":0.90625,"files"'
    b':{"side.i64":{"crc32":4022250974,"size":8}},"format":2,"graph_dimension":256,"has_gr'
    b'aph":true,"identity":{"dimension":512,"model_fingerprint":"model-1","uid":"uid-1"},"'
    b'nodes":19,"ordinals":20,"quantum":0.00390625,"rows_per_block":32,"rows_per_chunk":32'
    b'768,"settings":{"connectivity":16,"dtype":"i4","expansion_add":240,"expansion_search'
    b'":512,"graph_dimension":256,"preset":"lean"},"side":1,"upto_ordinal":30}}\n'
)


@pytest.mark.parametrize(
    ("manifest", "data"), [(MANIFEST_1, FORMAT_1), (MANIFEST_2, FORMAT_2)], ids=["1", "2"]
)
def test_formats_are_read_and_written(tmp_path: Path, manifest: Manifest, data: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(data)
    assert read_manifest(tmp_path, IDENTITY) == manifest
    write_manifest(tmp_path, manifest)
    assert (tmp_path / MANIFEST).read_bytes() == data


def test_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    body = json.loads(FORMAT_2)["manifest"]
    body["format"] = 3
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    whole = {"crc32": zlib.crc32(canonical), "manifest": body}
    text = json.dumps(whole, sort_keys=True, separators=(",", ":")) + "\n"
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(SegmentDamaged, match="format 3"):
        read_manifest(tmp_path, IDENTITY)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / MANIFEST
    for place in range(len(FORMAT_1)):
        for bit in (1, 32):
            data = bytearray(FORMAT_1)
            data[place] ^= bit
            path.write_bytes(data)
            with pytest.raises(SegmentDamaged):
                read_manifest(tmp_path, IDENTITY)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", b'{"manifest":7}', b"[" * 100_000])
def test_what_is_no_manifest_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(data)
    with pytest.raises(SegmentDamaged):
        read_manifest(tmp_path, IDENTITY)


def test_an_absent_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SegmentDamaged, match="cannot be read"):
        read_manifest(tmp_path, IDENTITY)


def test_the_manifest_of_another_collection_is_refused(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST_1)
    with pytest.raises(SegmentDamaged, match="another"):
        read_manifest(tmp_path, replace(IDENTITY, uid="uid-2"))

"""What a shard says that it holds."""

from __future__ import annotations

import re
from pathlib import Path

from lookalike.v1 import collection_pb2
from search_service.domain.mutations import Delete, Upsert
from search_service.metrics import ShardCollector
from tests.unit.search_service.shard.kit import (
    STILL,
    create,
    fill,
    make_spec,
    random_units,
    seal,
)

ROOT = Path(__file__).parents[4]
VECTORS = random_units(130, 8)


def test_only_live_vectors_wait_for_a_graph_in_the_head_or_sealed(tmp_path: Path) -> None:
    shard = create(tmp_path, make_spec(), STILL)
    fill(shard, VECTORS[:100])
    shard = seal(shard, tmp_path, STILL)
    fill(shard, VECTORS[100:], first=100)

    assert (shard.stats().head_vectors, shard.stats().unindexed_vectors) == (30, 130)

    shard.submit([Delete("item-1"), Delete("item-100")]).result(60)
    shard.submit([Upsert("item-101", -VECTORS[101]), Upsert("item-3", -VECTORS[3])]).result(60)

    stats = shard.stats()
    assert (stats.items, stats.head_vectors, stats.unindexed_vectors) == (128, 30, 128)
    shard.close()


def test_the_contract_and_the_page_of_metrics_say_alike_what_is_counted() -> None:
    contract = (ROOT / "protos/lookalike/v1/collection.proto").read_text(encoding="utf-8")
    page = (ROOT / "docs/operation/metrics.md").read_text(encoding="utf-8")
    families = {family.name: family for family in ShardCollector(list, list).collect()}
    for name in ("head_vectors", "unindexed_vectors"):
        assert name in collection_pb2.CollectionStats.DESCRIPTOR.fields_by_name
        said = re.search(rf"// (.+)\.\n\s+uint64 {name} =", contract)
        assert said is not None, name
        meaning = families[f"lookalike_{name}"].documentation
        assert meaning == said[1]
        assert f"| `lookalike_{name}` | gauge | {meaning}, by collection |" in page

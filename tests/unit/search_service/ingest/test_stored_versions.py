"""What was sent is settled by what is stored of its sender's, not of another's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.serving.queue import jobs
from lookalike.wire.keys import Tenant
from search_service.catalog.catalog import Catalog
from search_service.catalog.shards import Shards
from search_service.domain.confinement import Confinement
from search_service.domain.mutations import Upsert
from search_service.ingest.stored import Sent, StoredVersions
from tests.unit.search_service.shard.kit import STILL, make_spec, never, random_units

UID = "0" * 32
A: Tenant = ((("owner", "name"), "a"),)
B: Tenant = ((("owner", "name"), "b"),)


def sent(id: str, tenant: Tenant | None = None, uid: str = UID) -> Sent:
    mark = "" if tenant is None else Confinement(tenant).mark
    return Sent(uid, id, jobs.named(mark, "job"))


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path, Shards(STILL, never))
    catalog.open()
    shard = catalog.create(replace(make_spec(), uid=UID)).shard
    rows = random_units(3, 8)
    shard.submit(
        [
            Upsert("of-a", rows[0], {"owner": {"name": "a"}}, version=7),
            Upsert("of-both", rows[1], {"owner": {"name": ["a", "b"]}}, version=8),
            Upsert("of-nobody", rows[2], version=9),
        ]
    ).result()
    yield catalog
    catalog.close()


def test_a_tenants_is_settled_by_its_own_items_alone(catalog: Catalog) -> None:
    stored = StoredVersions(catalog, lambda: {A, B})
    asked = [
        sent(id, tenant)
        for id in ("of-a", "of-both", "of-nobody", "gone")
        for tenant in (None, A, B)
    ]
    assert stored.of(asked) == {
        sent("of-a"): 7,
        sent("of-a", A): 7,
        sent("of-both"): 8,
        sent("of-nobody"): 9,
    }
    assert stored.of([sent("of-a", uid="1" * 32)]) == {}


def test_of_a_tenant_without_a_key_nothing_is_settled(catalog: Catalog) -> None:
    tenants: set[Tenant] = {A}
    stored = StoredVersions(catalog, lambda: tenants)
    assert stored.of([sent("of-a", A)])
    tenants.clear()
    assert stored.of([sent("of-a", A), sent("of-a")]) == {sent("of-a"): 7}

"""Names and collections that several fronts make and delete."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from lookalike.wire.errors import NotFound
from search_service.cluster.connection import connect
from search_service.cluster.names import SharedCatalog
from tests.integration.cluster.conftest import Cluster, spec_of

pytestmark = pytest.mark.timeout(120)


def _eventually(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _shared(cluster: Cluster) -> SharedCatalog:
    return SharedCatalog(connect(cluster.valkey.url), "lookalike-cluster")


def test_nobody_waits_for_a_collection_that_is_being_made(cluster: Cluster) -> None:
    cluster.placing.has_room.clear()
    making = threading.Thread(target=cluster.create, args=("slow", 1, 1))
    making.start()
    try:
        _eventually(lambda: "slow" in _shared(cluster).load().names.collections)
        for _ in range(3):  # as calls on the event loop do
            with pytest.raises(NotFound):
                cluster.catalog.find("nothing")
        assert making.is_alive()
    finally:
        cluster.placing.has_room.set()
        making.join(60)
    assert cluster.catalog.find("slow").uid == spec_of("slow").uid


def test_nothing_is_left_of_a_deleted_collection(cluster: Cluster) -> None:
    cluster.create("short", 2, 1)
    uid = spec_of("short").uid
    cluster.catalog.delete("short")

    contents = _shared(cluster).load()
    assert not contents.leaving
    assert uid not in contents.specs
    client = connect(cluster.valkey.url)
    assert [key for key in client.keys("*") if uid.encode() in key] == []


def test_what_a_front_did_not_finish_to_delete_is_known(cluster: Cluster) -> None:
    cluster.create("half", 1, 1)
    uid, shared = spec_of("half").uid, _shared(cluster)
    before = shared.load()
    names = before.names.without_collection(uid)
    after = shared.save(before.changed(names, before.specs), before)
    assert set(after.leaving) == set(shared.load().leaving) == {uid}

    with pytest.raises(NotFound):  # as soon as a front looks
        _eventually(lambda: not cluster.catalog.find("half"))
    assert not shared.save(after.without(uid), after).leaving

"""All hops with mutual TLS and keys, and all certificates replaced under load."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from lookalike.wire.keys import Scope
from lookalike_client import Client, ImageItem, Query
from tests.e2e.conftest import MODEL, ROOT
from tests.integration.certified import Certified
from tests.integration.ingest.system import System
from tests.integration.keyed import KeyFile

pytestmark = pytest.mark.chaos

_PICTURES = 40
_SWAPS = 20
_EVERY_S = 0.5
_WAIT_S = 120.0
_PARTS = ("embedder", "search", "worker", "client")


class Secured(NamedTuple):
    system: System
    certified: Certified
    token: Path
    secrets: list[str]


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    root = tmp_path_factory.mktemp("secured")
    certified = Certified(root / "tls")
    keys = KeyFile(root / "keys.json")
    for name, scopes in (("client", set(Scope)), ("worker", {Scope.READ, Scope.WRITE})):
        (root / name).write_text(keys.add(name, frozenset(scopes)) + "\n")

    def options(name: str, *others: str) -> tuple[str, ...]:
        tls = certified.issue(name)
        return (
            *("--tls-ca", str(tls.ca), "--tls-certificate", str(tls.certificate)),
            *("--tls-key", str(tls.key), *others),
        )

    asks = ("--keys-file", str(keys.path))
    calls = ("--token-file", str(root / "worker"))
    cache = str(ROOT / "build" / "test-model-cache")
    system = System(
        root,
        model=MODEL,
        embedder_options=options("embedder", *asks, "--cache-dir", cache),
        search_options=options("search", *asks, *calls),
        worker_options=options("worker", *calls),
    )
    try:
        system.start()
        yield Secured(system, certified, root / "client", _secrets(keys))
    finally:
        system.stop()


def _secrets(keys: KeyFile) -> list[str]:
    return [token.split("_", 2)[2] for token in keys.tokens.values()]


def _picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_certificates_are_replaced_under_load(secured: Secured) -> None:
    tls = secured.certified.issue("client")
    new = secured.certified.issue("new")  # which no swap is in the middle of
    address = secured.system.search_address
    done = threading.Event()

    def swap() -> None:
        for _ in range(_SWAPS):
            for name in _PARTS:
                secured.certified.issue(name)
            if done.wait(_EVERY_S):
                return

    with Client(address, tls=tls, token=secured.token) as client:
        client.collections.create("c", model=MODEL)
        swapping = threading.Thread(target=swap)
        swapping.start()
        calls = 0
        try:
            items = (ImageItem(f"p{n}", _picture(n)) for n in range(_PICTURES))
            accepted = list(client.submit_images("c", items))
            while swapping.is_alive():
                with Client(address, tls=new, token=secured.token) as fresh:
                    fresh.search("c", Query.by_image(_picture(0)))
                client.search("c", Query.by_image(_picture(1)))
                calls += 2
        finally:
            done.set()
            swapping.join()
        end_s = time.monotonic() + _WAIT_S
        while client.count("c") < _PICTURES:
            assert time.monotonic() < end_s
            time.sleep(0.2)

    assert len(accepted) == _PICTURES
    assert calls > _SWAPS
    for program in secured.system.programs:
        assert "call failed" not in program.log()
        assert not [secret for secret in secured.secrets if secret in program.log()]
    assert "took a new TLS certificate" in secured.system.search.log()

"""Each example does with its language's own gRPC what it says, and all see the same."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives import serialization
from PIL import Image

from lookalike.wire.keys import Scope
from lookalike_client.supervisor.launch import RunningSystem
from tests.e2e.conftest import UP_OPTIONS
from tests.examples.addresses import HOSTS, two_addresses
from tests.examples.built import LANGUAGES, Example, build
from tests.integration.certified import Certified
from tests.integration.keyed import KeyFile
from tests.integration.search_server import running

pytestmark = pytest.mark.examples

# Nothing listens there: a client that takes a proxy from its environment fails.
_NOBODY = "127.0.0.1:9"
_PROXIES = {
    **dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy"), f"http://{_NOBODY}"),
    "JAVA_TOOL_OPTIONS": "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9",
}
_LIMIT_S = 180


class Guarded(NamedTuple):
    """A search service with mutual TLS that asks for keys."""

    port: int
    certified: Certified
    keys: KeyFile


@pytest.fixture(scope="module", params=sorted(LANGUAGES))
def example(request: pytest.FixtureRequest) -> Example:
    return build(request.param)


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    with RunningSystem(tmp_path_factory.mktemp("system"), UP_OPTIONS) as running_system:
        yield running_system


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    root = tmp_path_factory.mktemp("guarded")
    certified = Certified(root / "tls")
    tls = certified.issue("server")
    keys = KeyFile(root / "keys.json")
    keys.add("slow", calls_per_s=2.0)
    keys.add("reader", frozenset({Scope.READ}))
    options = (
        *("--keys-file", str(keys.path), "--tls-ca", str(tls.ca)),
        *("--tls-certificate", str(tls.certificate), "--tls-key", str(tls.key)),
    )
    with running(root / "data", *options) as server:
        yield Guarded(server.port, certified, keys)


@pytest.fixture(scope="module")
def seen(example: Example, system: RunningSystem, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What an example prints of a whole system, which its environment's proxies do not reach."""
    picture = tmp_path_factory.mktemp("picture") / "mandelbrot.png"
    Image.effect_mandelbrot((320, 240), (-2.0, -1.2, 1.0, 1.2), 60).save(picture)
    ended = _run(example, system.search, str(picture))
    assert ended.returncode == 0, ended.stderr[-3000:]
    return json.loads(ended.stdout)


def _run(example: Example, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [*example.command, *arguments],
        cwd=example.folder,
        env={**environment, **_PROXIES, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )


def _secrets(guarded: Guarded, folder: Path, key: str) -> list[str]:
    tls = guarded.certified.issue("client")
    assert tls.key is not None
    key_file = folder / "client.key"
    key_file.write_bytes(_as_pkcs8(tls.key.read_bytes()))  # the only form that Java reads
    token = folder / "key"
    token.write_text(f"{guarded.keys.tokens[key]}\n", encoding="utf-8")
    return [
        *("--ca", str(tls.ca), "--cert", str(tls.certificate), "--key", str(key_file)),
        *("--token-file", str(token), f"localhost:{guarded.port}"),
    ]


def _as_pkcs8(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, password=None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_vectors_are_stored_each_with_its_outcome(seen: Any) -> None:
    assert seen["vectors"]["stored"] == {
        "red": "MUTATION_STATUS_APPLIED",
        "pink": "MUTATION_STATUS_APPLIED",
        "blue": "MUTATION_STATUS_APPLIED",
        "short": "ERROR_REASON_DIMENSION_MISMATCH",
    }


def test_a_search_keeps_to_its_filter(seen: Any) -> None:
    (hit,) = seen["vectors"]["hits"]

    assert (hit["id"], hit["colour"]) == ("red", "red")
    assert hit["score"] == pytest.approx(0.990148, abs=1e-5)


def test_errors_are_read_with_reason_and_field(seen: Any) -> None:
    assert seen["vectors"]["errors"] == {
        "nowhere": {
            "code": "NOT_FOUND",
            "reason": "ERROR_REASON_COLLECTION_NOT_FOUND",
            "field": "collection",
            "retry_ms": None,
        },
        "short": {
            "code": "INVALID_ARGUMENT",
            "reason": "ERROR_REASON_DIMENSION_MISMATCH",
            "field": "queries[0].vector_f32_le",
            "retry_ms": None,
        },
    }


def test_each_image_ends_searchable_or_with_a_reason(seen: Any) -> None:
    assert seen["images"]["submitted"] == {
        "1": "accepted",
        "2": "accepted",
        "3": "ERROR_REASON_COLLECTION_NOT_FOUND",
    }
    assert seen["images"]["outcomes"] == {
        "photo": "MUTATION_STATUS_APPLIED",
        "broken": "ERROR_REASON_IMAGE_UNREADABLE",
    }


def test_an_image_finds_itself(seen: Any) -> None:
    (hit,) = seen["images"]["hits"]

    assert seen["images"]["dimension"] == 1280
    assert hit["id"] == "photo"
    assert hit["score"] == pytest.approx(1.0, abs=1e-3)


def test_a_key_over_mutual_tls_that_is_slowed_down_gets_through(
    example: Example, guarded: Guarded, tmp_path: Path
) -> None:
    ended = _run(example, *_secrets(guarded, tmp_path, "slow"))

    assert ended.returncode == 0, ended.stderr[-3000:]
    told = json.loads(ended.stdout)
    assert told["vectors"]["hits"][0]["id"] == "red"
    # Whatever the library has not repeated by itself.
    assert told["waits"]
    for wait in told["waits"]:
        assert wait["code"] == "RESOURCE_EXHAUSTED"
        assert wait["reason"] == "ERROR_REASON_OVERLOADED"
        assert wait["retry_ms"] > 0


def test_a_key_that_may_not_is_refused(example: Example, guarded: Guarded, tmp_path: Path) -> None:
    ended = _run(example, *_secrets(guarded, tmp_path, "reader"))

    assert ended.returncode != 0
    assert "PERMISSION_DENIED" in ended.stderr


def test_a_key_never_travels_in_the_clear(
    example: Example, guarded: Guarded, tmp_path: Path
) -> None:
    *_, token_option, token, address = _secrets(guarded, tmp_path, "slow")
    ended = _run(example, token_option, token, address)

    assert ended.returncode != 0
    assert "an API key travels over TLS only" in ended.stderr


def test_calls_go_to_all_addresses_of_a_name(
    example: Example, system: RunningSystem, tmp_path: Path
) -> None:
    upstream_port = int(system.search.rpartition(":")[2])
    with two_addresses(upstream_port) as addresses:
        if example.command[0] == "java":  # which has no list of addresses, but hosts of its own
            hosts = tmp_path / "hosts"
            hosts.write_text("".join(f"{host} search.test\n" for host in HOSTS))
            options = f"{_PROXIES['JAVA_TOOL_OPTIONS']} -Djdk.net.hosts.file={hosts}"
            name = f"search.test:{addresses.port}"
            ended = _run(example, name, JAVA_TOOL_OPTIONS=options)
        else:
            listed = ",".join(f"{host}:{addresses.port}" for host in HOSTS)
            ended = _run(example, f"ipv4:{listed}")

    assert ended.returncode == 0, ended.stderr[-3000:]
    assert all(addresses.calls[host] for host in HOSTS), addresses.calls

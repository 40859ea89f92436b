"""Certificates and API keys that expire: read from their files, shown as metrics."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from prometheus_client import CollectorRegistry

from lookalike.serving import expiry
from lookalike.wire import certificates
from lookalike.wire.keys import KeyRecord, Scope

ENDS = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


def written(path: Path, *ends: datetime) -> Path:
    authority = trustme.CA()
    made = [authority.issue_cert("localhost", not_after=each) for each in ends]
    path.write_bytes(b"".join(each.cert_chain_pems[0].bytes() for each in made))
    return path


@pytest.mark.parametrize("ends", [ENDS, datetime(2061, 1, 2, 3, 4, 5, tzinfo=UTC)])
def test_the_end_of_a_certificate_is_read(tmp_path: Path, ends: datetime) -> None:
    path = written(tmp_path / "server.pem", ends, ENDS + timedelta(days=1))

    assert certificates.expire_times(path) == [ends, ENDS + timedelta(days=1)]


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_a_damaged_certificate_is_said_to_be(at: int) -> None:
    issued = trustme.CA().issue_cert("localhost", not_after=ENDS).cert_chain_pems[0].bytes()
    der = ssl.PEM_cert_to_DER_cert(issued.decode())

    with pytest.raises(ValueError, match=r"."):
        certificates.expire_time(der[: 8 + at])


def test_metrics_say_when_and_follow_the_files(tmp_path: Path) -> None:
    path = written(tmp_path / "server.pem", ENDS, ENDS - timedelta(days=1))
    registry = CollectorRegistry()
    record = KeyRecord(id="k1", name="shop", sha256="0" * 64, scopes=frozenset({Scope.READ}))
    ending = KeyRecord("k2", "old", "0" * 64, frozenset({Scope.READ}), expire_time=ENDS)
    expiry.watch(registry, [path, tmp_path / "none.pem"], lambda: [record, ending])

    def value(kind: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"lookalike_{kind}_expire_time_seconds", labels)

    day = 86_400
    assert value("certificate", file="server.pem") == ENDS.timestamp() - day
    assert value("api_key", key="k2", name="old") == ENDS.timestamp()
    assert value("api_key", key="k1", name="shop") is None
    written(path, ENDS + timedelta(days=9))
    assert value("certificate", file="server.pem") == ENDS.timestamp() + 9 * day


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = []
    for number, name in enumerate(("ca", "own")):
        (tmp_path / name).mkdir()
        paths.append(written(tmp_path / name / "tls.crt", ENDS + timedelta(days=number)))
    registry = CollectorRegistry()
    expiry.watch(registry, [*paths, paths[0]], lambda: ())

    (family,) = [each for each in registry.collect() if "certificate" in each.name]
    assert {each.labels["file"]: each.value for each in family.samples} == {
        str(path): (ENDS + timedelta(days=number)).timestamp() for number, path in enumerate(paths)
    }
    assert len(family.samples) == 2

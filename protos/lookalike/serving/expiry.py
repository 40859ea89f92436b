"""When certificates and API keys expire, as metrics: read anew for each scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lookalike.wire import certificates
from lookalike.wire.keys import KeyRecord


class Expiry(Collector):
    """Times in seconds since 1970; what never expires, and what cannot be read, has none."""

    def __init__(self, files: Sequence[Path], records: Callable[[], Iterable[KeyRecord]]) -> None:
        """`files` hold certificates, `records` are the keys that are known now."""
        self._files = tuple(dict.fromkeys(files))
        self._records = records

    def describe(self) -> list[GaugeMetricFamily]:
        """Return the metrics without values, for a registry that asks for names."""
        return list(self._families())

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the metrics."""
        of_certificates, of_keys = self._families()
        names = Counter(path.name for path in self._files)
        for path in self._files:
            try:
                ends = min(certificates.expire_times(path))
            except (OSError, ValueError):
                continue  # in the middle of a change; the server says what it cannot use
            # As in Kubernetes' secrets: tls.crt may lie in two directories.
            file = path.name if names[path.name] == 1 else str(path)
            of_certificates.add_metric([file], ends.timestamp())
        for record in self._records():
            if record.expire_time is not None:
                of_keys.add_metric([record.id, record.name], record.expire_time.timestamp())
        return of_certificates, of_keys

    @staticmethod
    def _families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
        return (
            GaugeMetricFamily(
                "lookalike_certificate_expire_time_seconds",
                "When the first certificate of a file expires, in seconds since 1970",
                labels=["file"],
            ),
            GaugeMetricFamily(
                "lookalike_api_key_expire_time_seconds",
                "When an API key expires, in seconds since 1970",
                labels=["key", "name"],
            ),
        )


def watch(
    registry: CollectorRegistry,
    files: Sequence[Path],
    records: Callable[[], Iterable[KeyRecord]],
) -> None:
    """Show when these expire."""
    registry.register(Expiry(files, records))

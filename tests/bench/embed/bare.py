"""The bare runtime and the bare decode: what no server can beat."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from embedder_service import preprocess, wiring
from embedder_service.decode.picture import decode_file
from embedder_service.models import spec
from embedder_service.preprocess import U8
from embedder_service.runtimes.openvino import OpenVinoRuntime
from embedder_service.settings import from_environment
from tests.bench.embed import images
from tests.bench.embed.run import MODEL, WORK

_BATCHES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True)
class Bare:
    """`images_per_s` by batch; CPU times of one image at the best batch."""

    images_per_s: dict[int, float]
    forward_cpu_s: float
    decode_cpu_s: float

    @property
    def best(self) -> float:
        """Images a second at the best batch size."""
        return max(self.images_per_s.values())

    @property
    def cpu_bound(self) -> float:
        """Images a second if decode and forward took all CPU time of all cores."""
        return len(os.sched_getaffinity(0)) / (self.forward_cpu_s + self.decode_cpu_s)


class BareLoop:
    """The OpenVINO network in a plain loop, and the decoder in another."""

    def __init__(self, precision: str) -> None:
        self._definition = spec.define(spec.parse(MODEL), precision)
        cache = WORK / "models"
        self.runtime = OpenVinoRuntime(self._definition, threads=0, cache_dir=cache)
        self._squares = images.squares()
        self._jpegs = images.jpegs()

    def measure(self, seconds: float) -> Bare:
        """Run every batch size for its share of `seconds`, then the decoder."""
        rates: dict[int, float] = {}
        cpu: dict[int, float] = {}
        for batch in _BATCHES:
            rates[batch], cpu[batch] = self._forward(batch, seconds / len(_BATCHES))
        best = max(rates, key=lambda batch: rates[batch])
        return Bare(rates, cpu[best], self._decode_cpu_s())

    def best_rate(self, batch: int, seconds: float) -> float:
        """Return images a second at one batch size."""
        return self._forward(batch, seconds)[0]

    def decode_and_forward_s(self) -> list[float]:
        """Return the time of decoding and then embedding each JPEG, one by one."""
        times = []
        for data in self._jpegs:
            started = time.perf_counter()
            self.runtime.infer(decode_square(data, images.SIDE_PX)[None])
            times.append(time.perf_counter() - started)
        return times

    def _forward(self, batch: int, seconds: float) -> tuple[float, float]:
        places = len(self._squares) - batch + 1
        self.runtime.infer(self._squares[:batch])
        done = 0
        cpu, started = time.process_time(), time.perf_counter()
        while time.perf_counter() - started < seconds:
            at = done % places
            self.runtime.infer(self._squares[at : at + batch])
            done += batch
        elapsed = time.perf_counter() - started
        return done / elapsed, (time.process_time() - cpu) / done

    def _decode_cpu_s(self) -> float:
        cpu = time.process_time()
        for data in self._jpegs * 3:
            decode_square(data, images.SIDE_PX)
        return (time.process_time() - cpu) / (3 * len(self._jpegs))


def decode_square(data: bytes, size_px: int) -> U8:
    """Return uint8 [size_px, size_px, 3] as a decode process does, without the facts."""
    limits = wiring.image_limits(from_environment([], {}))
    crop_fraction = 0.875
    least = preprocess.least_short_side_px(size_px, crop_fraction)
    picture = decode_file(data, limits, least_short_side_px=least, admit=lambda _: None)
    return preprocess.square(
        picture.rgb, size_px=size_px, crop_fraction=crop_fraction, resize_filter="bicubic"
    )

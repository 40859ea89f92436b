"""The bare runtime and the bare decode: what no server can beat."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from embedder_service import wiring
from embedder_service.decode.limits import ImageLimits
from embedder_service.decode.picture import decode_file
from embedder_service.models import spec
from embedder_service.models.choice import define
from embedder_service.preprocess import U8, Preprocess
from embedder_service.runtimes.openvino import OpenVinoRuntime
from embedder_service.settings import load
from tests.bench.embed import images
from tests.bench.embed.run import MODEL, WORK

_BATCHES = (1, 2, 4, 8, 16, 32)


class BareLoop:
    """The OpenVINO network in a plain loop, and the decoder in another."""

    def __init__(self, precision: str) -> None:
        self._definition = define(spec.parse(MODEL), precision)
        cache = WORK / "models"
        self.runtime = OpenVinoRuntime(self._definition, threads=0, cache_dir=cache)
        self._squares = images.squares()
        self._jpegs = images.jpegs()

    def rates(self, seconds: float) -> dict[int, float]:
        """Return images a second by batch size."""
        return {batch: self.forward(batch, seconds / len(_BATCHES))[0] for batch in _BATCHES}

    def rates_apart(self, seconds: float) -> dict[int, float]:
        """Return images a second by batch size, with a loop for each core's own stream."""
        return {batch: self.forward_apart(batch, seconds / 3) for batch in _BATCHES[:3]}

    def forward_apart(self, batch: int, seconds: float) -> float:
        """Return images a second of one loop for each of the network's slots, side by side."""
        slots = range(self.runtime.slots)
        with ThreadPoolExecutor(len(slots)) as pool:
            return sum(pool.map(lambda slot: self._loop(batch, slot, seconds), slots))

    def _loop(self, batch: int, slot: int, seconds: float) -> float:
        places = len(self._squares) - batch + 1
        done = 0
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            at = done % places
            self.runtime.infer(self._squares[at : at + batch], slot)
            done += batch
        return done / (time.perf_counter() - started)

    def forward(self, batch: int, seconds: float) -> tuple[float, float]:
        """Return images a second at one batch size, and the CPU time of one image."""
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

    def decode_cpu_s(self) -> float:
        """Return the CPU time of decoding one JPEG."""
        cpu = time.process_time()
        for data in self._jpegs * 3:
            decode_square(data, images.SIDE_PX)
        return (time.process_time() - cpu) / (3 * len(self._jpegs))

    def decode_and_forward_s(self) -> list[float]:
        """Return the time of decoding and then embedding each JPEG, one by one."""
        times = []
        for data in self._jpegs:
            started = time.perf_counter()
            self.runtime.infer(decode_square(data, images.SIDE_PX)[None])
            times.append(time.perf_counter() - started)
        return times


def decode_square(data: bytes, size_px: int) -> U8:
    """Return uint8 [size_px, size_px, 3] as a decode process does, without the facts."""
    prepare = Preprocess(size_px, 0.875, "bicubic", (127.0,) * 3, (128.0,) * 3)
    least = prepare.least_short_side_px
    picture = decode_file(data, _limits(), least_short_side_px=least, admit=lambda _: None)
    return prepare.square(picture.rgb)


@cache
def _limits() -> ImageLimits:
    """Made once: to build them takes as long as a decode."""
    return wiring.image_limits(load([], {}))
